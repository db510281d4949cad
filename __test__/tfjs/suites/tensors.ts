import { describe, expect, it } from 'vitest'
import { AmdimModel } from '../../../src/index.js'
import {
  featuresFromTensor,
  featuresToTensor,
  picturesFromTensor,
  picturesToTensor,
  type TensorFlow,
} from '../../../src/tfjs/index.js'
import { TINY } from '../../support/tiny.js'

/** Pictures and features to and from tensors, with either module. */
export function describeTensors(load: () => Promise<TensorFlow>): void {
  const pixels = {
    data: Uint8Array.from({ length: 2 * 4 * 3 * 3 }, (_, i) => (i * 37) % 256),
    shape: [2, 4, 3, 3] as const,
  }

  describe('pictures', () => {
    it('are the same after a journey, as levels and as values 0..1', async () => {
      const tf = await load()
      const before = tf.memory().numTensors
      const tensor = picturesToTensor(tf, pixels)
      expect([tensor.dtype, tensor.shape]).toEqual(['int32', [2, 4, 3, 3]])
      expect(await picturesFromTensor(tensor)).toEqual(pixels)
      const unit = tensor.div<typeof tensor>(255)
      expect(unit.dtype).toBe('float32')
      expect(await picturesFromTensor(unit)).toEqual(pixels)
      tf.dispose([tensor, unit])
      expect(tf.memory().numTensors).toBe(before)
    })

    it('may be a single one', async () => {
      const tf = await load()
      const tensor = tf.tensor3d([0, 128, 255, 7], [2, 2, 1], 'int32')
      expect(await picturesFromTensor(tensor)).toEqual({
        data: Uint8Array.of(0, 128, 255, 7),
        shape: [1, 2, 2, 1],
      })
      tensor.dispose()
    })

    it('are what embed takes', async () => {
      const tf = await load()
      using model = await AmdimModel.create({ config: TINY, device: 'cpu' })
      const data = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => i % 256)
      const tensor = picturesToTensor(tf, { data, shape: [1, 32, 32, 3] })
      const embedding = await model.embed(await picturesFromTensor(tensor))
      expect(embedding.data).toEqual((await model.embed({ data, shape: [1, 32, 32, 3] })).data)
      tensor.dispose()
    })

    it('are refused outside the range of their type, or in another shape', async () => {
      const tf = await load()
      const at = (value: number, dtype: 'int32' | 'float32') => tf.tensor3d([value], [1, 1, 1], dtype)
      for (const [tensor, message] of [
        [at(256, 'int32'), 'pictures: expected levels 0..255 in an int32 tensor, got 256'],
        [at(-1, 'int32'), 'got -1'],
        [at(2, 'float32'), 'pictures: expected values 0..1 in a float32 tensor, got 2'],
        [at(Number.NaN, 'float32'), 'got NaN'],
        [
          tf.zeros([2, 2]),
          'pictures: expected [height, width, 1 or 3] or [count, height, width, 1 or 3], got [2, 2]',
        ],
        [tf.zeros([1, 2, 2, 4]), 'got [1, 2, 2, 4]'],
      ] as const)
        await expect(picturesFromTensor(tensor as ReturnType<typeof at>)).rejects.toThrow(message)
      await expect(picturesFromTensor(pixels as never)).rejects.toThrow('pictures: expected a tf.Tensor')
      expect(() => picturesToTensor(tf, { ...pixels, shape: [3, 4, 3, 3] })).toThrow(
        expect.objectContaining({ code: 'AMDIM_SHAPE' }),
      )
    })
  })

  describe('features', () => {
    it('are the same after a journey; maps go with the channels last', async () => {
      const tf = await load()
      const before = tf.memory().numTensors
      const vectors = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] }
      const maps = { data: Float32Array.from({ length: 24 }, (_, i) => i), shape: [2, 3, 2, 2] }
      const [flat, tensor] = [featuresToTensor(tf, vectors), featuresToTensor(tf, maps)]
      expect(flat.shape).toEqual([2, 3])
      expect(tensor.shape).toEqual([2, 2, 2, 3])
      // The channels of the first location.
      expect([...(await tensor.data())].slice(0, 3)).toEqual([0, 4, 8])
      expect(await featuresFromTensor(flat)).toEqual(vectors)
      expect(await featuresFromTensor(tensor)).toEqual(maps)
      tf.dispose([flat, tensor])
      expect(tf.memory().numTensors).toBe(before)
    })

    it('are refused in another shape', async () => {
      const tf = await load()
      const data = Float32Array.of(1, 2, 3, 4)
      for (const shape of [[2, 3], [4], [1, 2, 2]])
        expect(() => featuresToTensor(tf, { data, shape })).toThrow(
          expect.objectContaining({ code: 'AMDIM_SHAPE' }),
        )
      await expect(featuresFromTensor(tf.tensor(data))).rejects.toMatchObject({ code: 'AMDIM_SHAPE' })
    })
  })
}
