import type { ConfigOverrides } from '../config/types.js'
import { encoderRow } from './encoder-row.js'
import type { Experiment, ExperimentScale } from './experiment.js'

/** Sizes of a scale; the paper's are those of the preset. */
const SCALED: Record<ExperimentScale, ConfigOverrides> = {
  tiny: {
    encoder: { baseWidth: 256, embeddingDim: 64 },
    classifiers: { hiddenUnits: 64 },
    optimizer: { learningRate: 5e-4 },
    length: { epochs: 20 },
  },
  paper: {},
}

/** Weights of the sweep. */
const BETAS: Record<ExperimentScale, readonly number[]> = {
  tiny: [1, 0.1, 0.01, 1e-3, 1e-4, 1e-5],
  paper: [1, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9],
}

const DETERMINISTIC: ConfigOverrides = { vib: { beta: null } }

/** What each row changes. */
function rows(scale: ExperimentScale): { name: string; title: string; config: ConfigOverrides[] }[] {
  return [
    { name: 'deterministic', title: 'deterministic baseline', config: [DETERMINISTIC] },
    { name: 'dropout', title: 'dropout on the code', config: [{ vib: { beta: null, dropout: 0.5 } }] },
    {
      name: 'label-smoothing',
      title: 'label smoothing',
      config: [DETERMINISTIC, { classifiers: { labelSmoothing: 0.1 } }],
    },
    {
      name: 'confidence-penalty',
      title: 'confidence penalty',
      config: [DETERMINISTIC, { classifiers: { confidencePenalty: 0.1 } }],
    },
    ...BETAS[scale].map((beta) => ({
      name: `beta-${beta}`,
      title: `VIB, beta ${beta}`,
      config: [{ vib: { beta } }],
    })),
  ]
}

/** The deep variational information bottleneck on MNIST. */
export const deepVib: Experiment = {
  name: 'vib',
  title: 'Deep variational information bottleneck on MNIST',
  description:
    'Test error of a perceptron whose code is stochastic and pays beta nats for every nat that it holds of the picture, beside ' +
    'the same network without noise, and with other regularisers. The rate bounds what the code holds of a picture from above, in ' +
    'nats. Tested on the mean of the code. Alemi, Fischer, Dillon, Murphy 2017, arXiv 1612.00410, table 1 and figure 1.',
  measures: [
    { name: 'error', title: 'test error', isShare: true, digits: 2 },
    { name: 'rate', title: 'rate', isShare: false },
    { name: 'loss', title: 'training loss', isShare: false },
  ],
  async rows(scale) {
    return rows(scale).map(({ name, title, config }) =>
      encoderRow({
        name,
        title,
        data: 'mnist',
        preset: 'vib',
        config: [SCALED[scale], ...config],
        heads: [],
        ownError: 'error',
        parts: { rate: 'rate', decoder: 'loss' },
      }),
    )
  },
}
