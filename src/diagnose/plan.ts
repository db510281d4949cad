import { findPreset } from '../config/presets.js'
import type { ConfigOverrides, PresetName, RunSettings } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertSignal } from '../config/validate-signal.js'
import { addon } from '../native.js'
import { resultOf } from '../native-job.js'

/**
 * Options of {@link plan}: those of {@link trainAmdim} that decide what a run takes, and the size of the data set in
 * place of the data set.
 */
export interface PlanOptions
  extends Partial<Pick<RunSettings, 'device' | 'executor' | 'precision' | 'threads' | 'prefetch'>> {
  /**
   * Named set of values to start from.
   *
   * @default 'tiny'
   */
  preset?: PresetName
  /** Values laid over the preset, at any depth. */
  config?: ConfigOverrides
  /**
   * Number of training pictures, at least a batch; it turns epochs into updates.
   *
   * @default null: not known, and what depends on it is `null` in the result
   */
  pictures?: number | null
  /**
   * Classes of the labels, which the online classifiers learn; 0 without labels.
   *
   * @default those of the data set that the preset is made for
   */
  classes?: number | null
  /** Length of the run in passes over the training pictures; one of `epochs`, `updates`, `minutes`. */
  epochs?: number
  /** Length of the run in updates. */
  updates?: number
  /** Length of the run in minutes of training, evaluation excluded. */
  minutes?: number
  /**
   * Leave the encoder as it is; only the online classifiers learn.
   *
   * @default false
   */
  freezeEncoder?: boolean
  /** Stops the timing after the step under way; the promise then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
}

/** Resident memory of a run in bytes, part by part. The data set is not in it. */
export interface PlannedMemory {
  /** The peak: the sum of all parts, reached while a checkpoint is written. */
  total: number
  /** This process as it is now, before the run. */
  base: number
  /** Parameters in every form, their gradients, the optimiser's state. */
  parameters: number
  /** Maps of both views that wait for the backward pass, and their gradients. */
  maps: number
  /** The loss and the online classifiers. */
  loss: number
  /** What threads work in. */
  scratch: number
  /** Batches made ahead, and the one in use. */
  input: number
  /** What writing a checkpoint needs on top, while it lasts. */
  checkpoint: number
}

/** How {@link plan} found the speed. */
export interface Calibration {
  /** Pictures of the batches that whole steps were timed on. */
  batchSizes: number[]
  /** Seconds that all of it took. */
  seconds: number
}

/** What a run takes, as {@link plan} predicts it. */
export interface RunPlan {
  /** Pictures an update. */
  batchSize: number
  /** Seconds an update. */
  secondsPerUpdate: number
  /** Pictures, two views each, a second. */
  pairsPerSecond: number
  /** Updates a pass over the pictures; `null` without `pictures`. */
  updatesPerEpoch: number | null
  /** Updates of the run; `null` for a length in epochs without `pictures`. */
  updates: number | null
  /** Passes over the pictures, a part of one included; `null` without `pictures`, unless they are the length. */
  epochs: number | null
  /** Seconds of training, evaluation excluded; `null` for a length in epochs without `pictures`. */
  seconds: number | null
  /** Memory; `null` where the step runs on the executor `candle`, whose tensors come and go. */
  memory: PlannedMemory | null
  /** Device of the run. */
  device: string
  /** Executor of the run. */
  executor: string
  /** How the maps are kept. */
  precision: 'f32' | 'bf16'
  /** Instructions used on the processor: `amx`, `avx512`, `avx2`, `neon` or `portable`. */
  kernel: string
  /** Threads of the computation. */
  threads: number
  /** How the speed was found. */
  calibration: Calibration
}

type NativeRunPlan = Omit<RunPlan, 'memory'> & { memory: Omit<PlannedMemory, 'total' | 'base'> | null }

/**
 * Predicts time and memory of a training run, without its data and without training it.
 *
 * Time follows from a few steps on small batches of noise, timed here and now, which takes about ten seconds, and
 * longer for encoders whose steps take seconds. A machine that is busy meanwhile, or becomes so later, makes it wrong.
 * Reading and augmenting pictures runs beside the training in threads of its own and is not in it. Memory follows from
 * the description and is exact but for the allocator and the data set.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option, `AMDIM_DEVICE` when the device is not there,
 *   `AMDIM_CANCELLED` after `signal` aborted
 * @example
 * ```ts
 * import { plan } from 'amdim';
 *
 * const { seconds, memory } = await plan({ preset: 'cifar10', pictures: 50_000 });
 * if (seconds !== null) console.log(`${(seconds / 86_400).toFixed(1)} days`);
 * if (memory !== null) console.log(`${(memory.total / 1e9).toFixed(1)} GB`);
 * ```
 */
export async function plan(options: PlanOptions = {}): Promise<RunPlan> {
  const { request, signal } = await resolvePlan(options)
  const native = addon()
  const base = process.memoryUsage.rss()
  const text = await resultOf(native.startPlan(JSON.stringify(request)), signal)
  const { memory, ...found } = JSON.parse(text) as NativeRunPlan
  return { ...found, memory: memory && withProcess(base, memory) }
}

function withProcess(base: number, parts: Omit<PlannedMemory, 'total' | 'base'>): PlannedMemory {
  return { total: Object.values(parts).reduce((sum, bytes) => sum + bytes, base), base, ...parts }
}

/** The request as the addon takes it, checked. */
async function resolvePlan(options: PlanOptions) {
  // Lazily, so that importing the package does not load the schemas.
  const [{ resolveSources }, { planSchema }, { validate }, { overridesOf }] = await Promise.all([
    import('../config/resolve.js'),
    import('../config/plan-schema.js'),
    import('../config/validate.js'),
    import('../train/request.js'),
  ])
  const own = ['preset', 'config', 'epochs', 'updates', 'minutes', 'freezeEncoder', 'signal']
  assertKnownKeys(options, [...own, ...Object.keys(planSchema.shape)], 'plan')
  const { preset = 'tiny', config, epochs, updates, minutes, freezeEncoder, signal, ...settings } = options
  assertSignal(signal)
  const parts = { config, epochs, updates, minutes, freezeEncoder }
  const given = Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined))
  const request = validate(planSchema, settings)
  return {
    request: {
      ...request,
      classes: request.classes ?? findPreset(preset).classes,
      config: resolveSources({ preset, overrides: overridesOf(given) }),
    },
    signal,
  }
}
