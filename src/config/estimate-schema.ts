/** How mutual information of samples is estimated by a bound. */
import { z } from 'zod'
import { count, field, positive } from './field.js'
import { CRITICS, INFORMATION_BOUNDS } from './method-schema.js'
import { threads } from './run-schema.js'

/** Bounds on mutual information, and Donsker-Varadhan's with another gradient. */
export const ESTIMATE_BOUNDS = [...INFORMATION_BOUNDS, 'mine'] as const

/** Options of `estimateMutualInformation` and `amdim estimate`, without the samples. */
export const estimateSchema = z.strictObject({
  bound: field(
    z.enum(ESTIMATE_BOUNDS).default('info-nce'),
    'info-nce: little noise, never above log(1 + negatives); mine: Donsker-Varadhan with a corrected gradient; dv; nwj',
    'bound',
  ),
  critic: field(
    z.enum(CRITICS).default('separable'),
    'what scores pairs: separable, concatenated, bilinear, dot',
    'critic',
  ),
  units: field(count().max(65_536).default(128), "units of the critic's hidden layers", 'units'),
  batchSize: field(z.int().min(2).max(65_536).default(128), 'samples an update', 'batch-size'),
  negatives: field(
    count().nullable().default(null),
    "other samples of a batch that are a sample's negatives; null: all, or 8 with the concatenated critic",
    'negatives',
  ),
  batches: field(
    z.enum(['random', 'consecutive']).default('random'),
    'random: negatives are independent, as the bounds assume; consecutive: batches of samples that were given one after another, whose negatives depend on each other where neighbours do',
    'batches',
  ),
  updates: field(count().default(2000), 'updates of the critic', 'updates'),
  learningRate: field(positive().max(10).default(1e-3), "Adam's learning rate", 'learning-rate'),
  averageRate: field(
    positive().max(1).default(0.01),
    'mine: share of a new batch in the moving average',
    'average-rate',
  ),
  validation: field(
    positive().lt(1).default(0.25),
    'share of the samples on which the estimate is made and the critic is not trained',
    'validation',
  ),
  evaluateEvery: field(count().default(50), 'updates between evaluations', 'evaluate-every'),
  seed: field(z.int().min(0).default(1), 'seed of the split, of weights and of batches', 'seed'),
  threads,
})
