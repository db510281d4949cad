import { z } from 'zod'
import { count, field } from './field.js'
import { device, executor, threads } from './run-schema.js'
import { configSchema } from './schema.js'

/** Options of `bench`. */
export const benchSchema = z.strictObject({
  mode: field(z.enum(['train', 'encode']).default('train'), 'a training step, or the encoder alone', 'mode'),
  encoder: configSchema.shape.encoder,
  batchSize: field(z.int().min(2).max(65_536).default(64), 'pictures a step', 'batch'),
  steps: field(count().default(10), 'steps timed', 'steps'),
  warmup: field(z.int().min(0).default(2), 'steps before those', 'warmup'),
  threads,
  device,
  executor,
  precision: field(
    z.enum(['auto', 'f32', 'bf16']).default('f32'),
    'how the encoder keeps its maps',
    'precision',
  ),
})
