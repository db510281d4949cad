import type { ConfigOverrides } from '../config/types.js'
import { estimateMutualInformation } from '../information/estimate.js'
import { encoderRow } from './encoder-row.js'
import type { Experiment, ExperimentScale, Row } from './experiment.js'
import { normals } from './normals.js'

/** Sizes of the two encoders: a convolutional one, and a perceptron that reaches about the same bound. */
const ENCODERS: Record<ExperimentScale, Record<'conv' | 'mlp', ConfigOverrides['encoder']>> = {
  tiny: {
    conv: { kind: 'dim', encoderSize: 28, inputChannels: 1, baseWidth: 16, embeddingDim: 64 },
    mlp: { kind: 'mlp', encoderSize: 28, inputChannels: 1, baseWidth: 300, embeddingDim: 64 },
  },
  paper: {
    conv: { kind: 'dim', encoderSize: 28, inputChannels: 1, baseWidth: 64, embeddingDim: 100 },
    mlp: { kind: 'mlp', encoderSize: 28, inputChannels: 1, baseWidth: 300, embeddingDim: 100 },
  },
}

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
  const isTiny = scale === 'tiny'
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
    schedule: { warmupUpdates: 0 },
    batchSize: 128,
    multiview: { units: isTiny ? 128 : 200 },
    length: { epochs: isTiny ? 10 : 100 },
  }
}

/** What each row changes. */
function rows(scale: ExperimentScale): { name: string; title: string; config: ConfigOverrides }[] {
  return (['conv', 'mlp'] as const).flatMap((kind) => {
    const encoder = ENCODERS[scale][kind]
    const row = (name: string, title: string, multiview: NonNullable<ConfigOverrides['multiview']>) => ({
      name: `${kind}-${name}`,
      title: `${kind}, ${title}`,
      config: { encoder, multiview },
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
    ]
  })
}

/** Samples whose sign alternates, each variable with noise of its own. */
function signs(count: number, seed: number) {
  const next = normals(seed)
  const [x, y] = [0, 1].map(() =>
    Float32Array.from({ length: count }, (_, i) => (i % 2 === 0 ? 1 : -1) + next()),
  )
  return [x as Float32Array, y as Float32Array] as const
}

/** The mutual information of two variables that share a sign and have normal noise of variance 1: a sum over a grid. */
export function informationOfSigns(): number {
  const step = 0.05
  const grid = Array.from({ length: 241 }, (_, i) => (i - 120) * step)
  const density = (x: number, sign: number) => Math.exp(-((x - sign) ** 2) / 2) / Math.sqrt(2 * Math.PI)
  const marginal = (x: number) => (density(x, 1) + density(x, -1)) / 2
  return grid.reduce(
    (sum, x) =>
      grid.reduce((inner, y) => {
        const joint = (density(x, 1) * density(y, 1) + density(x, -1) * density(y, -1)) / 2
        return inner + joint * Math.log(joint / (marginal(x) * marginal(y))) * step * step
      }, sum),
    0,
  )
}

/** Estimates with one negative a sample that is independent of it, or its neighbour, whose sign is the other. */
function negativesRow(bound: 'info-nce' | 'nwj', batches: 'random' | 'consecutive'): Row {
  const settings = { bound, critic: 'separable', units: 64, batchSize: 256, negatives: 1, batches } as const
  const updates = 2000
  const estimate = async (count: number, seed: number, more: object) => {
    const [x, y] = signs(count, seed)
    const shape = [count, 1]
    return estimateMutualInformation({ data: x, shape }, { data: y, shape }, { ...settings, seed, ...more })
  }
  const isRandom = batches === 'random'
  const name = `${isRandom ? 'independent' : 'dependent'}-negatives-${bound}`
  return {
    name,
    title: `${isRandom ? 'independent' : 'dependent'} negatives, ${bound === 'nwj' ? 'NWJ' : 'InfoNCE'}`,
    data: [],
    settings: { ...settings, updates, samples: 40_000 },
    async run({ seed, signal, settings: { threads } }) {
      const began = performance.now()
      const { nats } = await estimate(40_000, seed, {
        updates,
        signal,
        ...(threads !== undefined && { threads }),
      })
      return {
        measures: { loss: -nats, truth: informationOfSigns() },
        pairs: updates * settings.batchSize,
        trainMinutes: (performance.now() - began) / 60_000,
      }
    },
    async dryRun({ signal }) {
      const began = performance.now()
      const { nats } = await estimate(64, 1, { updates: 1, batchSize: 16, signal })
      const { units } = settings
      return {
        row: name,
        parameters: 2 * (2 * units + 2 * (units + 1) * units),
        batchSize: 16,
        fullBatchSize: settings.batchSize,
        loss: -nats,
        seconds: (performance.now() - began) / 1000,
      }
    },
  }
}

/** Whether more mutual information makes better features. */
export const limits: Experiment = {
  name: 'limits',
  title: 'Mutual information of halves and the features that it makes',
  description:
    'Encoders on MNIST that maximise a bound on the mutual information between their vectors of the upper and the lower half of a ' +
    'picture, by different critics. The loss is minus the bound at the end (with W1 no information), in nats; a linear and a kNN ' +
    "head read the vectors of whole pictures; the condition number is that of the encoder's Jacobian. The last rows estimate what two variables share that have a sign in common, with " +
    'negatives that are independent of a sample, or never have its sign. Tschannen et al. 2020, arXiv 1907.13625, section 3.',
  measures: [
    { name: 'linear', title: 'linear', isShare: true },
    { name: 'knn', title: 'kNN', isShare: true },
    { name: 'loss', title: '- bound', isShare: false },
    { name: 'condition', title: 'condition number', isShare: false, digits: 0 },
    { name: 'truth', title: 'true information', isShare: false },
  ],
  async rows(scale) {
    const encoders = rows(scale).map(({ name, title, config }) =>
      encoderRow({
        name,
        title,
        data: 'mnist',
        config: [shared(scale), config],
        heads: [{ data: 'mnist', measures: { linear: 'linear', knn: 'knn' } }],
        condition: 'condition',
        parts: { views: 'loss' },
      }),
    )
    const estimates = (['random', 'consecutive'] as const).flatMap((batches) =>
      BOUNDS.map(({ bound }) => negativesRow(bound, batches)),
    )
    return [...encoders, ...estimates]
  },
}
