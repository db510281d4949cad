/** Sizes that the experiments on encoders share. */
import type { ConfigOverrides, PresetName } from '../config/types.js'
import type { HeadsOn } from './encoder-row.js'
import type { ExperimentScale, Measure } from './experiment.js'

/**
 * What a CPU can do in minutes a row: 10 epochs of an encoder of a quarter of the width of `tiny` in each layer. Twice
 * the learning rate of the authors', since the run is a thirtieth of theirs.
 */
const TINY: ConfigOverrides = {
  encoder: { baseWidth: 16, embeddingDim: 128, blockDepth: 1 },
  optimizer: { learningRate: 4e-4 },
  schedule: { kind: 'cosine' },
  batchSize: 64,
  length: { epochs: 10 },
}

/** The CIFAR run of a scale: the preset and what is laid over it. */
export function cifarRun(scale: ExperimentScale): { preset: PresetName; config: ConfigOverrides } {
  return scale === 'tiny' ? { preset: 'tiny', config: TINY } : { preset: 'cifar10', config: {} }
}

/** Accuracies of the three heads. */
export const HEAD_MEASURES: readonly Measure[] = [
  { name: 'linear', title: 'linear', isShare: true },
  { name: 'mlp', title: 'MLP', isShare: true },
  { name: 'knn', title: 'kNN', isShare: true },
]

/** Epochs of the MLP head at tiny scale. */
const TINY_MLP = { classifierTask: { epochs: 10 } }

/** The three heads on a data set, their measures named with `prefix` before them. */
export function headsOn(data: HeadsOn['data'], scale: ExperimentScale, prefix = ''): HeadsOn {
  return {
    data,
    measures: { linear: `${prefix}linear`, mlp: `${prefix}mlp`, knn: `${prefix}knn` },
    ...(scale === 'tiny' && { options: TINY_MLP }),
  }
}
