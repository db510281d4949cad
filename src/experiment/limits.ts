import type { ConfigOverrides } from '../config/types.js'
import { encoderRow } from './encoder-row.js'
import type { DataName, Experiment, ExperimentScale, Row } from './experiment.js'
import { negativesRow } from './negatives-row.js'

/** Sizes of the encoders: a convolutional one, a perceptron that reaches about the same bound, and an invertible one. */
const ENCODERS = {
  tiny: {
    conv: { kind: 'dim', baseWidth: 16, embeddingDim: 64 },
    mlp: { kind: 'mlp', baseWidth: 300, embeddingDim: 64 },
    realnvp: { kind: 'realnvp', baseWidth: 128, blockDepth: 4 },
  },
  paper: {
    conv: { kind: 'dim', baseWidth: 64, embeddingDim: 100 },
    mlp: { kind: 'mlp', baseWidth: 300, embeddingDim: 100 },
    realnvp: { kind: 'realnvp', baseWidth: 512, blockDepth: 30 },
  },
} as const satisfies Record<ExperimentScale, Record<string, ConfigOverrides['encoder']>>

/** An encoder by its name. */
type EncoderName = keyof (typeof ENCODERS)[ExperimentScale]

/** What the pictures of a data set ask of an encoder and of its input. */
const PICTURES = {
  mnist: {
    encoder: { encoderSize: 28, inputChannels: 1 },
    augment: { pixels: 28, channels: 1, mean: [0.5], std: [0.5] },
  },
  cifar10: { encoder: { encoderSize: 32 }, augment: {} },
} as const satisfies Partial<Record<DataName, ConfigOverrides>>

/** Pictures of an update. */
const BATCH = 128
/** Updates after which an encoder is looked at; the last are 10 and 100 epochs of MNIST, 12 and 120 of CIFAR-10. */
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
    },
    schedule: { kind: 'constant', warmupUpdates: 0 },
    batchSize: BATCH,
    multiview: { units: scale === 'tiny' ? 128 : 200 },
    length: { updates: LOOKS[scale].at(-1) ?? 1 },
  }
}

/** An encoder, and the pictures that it learns from. */
interface On {
  data: keyof typeof PICTURES
  kind: EncoderName
}

/** A row: an encoder on a data set, and what else it changes. */
function halvesRow(
  scale: ExperimentScale,
  { data, kind }: On,
  name: string,
  title: string,
  multiview: NonNullable<ConfigOverrides['multiview']>,
  more: ConfigOverrides = {},
): Row {
  const [prefix, panel] = data === 'mnist' ? ['', kind] : [`${data}-`, `CIFAR-10, ${kind}`]
  return encoderRow({
    name: `${prefix}${kind}-${name}`,
    title: `${panel}, ${title}`,
    data,
    config: [shared(scale), PICTURES[data], { encoder: ENCODERS[scale][kind], multiview, ...more }],
    heads: [{ data, measures: { linear: 'linear', knn: 'knn' } }],
    condition: { measure: 'condition', updates: LOOKS[scale], curve: { name: title, panel } },
    parts: { views: 'loss' },
  })
}

/** Critics and bounds with one of the encoders. */
function criticRows(scale: ExperimentScale, on: On, critics: readonly (typeof CRITICS)[number][]) {
  return BOUNDS.flatMap((bound) =>
    critics.map(({ critic, title }) =>
      halvesRow(scale, on, `${bound.bound}-${critic}`, `${bound.title}, ${title}`, {
        bound: bound.bound,
        critic,
        // All pairs of a batch through a perceptron would take many times as long as the encoder.
        ...(critic === 'concatenated' && scale === 'tiny' && { negatives: 15 }),
      }),
    ),
  )
}

/** MNIST: every encoder with every critic and bound, and what is peculiar to this study. */
function mnistRows(scale: ExperimentScale): Row[] {
  return (['conv', 'mlp', 'realnvp'] as const).flatMap((kind) => {
    const on = { data: 'mnist', kind } as const
    return [
      ...criticRows(scale, on, CRITICS),
      halvesRow(scale, on, 'w1-separable', 'Wasserstein, separable', { bound: 'w1', critic: 'separable' }),
      halvesRow(
        scale,
        on,
        'adversarial',
        'InfoNCE, separable, trained to be bad',
        { bound: 'info-nce', critic: 'separable', confusionWeight: CONFUSION },
        { classifiers: { enabled: true, hiddenUnits: 16, learningRateFactor: OPPONENT_RATE } },
      ),
    ]
  })
}

/** CIFAR-10: whether what MNIST shows of encoders, bounds and the two critics without a pass a pair is so elsewhere. */
function cifarRows(scale: ExperimentScale): Row[] {
  const critics = CRITICS.filter(({ critic }) => critic !== 'concatenated')
  return (['conv', 'mlp'] as const).flatMap((kind) => criticRows(scale, { data: 'cifar10', kind }, critics))
}

/** Whether more mutual information makes better features. */
export const limits: Experiment = {
  name: 'limits',
  title: 'Mutual information of halves and the features that it makes',
  description:
    'Encoders on MNIST and CIFAR-10 that maximise a bound on the mutual information between their vectors of the upper and the lower half of a ' +
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
    const estimates = (['random', 'consecutive'] as const).flatMap((batches) =>
      BOUNDS.map(({ bound }) => negativesRow(bound, batches)),
    )
    return [...mnistRows(scale), ...cifarRows(scale), ...estimates]
  },
}
