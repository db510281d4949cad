import { describe, expect, it } from 'vitest'
import type { AmdimError, PixelImage } from '../../src/index.js'
import { guardTransform } from '../../src/train/hook.js'

const image = { data: new Uint8Array(12), width: 2, height: 2, channels: 3 }

function attempt(transform: (image: PixelImage) => unknown) {
  const errors: AmdimError[] = []
  const result = guardTransform(transform as (image: PixelImage) => PixelImage, (error) =>
    errors.push(error),
  )(image)
  return { result, errors }
}

describe('guardTransform', () => {
  it('passes a picture on', () => {
    const other = { data: new Uint8Array(9), width: 3, height: 1, channels: 3 }
    expect(attempt(() => other)).toEqual({ result: other, errors: [] })
  })

  it.each<[string, (image: PixelImage) => unknown, string, string]>([
    [
      'throws',
      () => {
        throw new Error('no')
      },
      'AMDIM_INVALID_ARGUMENT',
      'transform threw: Error: no',
    ],
    ['returns nothing', () => undefined, 'AMDIM_INVALID_ARGUMENT', 'transform: expected to return'],
    ['is asynchronous', async (picture) => picture, 'AMDIM_INVALID_ARGUMENT', 'asynchronous'],
    [
      'returns too few pixels',
      (picture) => ({ ...picture, width: 3 }),
      'AMDIM_SHAPE',
      'expected 18 values for 2 x 3 x 3, got 12',
    ],
    ['returns four channels', () => ({ ...image, channels: 4 }), 'AMDIM_INVALID_ARGUMENT', 'channels: 1 | 3'],
  ])('keeps the error of a transform that %s', (_, transform, code, message) => {
    const { result, errors } = attempt(transform)
    expect(result).toBe(image)
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject({ code, message: expect.stringContaining(message) })
  })
})
