import type { GanPlan } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertSignal } from '../config/validate-signal.js'
import { dimensionOf, type Features } from '../evaluate/search.js'
import { addon } from '../native.js'
import { assertListener, ofJson, resultListened } from '../native-job.js'

/** Options of {@link trainGan}; `jsonSchema('gan')` has their ranges and defaults. */
export interface GanOptions extends Partial<GanPlan> {
  /** Called every 100 updates. What it throws ends the work, which then rejects with that. */
  onProgress?: (progress: GanProgress) => void
  /** Stops the work; it then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
}

/** Means over the updates since the last report, in nats. */
export interface GanProgress {
  /** Updates made. */
  update: number
  /** Cross-entropy of the discriminator: log 4 where it can't tell. */
  discriminator: number
  /** Cross-entropy that the generator wants small. */
  generator: number
  /** Mutual information of code and sample by MINE; 0 where it has no weight. */
  information: number
}

/** Samples that a generator made. */
export interface MadeSamples {
  /** Row-major values. */
  data: Float32Array
  /** `[made, dimensions]` */
  shape: [count: number, dimensions: number]
}

/** What {@link trainGan} comes to. */
export interface GanOutcome {
  /** What the generator makes, `[made, dimensions]`. */
  samples: MadeSamples
  /** The last report. */
  last: GanProgress
}

/**
 * Trains a generator of samples like the given ones against a discriminator, and raises by MINE the mutual information
 * between a part of its noise, the code, and what it makes: a generator that makes the same of many codes, and so misses
 * modes of the data, has little of it. `docs/methods/mine.md` has the losses.
 *
 * @param samples - `[samples, ...]`, best of mean 0 and deviation about 1
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option or fewer samples than a batch,
 *   `AMDIM_NON_FINITE` for NaN, or networks that diverged; `AMDIM_CANCELLED`; what `onProgress` throws
 * @see Belghazi et al. 2018, arXiv 1801.04062, section 5.1
 */
export async function trainGan(samples: Features, options: GanOptions = {}): Promise<GanOutcome> {
  const [{ validate }, { ganSchema }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/gan-schema.js'),
  ])
  assertKnownKeys(options, [...Object.keys(ganSchema.shape), 'onProgress', 'signal'], 'trainGan')
  const { onProgress, signal, ...settings } = options
  assertListener('onProgress', onProgress)
  assertSignal(signal)
  const request = validate(ganSchema, settings)
  const dimensions = dimensionOf('samples', samples)
  const text = JSON.stringify(request)
  const outcome = await resultListened<string, string>(
    (onEvent) => addon().startGan(text, samples.data, dimensions, onEvent),
    { listener: ofJson(onProgress), signal },
  )
  const { samples: made, last } = JSON.parse(outcome)
  return { samples: { data: Float32Array.from(made), shape: [request.made, dimensions] }, last }
}
