import { type Layer, modelLayers } from '../config/encoder-maps.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import type { DatasetInput } from '../data/open-dataset.js'
import { AmdimError } from '../errors.js'
import { binnedEntropy, binnedMutualInformation, kdeInformation } from '../information/continuous.js'
import { inUnit, type Unit } from '../information/unit.js'
import type { AmdimModel } from '../model/amdim-model.js'

/** Where a layer lies in the information plane. */
export interface PlanePoint {
  /** The layer. */
  readonly layer: Layer
  /** I(X; T), what the layer shares with the picture. */
  readonly input: number
  /** I(T; Y), what it shares with the label. */
  readonly labels: number
}

/** Options of {@link informationPlane}. */
export interface InformationPlaneOptions {
  /**
   * Layers to look at.
   *
   * @default all layers of one location that the model has, from the picture up
   */
  layers?: readonly Layer[]
  /**
   * How information is measured. `binning`: each unit is cut into `bins`; a layer is a function of the picture, so that
   * I(X; T) is the entropy of the bins, at most the logarithm of the number of pictures. `kde`: normal noise of
   * `noiseVariance` is added to each unit, and the upper bound of Kolchinsky and Tracey is taken.
   *
   * @default 'kde'
   */
  estimator?: 'binning' | 'kde'
  /**
   * Bins of equal width a unit, at least 2.
   *
   * @default 30
   */
  bins?: number
  /**
   * Variance of the noise, above 0.
   *
   * @default 0.1
   */
  noiseVariance?: number
  /**
   * Unit of the result.
   *
   * @default 'nats'
   */
  unit?: Unit
  /**
   * Threads of the computation. The result does not depend on it.
   *
   * @default one a core
   */
  threads?: number
  /** Stops the work; it then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
}

const KEYS = ['layers', 'estimator', 'bins', 'noiseVariance', 'unit', 'threads', 'signal']

/**
 * Where the layers of a model lie in the information plane: what each shares with the picture and with its label, over the
 * given pictures. One call a checkpoint (`keepCheckpoints`) gives the paths of training.
 *
 * @param model - the model, whose inner layers are best those of an encoder of kind `mlp`
 * @param pictures - labelled pictures, or the path of a data set, whose test split is taken
 * @returns a point a layer
 * @throws {@link AmdimError} `AMDIM_DATA` for pictures without labels, `AMDIM_INVALID_ARGUMENT` for a bad option or a layer
 *   that the model does not have
 * @example
 * ```ts
 * import { AmdimModel, informationPlane } from 'amdim';
 *
 * using model = await AmdimModel.load('runs/first/checkpoint.safetensors');
 * for (const { layer, input, labels } of await informationPlane(model, 'data/mnist'))
 *   console.log(layer, input.toFixed(2), labels.toFixed(2));
 * ```
 * @see Tishby, Zaslavsky 2015, arXiv 1503.02406; Saxe et al. 2018, "On the information bottleneck theory of deep learning"
 */
export async function informationPlane(
  model: AmdimModel,
  pictures: DatasetInput,
  options: InformationPlaneOptions = {},
): Promise<PlanePoint[]> {
  assertKnownKeys(options, KEYS, 'informationPlane')
  const { estimator = 'kde', bins = 30, noiseVariance = 0.1, unit, threads, signal } = options
  const shared = { ...(threads !== undefined && { threads }), ...(signal && { signal }) }
  const points: PlanePoint[] = []
  for (const layer of options.layers ?? vectorLayers(model)) {
    const { data, labels } = await model.embed(pictures, { layer, ...shared })
    const known = Array.from(labels.keys()).filter((i) => (labels[i] ?? -1) >= 0)
    if (known.length < 2 || known.length < labels.length)
      throw new AmdimError(
        'AMDIM_DATA',
        `pictures: expected at least 2, each with a label; ${known.length} of ${labels.length} have one`,
        { labelled: known.length, pictures: labels.length },
      )
    const rows = { data, shape: [labels.length, data.length / labels.length] }
    const [input, ofLabels] =
      estimator === 'kde'
        ? await byKde(rows, labels, { noiseVariance, ...shared })
        : await byBinning(rows, labels, { bins, ...shared })
    points.push({ layer, input: inUnit(input, unit), labels: inUnit(ofLabels, unit) })
  }
  return points
}

/** The layers of one location, the lowest first. */
function vectorLayers({ config }: AmdimModel): Layer[] {
  const inner = modelLayers(config).filter((layer) => layer === 'fc' || layer.startsWith('hidden'))
  return [...inner, 'global']
}

interface Rows {
  data: Float32Array
  shape: number[]
}

async function byKde(rows: Rows, labels: Int32Array, options: object & { noiseVariance: number }) {
  const { input, labels: ofLabels } = await kdeInformation(rows, labels, options)
  return [input.upper, ofLabels?.upper ?? Number.NaN] as const
}

/** `H(T)` and `I(T; Y)` of the bins of all units together. */
async function byBinning(rows: Rows, labels: Int32Array, options: object & { bins: number }) {
  const classes = Math.max(...labels) + 1
  // A unit a class, so that any number of bins tells labels apart.
  const units = new Float32Array(labels.length * classes)
  for (const [i, label] of labels.entries()) units[i * classes + label] = 1
  const ofLabels = { data: units, shape: [labels.length, classes] }
  return [await binnedEntropy(rows, options), await binnedMutualInformation(rows, ofLabels, options)] as const
}
