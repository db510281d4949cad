import { usualTerms } from '../config/encoder-maps.js'
import { isPlainObject } from '../config/merge.js'
import type { EncoderConfig } from '../config/types.js'
import { addon, unwrapJson } from '../native.js'

/** Options of {@link bench}. */
export interface BenchOptions {
  /**
   * `train`: a whole training step of two views; `encode`: the encoder alone in evaluation mode.
   *
   * @default 'train'
   */
  mode?: 'train' | 'encode'
  /**
   * Shape of the encoder; a training step compares the maps that its kind compares by default.
   *
   * @default that of the preset `tiny`, or of its kind
   */
  encoder?: Partial<EncoderConfig>
  /**
   * Pictures a step.
   *
   * @default 64
   */
  batchSize?: number
  /**
   * Steps timed.
   *
   * @default 10
   */
  steps?: number
  /**
   * Steps before those.
   *
   * @default 2
   */
  warmup?: number
  /**
   * Threads of the computation.
   *
   * @default one a core
   */
  threads?: number
  /**
   * `auto`, `cpu`, `cuda`, `cuda:N` or `metal`.
   *
   * @default 'auto'
   */
  device?: string
  /**
   * What runs the encoder.
   *
   * @default 'auto'
   */
  executor?: 'auto' | 'cpu' | 'candle'
  /**
   * How the encoder keeps its maps; sums and parameters are f32 in any case.
   *
   * @default 'f32'
   */
  precision?: 'auto' | 'f32' | 'bf16'
}

/** Timings, under the names that the reference's benchmark script uses. */
export interface BenchResult {
  /** Pictures (pairs of views when training) a second: batch / median. */
  images_per_s: number
  /** Median seconds a step. */
  median_s: number
  /** Fastest step in seconds. */
  min_s: number
  /** Slowest step in seconds. */
  max_s: number
  /** Largest resident memory of the whole process, in MiB. */
  max_rss_mb: number
  /** Steps timed. */
  steps: number
  /** Device used. */
  device: string
  /** Executor used. */
  executor: string
  /** How the maps were kept. */
  precision: 'f32' | 'bf16'
  /** Instructions used on the processor: `amx`, `avx512`, `avx2`, `neon` or `portable`. */
  kernel: string
  /** Threads used. */
  threads: number
  /** Loss of the last step; `null` when encoding. */
  last_loss: number | null
}

/**
 * Times the bare training step, or the encoder, on random pictures.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option, `AMDIM_DEVICE` when the device is not there
 * @example
 * ```ts
 * import { bench } from 'amdim';
 *
 * const { images_per_s } = await bench({ mode: 'encode', encoder: { baseWidth: 64, embeddingDim: 512 } });
 * console.log(`${images_per_s.toFixed(1)} pictures/s`);
 * ```
 */
export async function bench(options: BenchOptions = {}): Promise<BenchResult> {
  const [{ validate }, { benchSchema }, { withKindDefaults }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/bench-schema.js'),
    import('../config/encoder-schema.js'),
  ])
  const usual = benchSchema.parse({}).encoder
  const encoder = isPlainObject(options.encoder) && withKindDefaults(usual, options.encoder)
  const whole = validate(benchSchema, encoder ? { ...options, encoder } : options)
  const request = { ...whole, terms: usualTerms(whole.encoder) }
  const timings = unwrapJson<Omit<BenchResult, 'max_rss_mb'>>(await addon().bench(JSON.stringify(request)))
  return { ...timings, max_rss_mb: process.resourceUsage().maxRSS / 1024 }
}
