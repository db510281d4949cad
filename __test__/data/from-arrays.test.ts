import { describe, expect, it } from 'vitest'
import { fromArrays } from '../../src/index.js'

type Shape = [number, number, number, number]

describe('fromArrays', () => {
  it.each([
    [[2, 32, 32, 4], 'AMDIM_INVALID_ARGUMENT', 'shape[3] (channels): expected 1 or 3, got 4'],
    [[2, 32, 32], 'AMDIM_INVALID_ARGUMENT', 'shape: expected [count, height, width, channels]'],
    [[0, 32, 32, 3], 'AMDIM_INVALID_ARGUMENT', 'each at least 1'],
    [[3, 32, 32, 3], 'AMDIM_SHAPE', 'pixels: expected 9216 values for shape [3, 32, 32, 3], got 6144'],
  ])('refuses the shape %j', async (shape, code, message) => {
    const failure = fromArrays(new Uint8Array(2 * 32 * 32 * 3), shape as Shape)
    await expect(failure).rejects.toMatchObject({ code })
    await expect(failure).rejects.toThrow(message)
  })

  it('refuses other arrays and unknown options', async () => {
    const floats = new Float32Array(3072) as unknown as Uint8Array
    await expect(fromArrays(floats, [1, 32, 32, 3])).rejects.toThrow('pixels: expected a Uint8Array')
    const options = { label: [0] } as object
    await expect(fromArrays(new Uint8Array(3072), [1, 32, 32, 3], options)).rejects.toThrow(
      'did you mean "labels"?',
    )
  })

  it('makes a data set with labels', async () => {
    using dataset = await fromArrays(new Uint8Array(3 * 32 * 32), [3, 32, 32, 1], { labels: [0, 1, null] })
    expect(dataset).toMatchObject({ length: 3, labelled: true, classes: ['0', '1'], ignoredFiles: 0 })
  })
})
