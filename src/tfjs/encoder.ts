import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs'
import type { Layer } from '../config/encoder-maps.js'
import type { AugmentConfig } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertOneOf } from '../data/arguments.js'
import { invalidArgument } from '../errors.js'
import { AmdimModel } from '../model/amdim-model.js'
import type { EncoderDescription, ModelTensor } from '../model/description.js'
import { EncoderLayers } from './encoder-layers.js'
import { assertTensorFlow, type TensorFlow } from './tensorflow.js'

/** Options of {@link encoderToLayersModel}. */
export interface EncoderOptions {
  /**
   * Which of the encoder's feature maps the model returns, in this order: one tensor for one name, a list for several.
   *
   * @default ['global']
   */
  outputs?: readonly Layer[]
}

/**
 * The trained encoder rebuilt as a `tf.LayersModel`, of standard layers alone: saved with `model.save` it loads in any
 * TensorFlow.js, in browsers too, without this package. Its features are those of `AmdimModel.embed` within 1e-4.
 *
 * Shapes, channels last:
 * - input: `[batch, side, side, channels]`, float32 levels 0..255 of pictures that have the encoder's side already; the
 *   normalisation is the model's first layer
 * - `global`: `[batch, embedding]`; a local map: `[batch, side, side, embedding]`
 *
 * The test-time transform's resize and crop are not part of the model. Batch norms use their running statistics.
 *
 * @param tf - the module `@tensorflow/tfjs` or `@tensorflow/tfjs-node`
 * @returns a model with copies of the weights; the caller disposes it
 * @throws `AmdimError` `AMDIM_INVALID_ARGUMENT` for an encoder with a kind of layer that can't be rebuilt
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs-node'
 * import { AmdimModel } from 'amdim'
 * import { encoderToLayersModel } from 'amdim/tfjs'
 *
 * using model = await AmdimModel.load('runs/first/model.safetensors')
 * const encoder = await encoderToLayersModel(tf, model)
 * await encoder.save('file://encoder')
 * ```
 */
export async function encoderToLayersModel(
  tf: TensorFlow,
  model: AmdimModel,
  options: EncoderOptions = {},
): Promise<LayersModel> {
  assertTensorFlow(tf)
  if (!(model instanceof AmdimModel)) throw invalidArgument('model', 'an AmdimModel', model)
  assertKnownKeys(options, ['outputs'], 'encoderToLayersModel')
  const { outputs = ['global'] } = options
  const description = model.describe()
  const names = Object.keys(description.outputs)
  if (!Array.isArray(outputs) || outputs.length === 0 || new Set(outputs).size < outputs.length)
    throw invalidArgument('outputs', `a list of some of ${names.join(', ')}, each once`, outputs)
  for (const output of outputs) assertOneOf('outputs', output, names)
  const { views } = model.config.augment
  if (views !== 'augmented' && views !== 'patches')
    throw invalidArgument(
      'model',
      'an encoder that takes pictures as they are (views augmented or patches)',
      `one with views ${views}`,
      'embed with model.embed(), which makes its input',
    )
  return buildEncoder(tf, description, await model.tensors(), model.config.augment, outputs)
}

/** Builds the model from an encoder's description and tensors. */
export function buildEncoder(
  tf: TensorFlow,
  { input: picture, nodes, outputs: places }: EncoderDescription,
  tensors: ReadonlyMap<string, ModelTensor>,
  augment: Pick<AugmentConfig, 'mean' | 'std'>,
  outputs: readonly Layer[],
): LayersModel {
  const layers = new EncoderLayers(tf, tensors)
  const input = tf.input({ shape: [picture.height, picture.width, picture.channels], name: 'pictures' })
  const normalised = layers.normalise(input, augment.mean, augment.std)

  // Each node is built once, and only if an output needs it.
  const maps = new Map<number | null, SymbolicTensor>([[null, normalised]])
  const mapOf = (index: number | null): SymbolicTensor => {
    const built = maps.get(index)
    if (built !== undefined) return built
    const node = nodes[index ?? -1]
    if (node === undefined) throw invalidArgument('description', 'a node of every index named', index)
    const added = node.layer.kind === 'normedConvolution' ? node.layer.add : null
    const map = layers.apply(node, mapOf(node.input), added === null ? undefined : mapOf(added))
    maps.set(index, map)
    return map
  }

  const results = outputs.map((output) => layers.output(output, mapOf(places[output] ?? -1)))
  const model = tf.model({ inputs: input, outputs: results, name: 'amdim_encoder' })
  layers.setWeights()
  return model
}
