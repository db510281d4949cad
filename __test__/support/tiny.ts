import { type ConfigOverrides, type Dataset, fromArrays, type TrainOptions } from '../../src/index.js'
import { noisyPixels } from './folder.js'

/** The smallest encoder that is still AMDIM: a few updates take less than a second. */
export const TINY: ConfigOverrides = {
  encoder: { baseWidth: 4, embeddingDim: 16, blockDepth: 1 },
  batchSize: 8,
}

/** Run options of the smallest run. */
export const SHORT = {
  config: TINY,
  updates: 4,
  logEverySteps: 1,
  device: 'cpu',
  threads: 2,
} satisfies Partial<TrainOptions>

/** Labelled pictures of two colours, 32 x 32. */
export async function colours(count = 16): Promise<Dataset> {
  const side = 32
  const pixels = new Uint8Array(count * side * side * 3)
  const labels = Array.from({ length: count }, (_, i) => i % 2)
  for (const [i, label] of labels.entries()) pixels.set(noisyPixels(side, label, i), i * side * side * 3)
  return fromArrays(pixels, [count, side, side, 3], { labels, classes: ['red', 'green'] })
}

/** The same encoder and batch for the command line. */
export const TINY_FLAGS = [
  ...['--base-width', '4', '--embedding-dim', '16', '--block-depth', '1'],
  ...['--batch-size', '8', '--device', 'cpu'],
]
