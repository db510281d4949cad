import { encoderRow } from './encoder-row.js'
import type { Experiment, ExperimentScale } from './experiment.js'

const BOUNDS = [
  { bound: 'dv', title: 'DV' },
  { bound: 'jsd', title: 'JSD' },
  { bound: 'info-nce', title: 'InfoNCE' },
] as const

/** Numbers of negative pictures a positive one has: all of a batch, and down from there by powers of two. */
const NEGATIVES: Record<ExperimentScale, readonly number[]> = {
  tiny: [1, 3, 7, 15, 31, 63],
  paper: [1, 2, 4, 8, 16, 32, 64, 127],
}

/** How the bounds of Deep InfoMax depend on the number of negatives. */
export const negatives: Experiment = {
  name: 'negatives',
  title: 'Local Deep InfoMax and the number of negatives',
  description:
    'Accuracy on CIFAR-10 of local Deep InfoMax by DV, JSD and InfoNCE, where each picture has this many others of its batch ' +
    'as negatives. Hjelm et al. 2019, arXiv 1808.06670, figure 9.',
  measures: [
    { name: 'linear', title: 'linear', isShare: true },
    { name: 'knn', title: 'kNN', isShare: true },
  ],
  plane: { x: 'number of negatives, log 2', y: 'accuracy, %' },
  async rows(scale) {
    // So many rows want an encoder of an eighth of the width.
    const { units, ...size } =
      scale === 'tiny'
        ? { units: 64, encoder: { baseWidth: 8 }, batchSize: 64, length: { epochs: 10 } }
        : { units: 256, batchSize: 128, length: { epochs: 50 } }
    return BOUNDS.flatMap(({ bound, title }) =>
      NEGATIVES[scale].map((count) =>
        encoderRow({
          name: `${bound}-${count}`,
          title: `${title}, ${count}`,
          position: { x: Math.log2(count), curve: title },
          data: 'cifar10',
          preset: 'dim',
          config: [
            size,
            {
              dim: { bound, negatives: count, priorWeight: 0, units },
              // Heads are fitted afterwards.
              classifiers: { enabled: false },
            },
          ],
          heads: [{ data: 'cifar10', measures: { linear: 'linear', knn: 'knn' } }],
        }),
      ),
    )
  },
}
