/** What is measured of features, how two models are compared, and what counts as a duplicate. */
import { z } from 'zod'
import { count, field, group, positive } from './field.js'
import { onBadImage, threads } from './run-schema.js'

const clustering = group(
  {
    clusters: field(count().nullable().default(null), 'clusters; null: as many as classes', 'clusters'),
    restarts: field(count().max(1000).default(5), 'starts, of which the best counts', 'restarts'),
    maxIterations: field(count().default(100), 'most steps of a start'),
  },
  'k-means on features of length 1',
)

/** Options of `measure`, `selectModel` and `amdim measure`, without models and data set. */
export const measureSchema = z.strictObject({
  measures: field(
    z
      .array(z.enum(['rankMe', 'spectrum', 'alignment', 'uniformity', 'jacobian', 'retrieval', 'clustering']))
      .min(1)
      .default(['rankMe', 'spectrum', 'alignment', 'uniformity']),
    'what to measure: rankMe, spectrum, alignment, uniformity, jacobian; with labels also retrieval, clustering',
    'measures',
  ),
  recallAt: field(
    z.array(count()).default([1, 5, 10]),
    'retrieval: numbers of neighbours among which one of the class is looked for',
    'recall-at',
  ),
  clustering,
  jacobianPictures: field(
    count().max(10_000).default(4),
    'jacobian: pictures at which it is taken, each of which is encoded twice for every pixel',
    'jacobian-pictures',
  ),
  batchSize: field(count().max(65_536).default(256), 'pictures encoded at once', 'batch-size'),
  threads,
  seed: field(z.int().min(0).default(1), 'seed of the choice of pictures, of views and of clusters', 'seed'),
  onBadImage,
  maxPictures: field(
    z.int().min(2).nullable().default(10_000),
    'most pictures, and most of the gallery, drawn by the seed: pairs of them are counted, so time grows with their square; null: all',
    'max-pictures',
  ),
})

/** Options of the paired tests of `compareModels` and `amdim compare`. */
export const compareSchema = z.strictObject({
  resamples: field(
    z.int().min(100).max(1_000_000).default(10_000),
    'bootstrap samples of the test pictures',
    'resamples',
  ),
  confidence: field(positive().lt(1).default(0.95), 'probability of the interval', 'confidence'),
})

/** Options of `findDuplicates` and `amdim duplicates`, without the data set. */
export const duplicatesSchema = z.strictObject({
  similarity: field(
    positive().max(1).default(0.9),
    'from which two pictures count as near-duplicates: 1 for copies of other brightness, 0.7 finds more and errs more',
    'similarity',
  ),
  mirrored: field(z.boolean().default(true), 'also look for mirrored pictures', 'mirrored'),
  threads,
  onBadImage,
})
