import { withOwnOptions } from '../config/merge.js'
import type { AmdimConfig } from '../config/types.js'
import { assertOptions } from '../config/validate-keys.js'
import type { TrainOptions } from './options.js'
import { executeRun } from './train-amdim.js'
import { TrainingRun } from './training-run.js'

/** A way to learn an encoder. */
export type Method = AmdimConfig['method']

/** Options of {@link trainInfomax}: those of {@link trainAmdim} and the method. */
export interface InfomaxOptions extends TrainOptions {
  /**
   * `amdim`: the multiscale objective. `dim`: Deep InfoMax, whose settings are `config.dim`. `moco`: momentum contrast,
   * whose settings are `config.moco`. `multiview`: mutual information between the vectors of
   * two views, whose settings are `config.multiview`. `vib`: the deep variational information bottleneck, which learns from labels and
   * whose settings are `config.vib`. `vae`: an autoencoder, whose settings are `config.vae`.
   *
   * @default 'amdim'; with `continueFrom` or `resume` that of the file
   */
  method?: Method
}

/**
 * Trains an encoder by a method of the InfoMax family; everything but the loss is as with {@link trainAmdim}: data,
 * checkpoints and exact resume, events, evaluation, the model that comes out.
 *
 * Without a preset a run starts from that of its method: `tiny`, `dim`, `moco`, `vib` or `vae`.
 *
 * @returns a handle to await, to iterate over, and to cancel
 * @throws {@link AmdimError} when awaited, as with {@link trainAmdim}
 * @example
 * ```ts
 * import { trainInfomax } from 'amdim';
 *
 * const { model } = await trainInfomax({
 *   method: 'dim',
 *   data: 'data/cifar10-sample.tar.gz',
 *   config: { dim: { bound: 'info-nce', priorWeight: 0 } },
 *   minutes: 2,
 * });
 * ```
 */
export function trainInfomax(options: InfomaxOptions): TrainingRun {
  return new TrainingRun(async (emit, cancellation) => executeRun(toRun(options), emit, cancellation))
}

/** The run that these options mean. */
function toRun(options: InfomaxOptions): TrainOptions {
  assertOptions(options, 'trainInfomax')
  const { method, ...rest } = options
  if (method === undefined) return rest
  return { ...rest, config: withOwnOptions(rest.config, { method }) }
}
