import { resolveConfig } from '../config/config.js'
import { type Layer, modelLayers } from '../config/encoder-maps.js'
import type { AmdimConfig, ConfigOverrides, PresetName } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertOneOf, assertPath } from '../data/arguments.js'
import { Dataset } from '../data/dataset.js'
import { assertPixels, fromArrays } from '../data/from-arrays.js'
import { fromPictures, type Picture } from '../data/from-pictures.js'
import { type DatasetInput, OpenedDatasets } from '../data/open-dataset.js'
import { AmdimError, invalidArgument } from '../errors.js'
import {
  addon,
  type Failure,
  type NativeEmbedding,
  type NativeEmbeddingResult,
  type NativeModel,
  unwrap,
} from '../native.js'
import { assertListener, resultListened, resultOf } from '../native-job.js'
import { Classification } from './classification.js'
import type { EncoderDescription, ModelTensor } from './description.js'
import { Embedding, type SkippedPicture } from './embedding.js'
import type { ModelInfo } from './inspect.js'
import { pretrainedPath } from './pretrained.js'

/** Where a model computes. */
export interface ModelOptions {
  /**
   * `auto`, `cpu`, `cuda`, `cuda:N` or `metal`.
   *
   * @default 'auto'
   */
  device?: string
  /**
   * What runs the encoder: `cpu` (fast, CPU alone), `candle` (any device), or `auto`.
   *
   * @default 'auto'
   */
  executor?: 'auto' | 'cpu' | 'candle'
  /**
   * How the encoder keeps its maps.
   *
   * @default 'f32', so that vectors agree between machines
   */
  precision?: 'auto' | 'f32' | 'bf16'
  /**
   * Threads of the computation. Results do not depend on it.
   *
   * @default one a core
   */
  threads?: number
}

/** Options of {@link AmdimModel.create}. */
export interface CreateModelOptions extends ModelOptions {
  /**
   * Named set of values to start from.
   *
   * @default 'tiny'
   */
  preset?: PresetName
  /** Values laid over the preset; `config.seed` draws the weights. */
  config?: ConfigOverrides
}

/** Options of {@link AmdimModel.embed}. */
export interface EmbedOptions {
  /**
   * Which layer: the 1x1 vector, or a projected local map by its side; of a model with mixture features also these, or
   * the posterior over them at every location of a local map.
   *
   * @default 'global', with `posteriorMaps` the posterior of the largest map
   */
  layer?: Layer
  /**
   * Folder for a PNG drawing of each picture's posterior, with a layer `posteriorN`: the picture, the colours of its
   * components over it, and the most probable component of each location. The folder is made if it is not there.
   *
   * @default no drawings
   */
  posteriorMaps?: string
  /**
   * Pictures encoded at once.
   *
   * @default 256
   */
  batchSize?: number
  /**
   * Threads that decode pictures.
   *
   * @default one a core
   */
  threads?: number
  /**
   * A picture that cannot be read ends the work (`error`) or is left out and listed (`skip`).
   *
   * @default 'error'
   */
  onBadImage?: 'error' | 'skip'
  /** Stops the work after the current batch. */
  signal?: AbortSignal
  /** Called now and then with the number of pictures done, and of all; what it throws ends the work, which rejects with that. */
  onProgress?: (done: number, total: number) => void
}

/** Options of {@link AmdimModel.classify}. */
export interface ClassifyOptions extends Omit<EmbedOptions, 'layer' | 'posteriorMaps'> {
  /**
   * Which classifier: the linear one, or the one with a hidden layer.
   *
   * @default 'linear'
   */
  head?: 'linear' | 'mlp'
}

/** Pixels of several pictures of one size: `[count, height, width, channels]`, values 0..255. */
export interface PixelArray {
  /** `count * height * width * channels` values. */
  data: Uint8Array
  /** `[count, height, width, channels]`, 1 (gray) or 3 (RGB) channels. */
  shape: readonly [count: number, height: number, width: number, channels: number]
}

