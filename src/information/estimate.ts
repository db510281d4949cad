import type { EstimatePlan } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { dimensionOf, type Features } from '../evaluate/search.js'
import { addon } from '../native.js'
import { resultOf } from '../native-job.js'

/** One evaluation of {@link estimateMutualInformation}. */
export interface EstimatePoint {
  /** Updates of the critic so far. */
  update: number
  /** The bound on the held-out samples, in nats. */
  nats: number
  /** The bound on training batches since the last evaluation, in nats. */
  trainingNats: number
}

/** What {@link estimateMutualInformation} found. */
export interface MutualInformationEstimate {
  /** Mutual information in nats: mean over the last quarter of the evaluations on held-out samples. */
  nats: number
  /** Standard deviation of those evaluations. */
  deviation: number
  /** What the bound can't exceed: `log(1 + negatives)` of `info-nce`; `null` of the others. */
  limit: number | null
  /** All evaluations. */
  curve: EstimatePoint[]
  /** Samples that the critic was trained on. */
  trainSize: number
  /** Samples that the estimate was made on. */
  validationSize: number
  /** Which bound. */
  bound: EstimatePlan['bound']
  /** Which critic. */
  critic: EstimatePlan['critic']
}

/** Options of {@link estimateMutualInformation}; `jsonSchema('estimate')` lists them with ranges and defaults. */
export interface EstimateOptions extends Partial<EstimatePlan> {
  /** Called with each evaluation. */
  onEvaluation?: (point: EstimatePoint) => void
  /** Stops the work; it then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
}

/** Divergences by which an encoder can be trained, but which are not in units of mutual information. */
const NO_BOUNDS: Readonly<Record<string, string>> = {
  jsd: 'it bounds the Jensen-Shannon divergence',
  gan: 'it bounds the Jensen-Shannon divergence',
  rkl: 'it bounds the KL divergence the other way round',
  h2: 'it bounds the squared Hellinger distance',
  x2: 'it bounds the chi-squared divergence',
  w1: 'it bounds a Wasserstein distance',
}

/** Negatives of a sample where the critic costs a pass for every pair. */
const FEW_NEGATIVES = 8

/**
 * Estimates the mutual information of two continuous variables from samples: a critic is trained to raise a lower bound
 * on it, and the bound is read off held-out samples. `docs/methods/mutual-information-bounds.md` has the bounds.
 *
 * @param x - samples of one variable, `[samples, ...]`
 * @param y - samples of the other; those of the same number belong together
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option, a divergence that does not bound mutual
 *   information, too few samples, a variable that does not vary; `AMDIM_SHAPE` for different numbers of samples;
 *   `AMDIM_NON_FINITE` for NaN, or a critic that diverged; `AMDIM_CANCELLED`
 * @example
 * ```ts
 * import { estimateMutualInformation } from 'amdim';
 *
 * const noise = Float32Array.from({ length: 4000 }, () => Math.random() - 0.5);
 * const x = Float32Array.from({ length: 4000 }, () => Math.random() - 0.5);
 * const y = x.map((value, i) => value + 0.3 * (noise[i] ?? 0));
 * const shape = [4000, 1];
 * const { nats } = await estimateMutualInformation({ data: x, shape }, { data: y, shape }, { updates: 500 });
 * console.log(nats.toFixed(2));
 * ```
 */
export async function estimateMutualInformation(
  x: Features,
  y: Features,
  options: EstimateOptions = {},
): Promise<MutualInformationEstimate> {
  const { onEvaluation, signal, ...settings } = options
  const request = await resolveEstimate(settings)
  const dimensions = [dimensionOf('x', x), dimensionOf('y', y)]
  if (x.shape[0] !== y.shape[0])
    throw new AmdimError(
      'AMDIM_SHAPE',
      `y: expected as many samples as x (${x.shape[0]}), got ${y.shape[0]}`,
      { name: 'y', expected: x.shape[0], actual: y.shape[0] },
    )
  const onEvent = (event: string) => onEvaluation?.(JSON.parse(event) as EstimatePoint)
  const started = addon().startEstimate(JSON.stringify(request), x.data, y.data, dimensions, onEvent)
  const found = JSON.parse(await resultOf(started, signal))
  return { ...found, bound: request.bound, critic: request.critic }
}

/** The options with every default filled in. */
async function resolveEstimate(settings: Partial<EstimatePlan>): Promise<EstimatePlan> {
  const [{ validate }, { estimateSchema }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/estimate-schema.js'),
  ])
  assertKnownKeys(
    settings,
    [...Object.keys(estimateSchema.shape), 'onEvaluation', 'signal'],
    'estimateMutualInformation',
  )
  const bound: unknown = settings.bound
  if (typeof bound === 'string' && Object.hasOwn(NO_BOUNDS, bound))
    throw invalidArgument(
      'bound',
      'a bound on mutual information (info-nce, mine, dv, nwj)',
      bound,
      `${NO_BOUNDS[bound]}, not mutual information`,
    )
  const request = validate(estimateSchema, settings)
  const { critic, batchSize, negatives } = request
  if (critic !== 'concatenated' || negatives !== null) return request
  return { ...request, negatives: Math.min(FEW_NEGATIVES, batchSize - 1) }
}
