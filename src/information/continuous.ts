import { availableParallelism } from 'node:os'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertSignal } from '../config/validate-signal.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { dimensionOf, type Features } from '../evaluate/search.js'
import { addon } from '../native.js'
import { resultOf } from '../native-job.js'
import { finiteInUnit, inUnit, type Unit } from './unit.js'
import { assertVariance } from './variance.js'

/** Options that all estimators of continuous samples take. */
export interface SampleOptions {
  /**
   * Unit of the result.
   *
   * @default 'nats'
   */
  unit?: Unit
  /**
   * Threads of the computation, 1 to 1024. The result does not depend on it.
   *
   * @default one a core
   */
  threads?: number
  /** Stops the work; it then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
}

/** A lower and an upper bound. */
export interface InformationBounds {
  /** Not above the value. */
  lower: number
  /** Not below it. */
  upper: number
}

/** Options of {@link binnedEntropy} and {@link binnedMutualInformation}. */
export interface BinningOptions extends SampleOptions {
  /**
   * Bins of equal width that each dimension is cut into, at least 2.
   *
   * @default 30
   */
  bins?: number
}

/** Options of {@link kdeEntropy} and {@link kdeInformation}. */
export interface KdeOptions extends SampleOptions {
  /**
   * Variance of the normal noise that is added to each dimension, above 0.
   *
   * @default 0.1
   */
  noiseVariance?: number
}

/** Options of {@link knnMutualInformation}. */
export interface KnnInformationOptions extends SampleOptions {
  /**
   * Which neighbour's distance counts, from 1.
   *
   * @default 3
   */
  k?: number
}

/** Options of {@link edgeMutualInformation}. */
export interface EdgeInformationOptions extends SampleOptions {
  /**
   * Estimates with bins of different width that are combined, 3 to 1024.
   *
   * @default 20
   */
  ensemble?: number
  /**
   * Most dimensions of a variable, 1 to 1024; one that has more is projected on so many random directions.
   *
   * @default 2
   */
  projections?: number
  /**
   * Seed of the bins' random origins and of the directions.
   *
   * @default 1
   */
  seed?: number
}

/** What a layer shares with the input of its network, and with labels. */
export interface LayerInformation {
  /** Bounds on I(X; T). */
  input: InformationBounds
  /** Bounds on I(T; Y); `null` without labels. */
  labels: InformationBounds | null
}

type AnsweredBounds = [lower: number | null, upper: number | null]

/** What the addon answers, in nats; `null` in bounds stands for a number that is not finite. */
interface Answer {
  value: number | null
  bounds: AnsweredBounds | null
  labelBounds: AnsweredBounds | null
}

/**
 * Entropy of samples whose dimensions are cut into bins; rows in the same bins count as one value. At most the logarithm of
 * the number of rows, which it reaches in many dimensions. A variable that does not vary, or of a single sample, is a
 * point mass: its entropy is 0.
 *
 * @param x - `[samples, ...]`, at least 1
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for fewer than 2 bins, `AMDIM_NON_FINITE` for NaN
 */
export async function binnedEntropy(x: Features, options: BinningOptions = {}): Promise<number> {
  const { bins = 30, ...rest } = known(options, ['bins'], 'binnedEntropy')
  return value('binnedEntropy', await ask({ name: 'binnedEntropy', bins }, { x }, rest), rest)
}

/**
 * Mutual information of two variables whose dimensions are cut into bins, by the frequencies of the bins. It is too large
 * where there are few samples a bin. A variable that does not vary, or of a single sample, is a point mass, which shares
 * nothing: 0.
 *
 * @param x - `[samples, ...]`, at least 1
 * @param y - as many samples
 * @throws {@link AmdimError} as {@link binnedEntropy}; `AMDIM_SHAPE` for different numbers of samples
 */
export async function binnedMutualInformation(
  x: Features,
  y: Features,
  options: BinningOptions = {},
): Promise<number> {
  const { bins = 30, ...rest } = known(options, ['bins'], 'binnedMutualInformation')
  const question = { name: 'binnedInformation', bins }
  return value('binnedMutualInformation', await ask(question, { x, y }, rest), rest)
}

/**
 * Bounds on the entropy of samples plus normal noise: of a mixture of Gaussians, one at each sample (Kolchinsky, Tracey
 * 2017, arXiv 1706.02419).
 *
 * @param x - `[samples, ...]`, at least 2
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a variance that is not above 0, `AMDIM_NON_FINITE` for NaN
 */
export async function kdeEntropy(x: Features, options: KdeOptions = {}): Promise<InformationBounds> {
  const { noiseVariance = 0.1, ...rest } = known(options, ['noiseVariance'], 'kdeEntropy')
  const { bounds } = await ask({ name: 'kdeEntropy', noiseVariance }, { x }, rest)
  return boundsIn('kdeEntropy', bounds, rest.unit)
}

/**
 * What the activations of a layer share with the input of the network and with labels, with normal noise added to them
 * (Saxe et al. 2018, "On the information bottleneck theory of deep learning").
 *
 * @param activations - `[samples, ...]`
 * @param labels - a whole number of 0 or more for each sample
 * @throws {@link AmdimError} as {@link kdeEntropy}; `AMDIM_SHAPE` for another number of labels
 */
export async function kdeInformation(
  activations: Features,
  labels: ArrayLike<number> | null = null,
  options: KdeOptions = {},
): Promise<LayerInformation> {
  const { noiseVariance = 0.1, ...rest } = known(options, ['noiseVariance'], 'kdeInformation')
  const question = { name: 'kdeInformation', noiseVariance }
  const { bounds, labelBounds } = await ask(question, { x: activations, labels }, rest)
  return {
    input: boundsIn('kdeInformation', bounds, rest.unit),
    labels: labelBounds && boundsIn('kdeInformation', labelBounds, rest.unit),
  }
}

/**
 * Mutual information of two continuous variables by the distances of k-th nearest neighbours (Kraskov, Stoegbauer,
 * Grassberger 2004, algorithm 1). All pairs are compared, so time grows with the square of the samples.
 *
 * Samples that repeat are not continuous: with more than `k` equal ones, as of a discrete variable, the k-th neighbour is
 * at distance 0, no neighbour is nearer, and the estimate is too large. Use {@link mutualInformation} or
 * {@link binnedMutualInformation} for discrete variables.
 *
 * @param x - `[samples, ...]`, more than `k`
 * @param y - as many samples
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a `k` out of range or a variable that does not vary,
 *   `AMDIM_SHAPE` for different numbers of samples, `AMDIM_NON_FINITE` for NaN
 * @example
 * ```ts
 * import { knnMutualInformation } from 'amdim/information';
 *
 * const x = Float32Array.from({ length: 500 }, () => Math.random());
 * const y = x.map((value) => value + 0.1 * Math.random());
 * const shape = [500, 1];
 * console.log((await knnMutualInformation({ data: x, shape }, { data: y, shape }, { unit: 'bits' })).toFixed(1));
 * ```
 */
export async function knnMutualInformation(
  x: Features,
  y: Features,
  options: KnnInformationOptions = {},
): Promise<number> {
  const { k = 3, ...rest } = known(options, ['k'], 'knnMutualInformation')
  return value('knnMutualInformation', await ask({ name: 'knnInformation', k }, { x, y }, rest), rest)
}

/**
 * Mutual information of two continuous variables by an ensemble of dependence graphs (EDGE: Noshad, Zeng, Hero 2019,
 * arXiv 1801.09125), in time linear in the samples. Accurate in up to two dimensions a variable; of more, what random
 * projections of it share, which is rather too little.
 *
 * @param x - `[samples, ...]`
 * @param y - as many samples
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for an option out of range or a variable that does not vary,
 *   `AMDIM_SHAPE` for different numbers of samples, `AMDIM_NON_FINITE` for NaN
 */
export async function edgeMutualInformation(
  x: Features,
  y: Features,
  options: EdgeInformationOptions = {},
): Promise<number> {
  const own = ['ensemble', 'projections', 'seed']
  const { ensemble = 20, projections = 2, seed = 1, ...rest } = known(options, own, 'edgeMutualInformation')
  const question = { name: 'edgeInformation', ensemble, projections, seed }
  return value('edgeMutualInformation', await ask(question, { x, y }, rest), rest)
}

function known<T extends SampleOptions>(options: T, own: readonly string[], name: string): T {
  assertKnownKeys(options, ['unit', 'threads', 'signal', ...own], name)
  inUnit(0, options.unit)
  assertSignal(options.signal)
  return options
}

interface Variables {
  x: Features
  y?: Features
  labels?: ArrayLike<number> | null
}

/** A question as the addon takes it: its name and its options. */
type Question = { name: string; noiseVariance?: number } & Partial<Record<(typeof WHOLE)[number], number>>

/** Options that are whole numbers; the addon knows their ranges. */
const WHOLE = ['bins', 'k', 'ensemble', 'projections', 'seed'] as const

/** Most threads that are worth asking for. */
const MOST_THREADS = 1024

async function ask(
  question: Question,
  { x, y, labels = null }: Variables,
  { threads = Math.min(availableParallelism(), MOST_THREADS), signal }: SampleOptions,
): Promise<Answer> {
  if (!Number.isSafeInteger(threads) || threads < 1 || threads > MOST_THREADS)
    throw invalidArgument('threads', `a whole number >= 1 and <= ${MOST_THREADS}`, threads)
  assertQuestion(question)
  const dimensions = [dimensionOf('x', x), y === undefined ? 0 : dimensionOf('y', y)]
  if (y !== undefined && x.shape[0] !== y.shape[0])
    throw new AmdimError(
      'AMDIM_SHAPE',
      `y: expected as many samples as x (${x.shape[0]}), got ${y.shape[0]}`,
      { name: 'y', expected: x.shape[0], actual: y.shape[0] },
    )
  const numbers = labels && Uint32Array.from(labels, wholeLabel)
  const request = JSON.stringify({ question, threads })
  const started = addon().startInformation(request, x.data, y?.data ?? null, numbers, dimensions)
  return JSON.parse(await resultOf(started, signal)) as Answer
}

function assertQuestion(question: Question): void {
  if ('noiseVariance' in question) assertVariance('noiseVariance', question.noiseVariance)
  for (const name of WHOLE) {
    const count: unknown = question[name]
    if (name in question && !(Number.isSafeInteger(count) && (count as number) >= 0))
      throw invalidArgument(name, 'a whole number', count)
  }
}

function wholeLabel(label: number, i: number): number {
  if (Number.isInteger(label) && label >= 0 && label < 2 ** 32) return label
  throw invalidArgument(`labels[${i}]`, 'a whole number of 0 or more', label)
}

function value(name: string, answer: Answer, { unit }: SampleOptions): number {
  return finiteInUnit(name, answer.value, unit)
}

function boundsIn(name: string, bounds: AnsweredBounds | null, unit: Unit | undefined): InformationBounds {
  const [lower, upper] = [0, 1].map((place) => finiteInUnit(name, bounds?.[place], unit)) as [number, number]
  return { lower, upper }
}