/** Pictures to embed: a data set, the path of one, an array of pictures, or an array of pixels. */
export type EmbedInput = DatasetInput | readonly Picture[] | PixelArray

const PICTURE_FILE = /\.(jpe?g|png|webp|gif|bmp)$/i
const DECODE_OPTIONS = ['batchSize', 'threads', 'onBadImage', 'signal', 'onProgress']
/** @internal */
export const MODEL_OPTIONS = ['device', 'executor', 'precision', 'threads']

/**
 * An AMDIM encoder with its online classifiers, held by the addon.
 *
 * @example
 * ```ts
 * import { AmdimModel } from 'amdim';
 *
 * const model = await AmdimModel.load('runs/first/model.safetensors');
 * const { data, shape } = await model.embed(['cat.jpg', 'dog.jpg']);
 * console.log(shape); // [2, 256]
 * model.dispose();
 * ```
 */
export class AmdimModel {
  #native: NativeModel | undefined

  private constructor(native: NativeModel) {
    this.#native = native
  }

  /**
   * A new model with random weights, drawn as the reference draws them.
   *
   * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option, `AMDIM_DEVICE` when the device is not there
   */
  static async create(options: CreateModelOptions = {}): Promise<AmdimModel> {
    assertKnownKeys(options, [...MODEL_OPTIONS, 'preset', 'config'], 'AmdimModel.create')
    const { preset, config: overrides, ...place } = options
    const config = await resolveConfig({ ...(preset && { preset }), ...(overrides && { config: overrides }) })
    const { device, executor, precision, threads } = await resolvePlace(place)
    const native = await addon().NativeModel.create(
      JSON.stringify(config),
      config.seed,
      device,
      executor,
      precision,
      threads,
    )
    return new AmdimModel(unwrap(native))
  }

  /**
   * Loads a model or checkpoint file. Everything needed is in the file, the configuration included.
   *
   * @param path - a `.safetensors` file written by this package
   * @throws {@link AmdimError} `AMDIM_IO` when it is missing, `AMDIM_CHECKPOINT` when it is truncated or foreign,
   *   `AMDIM_DEVICE` when the device is not there
   */
  static async load(path: string, options: ModelOptions = {}): Promise<AmdimModel> {
    assertPath('path', path)
    assertKnownKeys(options, MODEL_OPTIONS, 'AmdimModel.load')
    const { device, executor, precision, threads } = await resolvePlace(options)
    return new AmdimModel(unwrap(await addon().NativeModel.load(path, device, executor, precision, threads)))
  }

  /**
   * The model that ships with the package: the preset `tiny` trained on the pictures of CIFAR-10, without their labels.
   * `models/README.md` says how, and what it is good for. The environment variable `AMDIM_PRETRAINED` names another file
   * to take in its place.
   *
   * @throws {@link AmdimError} `AMDIM_IO` when the file is not in the installed package
   * @example
   * ```ts
   * import { AmdimModel } from 'amdim';
   *
   * using model = await AmdimModel.pretrained();
   * const { data, shape } = await model.embed('photos');
   * console.log(shape, data);
   * ```
   */
  static async pretrained(options: ModelOptions = {}): Promise<AmdimModel> {
    return AmdimModel.load(pretrainedPath(), options)
  }

  /** @internal */
  static of(native: NativeModel): AmdimModel {
    return new AmdimModel(native)
  }

