import { assertKnownKeys } from '../config/validate-keys.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { dimensionOf, type Features } from '../evaluate/search.js'

/** Options of {@link trainLinearProbe}. */
export interface ProbeOptions {
  /**
   * Number of classes.
   *
   * @default the largest label + 1
   */
  classes?: number
  /**
   * Passes over the training pictures.
   *
   * @default 100 for the linear probe, 50 for the MLP
   */
  epochs?: number
  /**
   * Pictures a step.
   *
   * @default 256
   */
  batchSize?: number
  /**
   * Learning rate of Adam at the start; it falls to zero along half a cosine.
   *
   * @default 0.05 for the linear probe, 0.002 for the MLP
   */
  learningRate?: number
  /**
   * Weight of the sum of the squared weights in the loss, biases not counted.
   *
   * @default 1e-4
   */
  l2?: number
  /**
   * Seed of the weights, the order of the pictures and dropout: the same seed on the same machine gives the same model.
   *
   * @default 1
   */
  seed?: number
  /** Stops the training after the current step; it then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
  /** Called after every epoch. */
  onEpoch?: (progress: ProbeProgress) => void
}

/** Options of {@link trainMlpProbe}. */
export interface MlpProbeOptions extends ProbeOptions {
  /**
   * Units of the hidden layer.
   *
   * @default 1024
   */
  hiddenUnits?: number
  /**
   * Probability of dropping an input or hidden unit in training, 0..1.
   *
   * @default 0.2
   */
  dropout?: number
}

/** How far the training of a probe is. */
export interface ProbeProgress {
  /** The epoch that is over, from 1. */
  epoch: number
  /** Epochs in all. */
  epochs: number
  /** Mean loss of its steps in nats, the penalty included. */
  loss: number
}

/** Options with every default filled in. */
export type ProbePlan = Required<Omit<MlpProbeOptions, 'signal' | 'onEpoch'>> &
  Pick<ProbeOptions, 'signal' | 'onEpoch'>

/** What a probe learns from. */
export interface ProbeData {
  /** `[rows, dimension]`, row-major. */
  values: Float32Array
  rows: number
  dimension: number
  /** `[rows]`, 0..classes - 1. */
  labels: Int32Array
}

const SHARED = ['classes', 'epochs', 'batchSize', 'learningRate', 'l2', 'seed', 'signal', 'onEpoch']

const atLeast = (least: number) => (value: number) => Number.isInteger(value) && value >= least
const RANGES: [keyof ProbePlan, (value: number) => boolean, string][] = [
  ['classes', atLeast(2), 'a whole number >= 2'],
  ['epochs', atLeast(1), 'a whole number >= 1'],
  ['batchSize', atLeast(1), 'a whole number >= 1'],
  ['learningRate', (value) => value > 0 && value <= 10, 'a number above 0, at most 10'],
  ['l2', (value) => value >= 0 && value < Infinity, 'a number >= 0'],
  ['seed', atLeast(0), 'a whole number >= 0'],
  ['hiddenUnits', atLeast(1), 'a whole number >= 1'],
  ['dropout', (value) => value >= 0 && value < 1, 'a number >= 0 and below 1'],
]

/** Checks the options and fills in the defaults. */
export function resolveProbe(
  options: MlpProbeOptions,
  labels: Int32Array,
  kind: 'linear' | 'mlp',
): ProbePlan {
  const own = kind === 'mlp' ? ['hiddenUnits', 'dropout'] : []
  assertKnownKeys(options, [...SHARED, ...own], kind === 'mlp' ? 'trainMlpProbe' : 'trainLinearProbe')
  const plan: ProbePlan = {
    classes: labels.reduce((most, label) => Math.max(most, label), 0) + 1,
    epochs: kind === 'mlp' ? 50 : 100,
    batchSize: 256,
    learningRate: kind === 'mlp' ? 2e-3 : 5e-2,
    l2: 1e-4,
    seed: 1,
    hiddenUnits: 1024,
    dropout: 0.2,
    ...options,
  }
  for (const [name, fits, range] of RANGES)
    if (typeof plan[name] !== 'number' || !fits(plan[name])) throw invalidArgument(name, range, plan[name])
  const tooLarge = labels.find((label) => label >= plan.classes)
  if (tooLarge !== undefined)
    throw invalidArgument('labels', `labels below ${plan.classes} (classes)`, tooLarge)
  return plan
}

/** Checks features and labels. */
export function probeData(features: Features, labels: ArrayLike<number>): ProbeData {
  const dimension = dimensionOf('features', features)
  const rows = features.shape[0] ?? 0
  if (typeof labels !== 'object' || labels === null || !Number.isInteger(labels.length))
    throw invalidArgument('labels', 'an Int32Array or an array of whole numbers', labels)
  if (labels.length !== rows)
    throw new AmdimError('AMDIM_SHAPE', `labels: expected one a picture, ${rows}, got ${labels.length}`, {
      name: 'labels',
      expected: rows,
      actual: labels.length,
    })
  const bad = features.data.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0)
    throw new AmdimError(
      'AMDIM_NON_FINITE',
      `features: expected finite values, got ${features.data[bad]} in row ${Math.floor(bad / dimension)}`,
      { name: 'features', row: Math.floor(bad / dimension) },
    )
  const classes = Array.from(labels)
  const unlabelled = classes.findIndex((label) => !Number.isInteger(label) || label < 0 || label > 1e6)
  if (unlabelled >= 0)
    throw new AmdimError(
      'AMDIM_DATA',
      `labels: expected a class, 0 or more, for every picture, got ${classes[unlabelled]} for picture ${unlabelled}`,
      { name: 'labels', index: unlabelled, actual: classes[unlabelled] },
    )
  return { values: features.data, rows, dimension, labels: Int32Array.from(classes) }
}
