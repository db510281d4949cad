import type { ConfigOverrides, PresetName } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertSignal } from '../config/validate-signal.js'
import { assertPath } from '../data/arguments.js'
import { type DatasetInput, OpenedDatasets } from '../data/open-dataset.js'
import type { SkippedPicture } from '../model/embedding.js'
import { addon } from '../native.js'
import { resultOf } from '../native-job.js'

/** Side of a drawn view in pixels, where `scale` is not given. */
const USUAL_SIDE = 128

/** Options of {@link augmentSheet}. */
export interface AugmentSheetOptions {
  /** The pictures: a data set, or the path of one, whose training split is drawn. */
  data: DatasetInput
  /** The PNG file to write. */
  output: string
  /**
   * Named set of values to start from.
   *
   * @default 'tiny'
   */
  preset?: PresetName
  /** Values laid over the preset, at any depth; `augment` and `seed` matter. */
  config?: ConfigOverrides
  /**
   * Pictures, each a row: the first ones of the first epoch; at most 10,000.
   *
   * @default 8
   */
  pictures?: number
  /**
   * Views a picture: both of the first epoch, both of the second and so on; at most 10,000.
   *
   * @default 8
   */
  views?: number
  /**
   * Pixels of the sheet for one pixel of a view, along each axis; at most 64.
   *
   * @default null: as many as make a view 128 pixels wide
   */
  scale?: number | null
  /**
   * A picture that cannot be read ends the work (`error`) or is left out and listed (`skip`).
   *
   * @default 'error'
   */
  onBadImage?: 'error' | 'skip'
  /** Stops the work; the promise then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
}

/** An operation of a policy with what was drawn for it, such as `{ operation: 'rotate', degrees: -12.5 }`. */
export interface PolicyDraw {
  /** The operation. */
  operation: string
  /** Its parameters. */
  [parameter: string]: unknown
}

/** A view on a sheet. */
export interface SheetView {
  /** The epoch whose view it is, from 0. */
  epoch: number
  /** Which of the two views of the epoch. */
  view: 0 | 1
  /** What the policy did: the place of the sub-policy, and its operations that were done; `null` without a policy. */
  policy: PolicyOutcome | null
}

/** What a policy did to a view. */
export interface PolicyOutcome {
  /** Place of the sub-policy in the policy, from 0. */
  subPolicy: number
  /** Its operations that were done, in their order. */
  steps: PolicyDraw[]
}

/** A row of a sheet: the picture, then its views. */
export interface SheetRow {
  /** The picture's index in the data set. */
  index: number
  /** The picture's name. */
  name: string
  /** Its views from the left. */
  views: SheetView[]
}

/** What {@link augmentSheet} drew. */
export interface AugmentSheet {
  /** The file. */
  output: string
  /** Its width in pixels. */
  width: number
  /** Its height in pixels. */
  height: number
  /** The rows from above. */
  rows: SheetRow[]
  /** Pictures that were left out. */
  skipped: SkippedPicture[]
}

/**
 * Draws what a configuration does to pictures: a PNG file with a row for each, the whole picture followed by views
 * exactly as a run with this configuration trains on them, before normalisation.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option, `AMDIM_LIMIT` for a sheet above 100 million pixels,
 *   `AMDIM_IO` when the file cannot be written, `AMDIM_DATA` or `AMDIM_DECODE` for bad data, `AMDIM_CANCELLED` after
 *   `signal` aborted
 * @example
 * ```ts
 * import { augmentSheet } from 'amdim';
 *
 * await augmentSheet({
 *   data: 'data/cifar10-sample.tar.gz',
 *   config: { augment: { policy: 'fast-autoaugment-cifar10' } },
 *   output: 'sheet.png',
 * });
 * ```
 */
export async function augmentSheet(options: AugmentSheetOptions): Promise<AugmentSheet> {
  const request = await resolveSheet(options)
  const opened = new OpenedDatasets()
  try {
    const { train } = await opened.splits('data', options.data)
    const started = addon().startSheet(JSON.stringify(request), train.native)
    return JSON.parse(await resultOf(started, options.signal)) as AugmentSheet
  } finally {
    opened.dispose()
  }
}

/** The request as the addon takes it, checked. */
async function resolveSheet(options: AugmentSheetOptions) {
  const [{ resolveSources }, { sheetSchema }, { validate }] = await Promise.all([
    import('../config/resolve.js'),
    import('../config/sheet-schema.js'),
    import('../config/validate.js'),
  ])
  const own = ['data', 'output', 'preset', 'config', 'signal']
  assertKnownKeys(options, [...own, ...Object.keys(sheetSchema.shape)], 'augmentSheet')
  const { data: _data, output, preset, config, signal, ...rest } = options
  assertPath('output', output)
  assertSignal(signal)
  const { augment, seed } = resolveSources({ preset, overrides: config })
  const settings = validate(sheetSchema, rest)
  const scale = settings.scale ?? Math.max(1, Math.floor(USUAL_SIDE / augment.pixels))
  return { ...settings, scale, augment, seed, output }
}