  /** @internal */
  get native(): NativeModel {
    if (this.#native === undefined)
      throw new AmdimError('AMDIM_INVALID_ARGUMENT', 'the model was disposed; load it again')
    return this.#native
  }

  /** What the model is: configuration, tensors, how far it was trained. */
  info(): ModelInfo {
    return JSON.parse(this.native.info()) as ModelInfo
  }

  /** The whole configuration, as in {@link AmdimModel.info}. */
  get config(): AmdimConfig {
    return this.info().config
  }

  /**
   * The encoder as data: its layers, how they are connected, and the names of their tensors. With
   * {@link AmdimModel.tensors} it is enough to rebuild the encoder elsewhere.
   */
  describe(): EncoderDescription {
    return JSON.parse(this.native.describe()) as EncoderDescription
  }

  /**
   * A copy of every tensor under its name in {@link AmdimModel.info}, except the counters of batch norms.
   *
   * @example
   * ```ts
   * import { AmdimModel } from 'amdim';
   *
   * using model = await AmdimModel.load('runs/first/model.safetensors');
   * const tensors = await model.tensors();
   * console.log(tensors.get('encoder.module.layer_list.0.conv.weight')?.shape); // [32, 3, 3, 3]
   * ```
   */
  async tensors(): Promise<Map<string, ModelTensor>> {
    const { tensors } = unwrap(await this.native.tensors())
    return new Map(tensors.map(({ name, shape, data }) => [name, { shape, data }]))
  }

  /**
   * Writes weights and configuration to a file (safetensors). The file is written aside and renamed, so that one that
   * was there before is whole until the new one is.
   *
   * @throws {@link AmdimError} `AMDIM_IO` when it cannot be written
   */
  async save(path: string): Promise<void> {
    assertPath('path', path)
    unwrap(await this.native.save(path))
  }

  /**
   * Features of pictures, by the encoder in evaluation mode and the test-time transform of its configuration.
   *
   * @param images - a data set, the path of one or of a picture, an array of pictures (paths, bytes of files,
   *   pixels), or pixels
   * @returns for `global` `[pictures, embedding]`, for a local map `[pictures, embedding, side, side]`, for `mixture`
   *   `[pictures, components, embedding]`, for a posterior `[pictures, components, side, side]`
   * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option, `AMDIM_DATA` or `AMDIM_DECODE` for pictures
   *   that cannot be read, `AMDIM_CANCELLED` when the signal aborts
   * @example
   * ```ts
   * import { AmdimModel, imageFolder } from 'amdim';
   *
   * using model = await AmdimModel.load('runs/first/model.safetensors');
   * const maps = await model.embed(await imageFolder('photos'), { layer: 'local7' });
   * console.log(maps.shape, maps.names[0], maps.row(0));
   * ```
   */
  async embed(images: EmbedInput, options: EmbedOptions = {}): Promise<Embedding> {
    const { native } = this
    assertKnownKeys(options, ['layer', 'posteriorMaps', ...DECODE_OPTIONS], 'embed')
    const request = { ...chooseLayer(options, modelLayers(this.config)), ...(await resolveDecode(options)) }
    return this.#withImages(images, async (dataset) => {
      const begin = (report: Report) => native.embed(dataset.native, JSON.stringify(request), report)
      return toEmbedding(request.layer, await runOnPictures(dataset, begin, options))
    })
  }

  /**
   * Classes of pictures, by a classifier that was trained beside the encoder: online, in a supervised run, or by
   * {@link trainClassifiers}.
   *
   * @param images - as for {@link AmdimModel.embed}
   * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option or a model without classifiers, else as
   *   {@link AmdimModel.embed}
   * @example
   * ```ts
   * import { AmdimModel } from 'amdim';
   *
   * using model = await AmdimModel.load('runs/first/model.safetensors');
   * const found = await model.classify(['cat.jpg', 'dog.jpg']);
   * console.log(found.top(0, 3)); // [{ name: 'cat', probability: 0.61 }, ...]
   * ```
   */
  async classify(images: EmbedInput, options: ClassifyOptions = {}): Promise<Classification> {
    const { native } = this
    assertKnownKeys(options, ['head', ...DECODE_OPTIONS], 'classify')
    const { head = 'linear' } = options
    assertOneOf('head', head, ['linear', 'mlp'])
    const request = { head, ...(await resolveDecode(options)) }
    const { classes } = this.info()
    return this.#withImages(images, async (dataset) => {
      const begin = (report: Report) => native.classify(dataset.native, JSON.stringify(request), report)
      const { data, labels, names, skipped } = await runOnPictures(dataset, begin, options)
      return new Classification({
        classes,
        probabilities: data,
        labels,
        names,
        skipped: parseSkipped(skipped),
      })
    })
  }

  async #withImages<T>(images: EmbedInput, work: (dataset: Dataset) => Promise<T>): Promise<T> {
    const opened = new OpenedDatasets()
    try {
      return await work(await openImages(images, opened))
    } finally {
      opened.dispose()
    }
  }

  /** Releases the memory. Calling it again does nothing. */
  dispose(): void {
    this.#native?.dispose()
    this.#native = undefined
  }

  /** Same as {@link AmdimModel.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** @internal */
