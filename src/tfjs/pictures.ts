import type { Tensor, Tensor3D, Tensor4D } from '@tensorflow/tfjs'
import { assertPixels } from '../data/from-arrays.js'
import { AmdimError, invalidArgument } from '../errors.js'
import type { PixelArray } from '../model/amdim-model.js'
import { assertTensorFlow, type TensorFlow } from './tensorflow.js'

/**
 * Pixels as a tensor.
 *
 * @param tf - the module `@tensorflow/tfjs` or `@tensorflow/tfjs-node`
 * @param pixels - values 0..255, `[count, height, width, channels]`
 * @returns int32 `[count, height, width, channels]`, values 0..255: what `tf.node.decodeImage` gives, stacked
 * @throws `AmdimError` `AMDIM_SHAPE` when the shape does not fit the array
 * @example
 * ```ts
 * import * as tf from '@tensorflow/tfjs'
 * import { picturesToTensor } from 'amdim/tfjs'
 *
 * const pictures = picturesToTensor(tf, { data: new Uint8Array(2 * 32 * 32 * 3), shape: [2, 32, 32, 3] })
 * ```
 */
export function picturesToTensor(tf: TensorFlow, pixels: PixelArray): Tensor4D {
  assertTensorFlow(tf)
  if (typeof pixels !== 'object' || pixels === null)
    throw invalidArgument('pixels', '{ data: Uint8Array, shape: [count, height, width, channels] }', pixels)
  assertPixels(pixels.data, pixels.shape)
  return tf.tensor4d(Int32Array.from(pixels.data), [...pixels.shape], 'int32')
}

/**
 * A tensor of pictures as pixels, for `AmdimModel.embed` and `fromArrays`. As everywhere in TensorFlow.js, int32 tensors
 * hold levels 0..255 and float32 tensors values 0..1, which are rounded to the nearest level.
 *
 * @param pictures - `[height, width, channels]` or `[count, height, width, channels]`, 1 (gray) or 3 (RGB) channels; it
 *   is not disposed
 * @throws `AmdimError` `AMDIM_SHAPE` for a tensor of another shape, `AMDIM_INVALID_ARGUMENT` for values outside the
 *   range or NaN
 * @example
 * ```ts
 * import { readFile } from 'node:fs/promises'
 * import * as tf from '@tensorflow/tfjs-node'
 * import { AmdimModel } from 'amdim'
 * import { picturesFromTensor } from 'amdim/tfjs'
 *
 * using model = await AmdimModel.load('runs/first/model.safetensors')
 * const picture = tf.node.decodeImage(await readFile('cat.jpg'), 3)
 * const features = await model.embed(await picturesFromTensor(picture as tf.Tensor3D))
 * picture.dispose()
 * ```
 */
export async function picturesFromTensor(pictures: Tensor3D | Tensor4D): Promise<PixelArray> {
  assertTensor('pictures', pictures)
  const [count, height = 0, width = 0, channels = 0] =
    pictures.rank === 3 ? [1, ...pictures.shape] : (pictures.shape as number[])
  const fits = (pictures.rank === 3 || pictures.rank === 4) && (channels === 1 || channels === 3)
  if (!fits || pictures.size === 0)
    throw new AmdimError(
      'AMDIM_SHAPE',
      `pictures: expected [height, width, 1 or 3] or [count, height, width, 1 or 3], got [${pictures.shape.join(', ')}]`,
      { name: 'pictures', expected: '[count, height, width, channels]', actual: [...pictures.shape] },
    )
  const scale = pictures.dtype === 'int32' ? 1 : 255
  const values = await pictures.data()
  const data = new Uint8Array(values.length)
  for (const [i, value] of values.entries()) {
    const level = value * scale
    // The comparison is false for NaN too.
    if (!(level >= 0 && level <= 255))
      throw invalidArgument(
        'pictures',
        scale === 1 ? 'levels 0..255 in an int32 tensor' : 'values 0..1 in a float32 tensor',
        value,
        'convert levels with pictures.toInt(), or divide them by 255',
      )
    data[i] = Math.round(level)
  }
  return { data, shape: [count ?? 1, height, width, channels] }
}

/** Checks that a value is a tensor, of whichever copy of TensorFlow.js. */
export function assertTensor(name: string, value: unknown): asserts value is Tensor {
  const tensor = value as Partial<Tensor> | null | undefined
  if (typeof tensor === 'object' && typeof tensor?.data === 'function' && Array.isArray(tensor.shape)) return
  throw invalidArgument(name, 'a tf.Tensor', value)
}
