import type { AugmentConfig, DeepPartial, MeasurePlan } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import type { Dataset } from '../data/dataset.js'
import { type DatasetInput, OpenedDatasets } from '../data/open-dataset.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { AmdimModel } from '../model/amdim-model.js'
import { addon } from '../native.js'
import { assertListener, ofJson, resultListened } from '../native-job.js'
import { type EvaluateProgress, testTransform } from './evaluate.js'
import type { MeasureReport } from './measure-report.js'

/** A measure of features. `retrieval` and `clustering` need labels. */
export type MeasureName = MeasurePlan['measures'][number]

/** Options of {@link measure}. */
export interface MeasureOptions {
  /** The pictures; of a path with two splits the test split is taken. */
  data: DatasetInput
  /**
   * Retrieval: the pictures, with labels, that those of `data` search; of a path with two splits the training split is
   * taken. Classes are matched by name.
   *
   * @default the other pictures of `data`
   */
  gallery?: DatasetInput
  /**
   * Which measures.
   *
   * @default ['rankMe', 'spectrum', 'alignment', 'uniformity']
   */
  measures?: readonly MeasureName[]
  /**
   * Retrieval: numbers of neighbours among which one of the class is looked for.
   *
   * @default [1, 5, 10]
   */
  recallAt?: readonly number[]
  /**
   * Jacobian: pictures at which it is taken. Each is encoded twice for every pixel, in f64.
   *
   * @default 4
   */
  jacobianPictures?: number
  /** Clustering: `clusters` (`null`: as many as classes), `restarts` (5), `maxIterations` (100). */
  clustering?: DeepPartial<MeasurePlan['clustering']>
  /**
   * Test-time transform; its training part makes the views of the alignment.
   *
   * @default that of the model; of the preset `tiny` for raw pixels
   */
  augment?: AugmentConfig
  /**
   * Pictures encoded at once.
   *
   * @default 256
   */
  batchSize?: number
  /**
   * Threads of the computation. Results do not depend on it.
   *
   * @default one a core
   */
  threads?: number
  /**
   * Seed of the choice of pictures, of views and of clusters.
   *
   * @default 1
   */
  seed?: number
  /**
   * A picture that cannot be read ends the work (`error`) or is left out and listed (`skip`).
   *
   * @default 'error'
   */
  onBadImage?: 'error' | 'skip'
  /**
   * Use only this many pictures, and as many of the gallery, drawn by the seed; `null` for all. Pairs of pictures are
   * counted, so time grows with the square.
   *
   * @default 10000
   */
  maxPictures?: number | null
  /** Stops the work; it then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
  /** Called now and then with what is being done and how far it is; what it throws ends the work, which rejects with that. */
  onProgress?: (progress: EvaluateProgress) => void
}

/**
 * What the features of pictures are like, without a classifier: how many directions they use, how near two views of a
 * picture are, how evenly pictures are spread; with labels, how well they find and cluster their class.
 *
 * @param model - a model, or `rawPixels` for the pixels themselves
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option or a gallery without `retrieval`, `AMDIM_DATA` for
 *   pictures without the labels that a measure needs, `AMDIM_CANCELLED` when the signal aborts
 * @example
 * ```ts
 * import { AmdimModel, measure } from 'amdim';
 *
 * const model = await AmdimModel.load('runs/first/model.safetensors');
 * const { rankMe, uniformity } = await measure(model, { data: 'data/cifar10-sample.tar.gz' });
 * console.log(rankMe, uniformity);
 * ```
 */
export async function measure(
  model: AmdimModel | 'rawPixels',
  options: MeasureOptions,
): Promise<MeasureReport> {
  if (model !== 'rawPixels' && !(model instanceof AmdimModel))
    throw invalidArgument('model', "an AmdimModel or 'rawPixels'", model)
  assertListener('onProgress', options.onProgress)
  const request = await resolveMeasures(options)
  const augment = await testTransform(model, options)
  const opened = new OpenedDatasets()
  try {
    const { train, test } = await opened.splits('data', options.data)
    const data = test ?? train
    const gallery =
      options.gallery === undefined ? null : (await opened.splits('gallery', options.gallery)).train
    if (needsLabels(request)) assertLabelled('data', data)
    if (gallery !== null) assertLabelled('gallery', gallery)
    const native = model === 'rawPixels' ? null : model.native
    const text = JSON.stringify({ ...request, augment })
    const report = await resultListened<string, string>(
      (onEvent) => addon().startMeasure(native, text, data.native, gallery?.native ?? null, onEvent),
      { listener: ofJson(options.onProgress), signal: options.signal },
    )
    return JSON.parse(report) as MeasureReport
  } finally {
    opened.dispose()
  }
}

const OWN_KEYS = ['data', 'gallery', 'augment', 'signal', 'onProgress']

/** The measures with every default filled in. */
export async function resolveMeasures(options: MeasureOptions): Promise<MeasurePlan> {
  const [{ validate }, { measureSchema }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/measure-schema.js'),
  ])
  const keys = Object.keys(measureSchema.shape)
  assertKnownKeys(options, [...OWN_KEYS, ...keys], 'measure')
  return validate(
    measureSchema,
    Object.fromEntries(Object.entries(options).filter(([key]) => keys.includes(key))),
  )
}

function assertLabelled(name: string, dataset: Dataset): void {
  if (dataset.labelled) return
  throw new AmdimError(
    'AMDIM_DATA',
    `${name}: expected pictures with labels for retrieval and clustering, ${dataset.description} has none`,
    { name },
  )
}

function needsLabels({ measures }: MeasurePlan): boolean {
  return measures.includes('retrieval') || measures.includes('clustering')
}
