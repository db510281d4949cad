import type { Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs'
import { AmdimError } from '../errors.js'
import { dimensionOf, type Features } from '../evaluate/search.js'
import { assertTensor } from './pictures.js'
import { assertTensorFlow, type TensorFlow } from './tensorflow.js'

/**
 * Features as a tensor: an `Embedding`, or values with their shape.
 *
 * @param tf - the module `@tensorflow/tfjs` or `@tensorflow/tfjs-node`
 * @param features - `[pictures, embedding]`, or maps `[pictures, embedding, height, width]`
 * @returns float32; vectors as they are, maps with the channels last as TensorFlow.js has them:
 *   `[pictures, height, width, embedding]`
 * @throws `AmdimError` `AMDIM_SHAPE` when the shape does not fit the values or is neither of the two
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs'
 * import { AmdimModel } from 'amdim'
 * import { featuresToTensor } from 'amdim/tfjs'
 *
 * using model = await AmdimModel.load('runs/first/model.safetensors')
 * const features = featuresToTensor(tf, await model.embed('photos'))
 * features.norm('euclidean', 1).print()
 * ```
 */
export function featuresToTensor(tf: TensorFlow, features: Features): Tensor2D | Tensor4D {
  assertTensorFlow(tf)
  dimensionOf('features', features)
  const { data, shape } = features
  assertRank(shape)
  if (shape.length === 2) return tf.tensor2d(data, [shape[0] ?? 0, shape[1] ?? 0])
  return tf.tidy(() => tf.tensor(data, [...shape]).transpose([0, 2, 3, 1]) as Tensor4D)
}

/**
 * A tensor of features as values with their shape, for `searchNeighbours` and the probes; the inverse of
 * {@link featuresToTensor}.
 *
 * @param features - `[pictures, embedding]`, or maps `[pictures, height, width, embedding]`; it is not disposed
 * @returns maps as `[pictures, embedding, height, width]`
 * @throws `AmdimError` `AMDIM_SHAPE` for a tensor of another rank
 */
export async function featuresFromTensor(features: Tensor): Promise<Features> {
  assertTensor('features', features)
  assertRank(features.shape)
  if (features.rank === 2)
    return { data: Float32Array.from(await features.data()), shape: [...features.shape] }
  const channelsFirst = features.transpose([0, 3, 1, 2])
  try {
    return { data: Float32Array.from(await channelsFirst.data()), shape: [...channelsFirst.shape] }
  } finally {
    channelsFirst.dispose()
  }
}

function assertRank(shape: readonly number[]): void {
  if (shape.length === 2 || shape.length === 4) return
  throw new AmdimError(
    'AMDIM_SHAPE',
    `features: expected vectors (2 dimensions) or maps (4 dimensions), got shape [${shape.join(', ')}]`,
    { name: 'features', expected: '2 or 4 dimensions', actual: [...shape] },
  )
}