export async function resolvePlace(options: ModelOptions) {
  const [{ validate }, { placeSchema }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/run-schema.js'),
  ])
  return validate(placeSchema, options)
}

/** Which layer, and where it is drawn. */
function chooseLayer(
  { layer: asked, posteriorMaps: folder }: EmbedOptions,
  layers: readonly Layer[],
): { layer: Layer; posteriorMaps: string | null } {
  const posteriorMaps = folder ?? null
  if (posteriorMaps !== null) assertPath('posteriorMaps', posteriorMaps)
  const layer = asked ?? (posteriorMaps === null ? 'global' : largestPosterior(layers))
  assertOneOf('layer', layer, layers)
  if (posteriorMaps !== null && !layer.startsWith('posterior'))
    throw invalidArgument('layer', 'posteriorN beside posteriorMaps', layer)
  return { layer, posteriorMaps }
}

function largestPosterior(layers: readonly Layer[]): Layer {
  const layer = layers.findLast((name) => name.startsWith('posterior'))
  if (layer !== undefined) return layer
  throw invalidArgument(
    'posteriorMaps',
    'a model with mixture features (objective.mixture)',
    `one with the layers ${layers.join(', ')}`,
  )
}

/** How pictures are read, with every default filled in. */
async function resolveDecode({ batchSize = 256, threads, onBadImage }: ClassifyOptions) {
  const [{ validate }, { decodeSchema }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/run-schema.js'),
  ])
  const given = { batchSize, threads, onBadImage }
  return validate(
    decodeSchema,
    Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  )
}

async function openImages(images: EmbedInput, opened: OpenedDatasets): Promise<Dataset> {
  if (Array.isArray(images)) return opened.own(await fromPictures(images as Picture[]))
  if (typeof images === 'string' && PICTURE_FILE.test(images)) return opened.own(await fromPictures([images]))
  if (isPixelArray(images)) {
    assertPixels(images.data, images.shape)
    return opened.own(await fromArrays(images.data, images.shape))
  }
  if (typeof images !== 'string' && !isDatasetPromise(images))
    throw invalidArgument('images', 'a Dataset, a path, an array of pictures, or { data, shape }', images)
  return opened.one('images', images)
}

function isPixelArray(images: unknown): images is PixelArray {
  return typeof images === 'object' && images !== null && 'data' in images && 'shape' in images
}

function isDatasetPromise(images: unknown): images is Dataset | PromiseLike<Dataset> {
  return images instanceof Dataset || (typeof images === 'object' && images !== null && 'then' in images)
}

type Report = ((done: number) => void) | null

/** Work of the addon on the pictures of a data set, with progress and cancellation. */
async function runOnPictures(
  dataset: Dataset,
  begin: (report: Report) => NativeEmbedding | Failure,
  { signal, onProgress }: Pick<EmbedOptions, 'signal' | 'onProgress'>,
): Promise<NativeEmbeddingResult> {
  assertListener('onProgress', onProgress)
  // The addon sends nothing where nobody listens.
  if (onProgress === undefined) return resultOf(begin(null), signal)
  const listener = (done: number) => onProgress(done, dataset.length)
  return resultListened(begin, { listener, signal })
}

function toEmbedding(
  layer: Layer,
  { data, shape, labels, names, skipped }: NativeEmbeddingResult,
): Embedding {
  return new Embedding({
    data,
    shape,
    layer,
    labels,
    names,
    skipped: parseSkipped(skipped),
  })
}

function parseSkipped(json: string): SkippedPicture[] {
  return JSON.parse(json) as SkippedPicture[]
}
