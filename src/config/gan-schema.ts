import { z } from 'zod'
import { count, field, nonNegative, positive } from './field.js'
import { threads } from './run-schema.js'

/** How a generative adversarial network is trained. */
export const ganSchema = z.strictObject({
  noise: field(count().max(4096).default(2), "dimensions of the generator's noise"),
  code: field(
    count().max(4096).default(2),
    "dimensions of the generator's code, which MINE looks for in what is made",
  ),
  units: field(count().max(65_536).default(128), 'units of the hidden layers'),
  informationWeight: field(
    nonNegative().default(1),
    'weight of the mutual information between code and sample; 0: an ordinary network',
  ),
  updates: field(count().max(1_000_000_000).default(10_000), 'updates of all networks'),
  batchSize: field(z.int().min(5).max(65_536).default(256), 'samples an update'),
  learningRate: field(positive().max(10).default(1e-3), "Adam's learning rate"),
  made: field(count().max(10_000_000).default(2500), 'samples that are made at the end'),
  seed: field(z.int().min(0).default(1), 'seed of everything that is drawn'),
  threads,
})
