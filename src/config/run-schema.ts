/** Settings of a run that do not change its numbers: where and how it computes, what it writes. */
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { count, field, positive } from './field.js'

export const device = field(
  z
    .string()
    .regex(/^(auto|cpu|cuda(:\d+)?|metal)$/, 'expected auto, cpu, cuda, cuda:N or metal')
    .default('auto'),
  'device: auto, cpu, cuda, cuda:N or metal',
  'device',
)

export const executor = field(
  z.enum(['auto', 'cpu', 'candle']).default('auto'),
  'what runs the encoder: cpu (fast, CPU alone), candle (any device), auto',
  'executor',
)

export const precision = field(
  z.enum(['auto', 'f32', 'bf16']).default('auto'),
  'how the encoder keeps its maps: bf16 (cpu executor; half the memory), f32, or auto: bf16 where the processor multiplies it faster',
  'precision',
)

export const threads = field(
  count()
    .max(1024)
    .default(() => availableParallelism()),
  'threads of the computation; default: one a core',
  'threads',
)

export const onBadImage = field(
  z.enum(['error', 'skip']).default('error'),
  'a picture that cannot be used ends the run (error), or is counted, listed and replaced (skip)',
  'on-bad-image',
)

/** Run settings of `trainAmdim` and `amdim train`. */
export const runSchema = z.strictObject({
  device,
  executor,
  precision,
  threads,
  loaderThreads: field(
    count()
      .max(1024)
      .default(() => Math.max(1, Math.floor(availableParallelism() / 2))),
    'threads that decode and augment; default: half the cores',
    'loader-threads',
  ),
  prefetch: field(count().max(1024).default(4), 'batches prepared ahead', 'prefetch'),
  onBadImage,
  checkpointMinutes: field(
    positive().nullable().default(5),
    'minutes between checkpoints; null: only at the end or when cancelled',
    'checkpoint-minutes',
  ),
  keepCheckpoints: field(
    z.int().min(0).max(100_000).default(0),
    'how many of the last checkpoints are kept beside the newest, as checkpoint-UPDATE.safetensors; 0: none',
    'keep-checkpoints',
  ),
  logEverySteps: field(count().default(20), 'updates between step events', 'log-every-steps'),
  onlineEvaluateEpochs: field(
    count().nullable().default(1),
    'epochs between tests of the online classifiers; null: never',
    'online-evaluate-epochs',
  ),
})

/** Where a model computes: in f32 unless told otherwise, so that vectors agree between machines. */
export const placeSchema = runSchema.pick({ device: true, executor: true, threads: true }).extend({
  precision: field(
    z.enum(['auto', 'f32', 'bf16']).default('f32'),
    'how the encoder keeps its maps',
    'precision',
  ),
})

/** How pictures are read for encoding. */
export const decodeSchema = z.strictObject({ batchSize: count().max(65_536), threads, onBadImage })

/** Options of `doctor`. */
export const doctorSchema = runSchema.pick({ device: true })
