import type { ConfigOverrides } from '../config/types.js'
import { encoderRow } from './encoder-row.js'
import type { Experiment, ExperimentScale } from './experiment.js'
import { negativesRow } from './negatives-row.js'

/** Sizes of the encoders: a convolutional one, a perceptron that reaches about the same bound, and an invertible one. */
const ENCODERS: Record<ExperimentScale, Record<'conv' | 'mlp' | 'realnvp', ConfigOverrides['encoder']>> = {
  tiny: {
    conv: { kind: 'dim', encoderSize: 28, inputChannels: 1, baseWidth: 16, embeddingDim: 64 },
    mlp: { kind: 'mlp', encoderSize: 28, inputChannels: 1, baseWidth: 300, embeddingDim: 64 },
    realnvp: { kind: 'realnvp', encoderSize: 28, inputChannels: 1, baseWidth: 128, blockDepth: 4 },
  },
  paper: {
    conv: { kind: 'dim', encoderSize: 28, inputChannels: 1, baseWidth: 64, embeddingDim: 100 },
    mlp: { kind: 'mlp', encoderSize: 28, inputChannels: 1, baseWidth: 300, embeddingDim: 100 },
    realnvp: { kind: 'realnvp', encoderSize: 28, inputChannels: 1, baseWidth: 512, blockDepth: 30 },
  },
}

/** Pictures of an update. */
const BATCH = 128
/** Updates after which an encoder is looked at; the last are 10 and 100 epochs of MNIST. */
const LOOKS: Record<ExperimentScale, readonly number[]> = {
  tiny: [1, 300, 1000, 2000, 3000, 4680],
  paper: [1, 300, 1000, 3000, 10_000, 20_000, 46_800],
}
/** Weight of what makes an encoder bad. */
const CONFUSION = 10
/** Learning rate of its opponent over its own. */
const OPPONENT_RATE = 10

const CRITICS = [
  { critic: 'bilinear', title: 'bilinear' },
  { critic: 'separable', title: 'separable' },
  { critic: 'concatenated', title: 'MLP' },
] as const

const BOUNDS = [
  { bound: 'info-nce', title: 'InfoNCE' },
  { bound: 'nwj', title: 'NWJ' },
] as const

/** All rows alike. */
function shared(scale: ExperimentScale): ConfigOverrides {
  return {
    method: 'multiview',
    classifiers: { enabled: false },
    optimizer: { learningRate: 1e-4, beta1: 0.9, weightDecay: 0 },
    augment: {
      views: 'halves',
      flipProbability: 0,
      translate: null,
      colorJitter: null,
      grayscaleProbability: 0,
      pixels: 28,
      channels: 1,
      mean: [0.5],
      std: [0.5],
    },
    schedule: { kind: 'constant', warmupUpdates: 0 },
    batchSize: BATCH,
    multiview: { units: scale === 'tiny' ? 128 : 200 },
    length: { updates: LOOKS[scale].at(-1) ?? 1 },
  }
}

/** What each row changes. */
function rows(scale: ExperimentScale) {
  const encoders = Object.entries(ENCODERS[scale]).map(([kind, encoder]) => ({ kind, encoder }))
  return encoders.flatMap(({ kind, encoder }) => {
    const row = (
      name: string,
      title: string,
      multiview: NonNullable<ConfigOverrides['multiview']>,
      more: ConfigOverrides = {},
    ) => ({
      name: `${kind}-${name}`,
      title: `${kind}, ${title}`,
      curve: { name: title, panel: kind },
      config: { encoder, multiview, ...more },
    })
    return [
      ...BOUNDS.flatMap((bound) =>
        CRITICS.map((critic) =>
          row(`${bound.bound}-${critic.critic}`, `${bound.title}, ${critic.title}`, {
            bound: bound.bound,
            critic: critic.critic,
            // All pairs of a batch through a perceptron would take many times as long as the encoder.
            ...(critic.critic === 'concatenated' && scale === 'tiny' && { negatives: 15 }),
          }),
        ),
      ),
      row('w1-separable', 'Wasserstein, separable', { bound: 'w1', critic: 'separable' }),
      row(
        'adversarial',
        'InfoNCE, separable, trained to be bad',
        { bound: 'info-nce', critic: 'separable', confusionWeight: CONFUSION },
        { classifiers: { enabled: true, hiddenUnits: 16, learningRateFactor: OPPONENT_RATE } },
      ),
    ]
  })
}

/** Whether more mutual information makes better features. */
export const limits: Experiment = {
  name: 'limits',
  title: 'Mutual information of halves and the features that it makes',
  description:
    'Encoders on MNIST that maximise a bound on the mutual information between their vectors of the upper and the lower half of a ' +
    'picture, by different critics. The loss is minus the bound at the end (with W1 no information), in nats; a linear and a kNN ' +
    "head read the vectors of upper halves; the condition number is that of the encoder's Jacobian. The last rows estimate what " +
    'two variables share that have a sign in common, with negatives that are independent of a sample, or never have its sign. ' +
    'Tschannen et al. 2020, arXiv 1907.13625, section 3.',
  measures: [
    { name: 'linear', title: 'linear', isShare: true },
    { name: 'knn', title: 'kNN', isShare: true },
    { name: 'loss', title: '- bound', isShare: false },
    { name: 'condition', title: 'condition number', isShare: false, digits: 0 },
    { name: 'truth', title: 'true information', isShare: false },
  ],
  plane: { x: 'updates', y: 'condition number, log 10' },
  async rows(scale) {
    const encoders = rows(scale).map(({ name, title, curve, config }) =>
      encoderRow({
        name,
        title,
        data: 'mnist',
        config: [shared(scale), config],
        heads: [{ data: 'mnist', measures: { linear: 'linear', knn: 'knn' } }],
        condition: { measure: 'condition', updates: LOOKS[scale], curve },
        parts: { views: 'loss' },
      }),
    )
    const estimates = (['random', 'consecutive'] as const).flatMap((batches) =>
      BOUNDS.map(({ bound }) => negativesRow(bound, batches)),
    )
    return [...encoders, ...estimates]
  },
}
