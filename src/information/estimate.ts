import type { EstimatePlan } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertSignal } from '../config/validate-signal.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { dimensionOf, type Features } from '../evaluate/search.js'
import { addon } from '../native.js'
import { assertListener, ofJson, resultListened } from '../native-job.js'

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
  /** Called with each evaluation. What it throws ends the work, which then rejects with that. */
  onEvaluation?: (point: EstimatePoint) => void
  /** Stops the work; it then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
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
 *   `AMDIM_NON_FINITE` for NaN, or a critic that diverged; `AMDIM_CANCELLED`; what `onEvaluation` throws
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
  const { request, onEvaluation, signal } = await resolveEstimate(options)
  const dimensions = [dimensionOf('x', x), dimensionOf('y', y)]
  if (x.shape[0] !== y.shape[0])
    throw new AmdimError(
      'AMDIM_SHAPE',
      `y: expected as many samples as x (${x.shape[0]}), got ${y.shape[0]}`,
      { name: 'y', expected: x.shape[0], actual: y.shape[0] },
    )
  const text = JSON.stringify(request)
  const found = await resultListened<string, string>(
    (onEvent) => addon().startEstimate(text, x.data, y.data, dimensions, onEvent),
    { listener: ofJson(onEvaluation), signal },
  )
  return { ...JSON.parse(found), bound: request.bound, critic: request.critic }
}

/** The options, checked, as the addon takes them, with every default filled in. */
async function resolveEstimate(options: EstimateOptions) {
  const [{ validate }, { ESTIMATE_BOUNDS, estimateSchema }, { DIVERGENCES }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/estimate-schema.js'),
    import('../config/method-schema.js'),
  ])
  const known = [...Object.keys(estimateSchema.shape), 'onEvaluation', 'signal']
  assertKnownKeys(options, known, 'estimateMutualInformation')
  const { onEvaluation, signal, ...settings } = options
  assertListener('onEvaluation', onEvaluation)
  assertSignal(signal)
  const why = Object.entries(DIVERGENCES).find(([name]) => name === settings.bound)?.[1] ?? null
  if (why !== null)
    throw invalidArgument(
      'bound',
      `a bound on mutual information (${ESTIMATE_BOUNDS.join(', ')})`,
      settings.bound,
      `${why}, not mutual information`,
    )
  const plan = validate(estimateSchema, settings)
  const { critic, batchSize } = plan
  const few = critic === 'concatenated' ? Math.min(FEW_NEGATIVES, batchSize - 1) : null
  const request: EstimatePlan = { ...plan, negatives: plan.negatives ?? few }
  return { request, onEvaluation, signal }
}
