import { resolveSources } from '../config/resolve.js'
import type { AmdimConfig, ConfigOverrides } from '../config/types.js'
import { AmdimError } from '../errors.js'
import { informationPlane } from '../evaluate/information-plane.js'
import type { AmdimModel } from '../model/amdim-model.js'
import { errorOfOwn, oneStep } from './encoder-row.js'
import type { Curve, Experiment, ExperimentScale, Job, Row, RowResult } from './experiment.js'
import { trainAndLook } from './looks.js'

type Activation = 'relu' | 'tanh'
type Estimator = 'kde' | 'binning'

/** Layers of a network and updates after which it is looked at. */
const SIZES: Record<ExperimentScale, { encoder: ConfigOverrides['encoder']; updates: readonly number[] }> = {
  tiny: {
    encoder: { baseWidth: 12, blockDepth: 4, embeddingDim: 10 },
    updates: [1, 10, 30, 100, 300, 1000, 3000, 6000, 12_000],
  },
  paper: {
    encoder: { baseWidth: 20, blockDepth: 4, embeddingDim: 10 },
    updates: [1, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000],
  },
}

/** A deterministic network, so that all of its information about the picture is kept or lost in its layers. */
function configOf(activation: Activation, scale: ExperimentScale): ConfigOverrides {
  return {
    vib: { beta: null },
    encoder: { ...SIZES[scale].encoder, activation },
    classifiers: { hiddenUnits: 16 },
    optimizer: { learningRate: 1e-3, beta1: 0.9 },
    schedule: { kind: 'constant' },
    batchSize: 100,
  }
}

function row(activation: Activation, estimator: Estimator, scale: ExperimentScale): Row {
  const { updates } = SIZES[scale]
  const { seed: _seed, ...config } = resolveSources({
    preset: 'vib',
    overrides: { ...configOf(activation, scale), length: { updates: updates.at(-1) ?? 1 } },
  })
  const name = `${activation}-${estimator}`
  return {
    name,
    title: `${activation}, ${estimator === 'kde' ? 'KDE' : 'binning'}`,
    data: ['mnist'],
    settings: { data: 'mnist', config, estimator, updates },
    run: (job) => paths({ ...config, seed: job.seed }, estimator, updates, job),
    dryRun: (job) => oneStep({ name, data: 'mnist', config: { ...config, seed: 1 } }, job),
  }
}

/** Trains, and says where the layers were at each look. */
async function paths(
  config: AmdimConfig,
  estimator: Estimator,
  updates: readonly number[],
  job: Job,
): Promise<RowResult> {
  const { test } = await job.data('mnist')
  if (test === null)
    throw new AmdimError('AMDIM_DATA', 'data: mnist has no test split, on which layers are looked at')
  const { threads } = job.settings
  const curves = new Map<string, [number, number][]>()
  const look = async (model: AmdimModel) => {
    const options = { estimator, signal: job.signal, ...(threads !== undefined && { threads }) }
    for (const { layer, input, labels } of await informationPlane(model, test, options))
      curves.set(layer, [...(curves.get(layer) ?? []), [input, labels]])
  }
  const { model, pairs, seconds } = await trainAndLook(
    { data: 'mnist', preset: 'vib', config, updates },
    job,
    look,
  )
  try {
    const found: Curve[] = [...curves].map(([name, points]) => ({ name, updates, points }))
    const error = await errorOfOwn(model, 'mnist', job)
    const measures = { error, ...ofLastHidden(found) }
    return { measures, curves: found, pairs, trainMinutes: seconds / 60 }
  } finally {
    model.dispose()
  }
}

/** Where the last hidden layer came to lie, and by how much its I(X; T) fell from its largest value. */
function ofLastHidden(curves: readonly Curve[]): Record<string, number> {
  const points = curves.filter(({ name }) => name.startsWith('hidden')).at(-1)?.points ?? []
  const [input, labels] = points.at(-1) ?? [Number.NaN, Number.NaN]
  return { input, labels, compression: Math.max(...points.map(([x]) => x)) - input }
}

/** The information plane of perceptrons on MNIST. */
export const plane: Experiment = {
  name: 'information-plane',
  title: 'Information plane of perceptrons on MNIST',
  description:
    'What the layers of a perceptron share with the picture and with the label while it learns to classify MNIST, in nats, over the ' +
    '10,000 test pictures, whose entropy is log 10,000 = 9.2. Input and labels: of the last hidden layer at the end; compression: by ' +
    'how much its information about the picture has fallen from its largest value. Tishby, Zaslavsky 2015, arXiv 1503.02406; Saxe et ' +
    'al. 2018.',
  measures: [
    { name: 'compression', title: 'compression', isShare: false },
    { name: 'input', title: 'I(X; T)', isShare: false },
    { name: 'labels', title: 'I(T; Y)', isShare: false },
    { name: 'error', title: 'test error', isShare: true },
  ],
  plane: { x: 'I(X; T), nats', y: 'I(T; Y), nats' },
  async rows(scale) {
    return (['tanh', 'relu'] as const).flatMap((activation) =>
      (['binning', 'kde'] as const).map((estimator) => row(activation, estimator, scale)),
    )
  },
}
