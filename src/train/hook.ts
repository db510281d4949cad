import type { PixelImage } from '../data/from-pictures.js'
import { AmdimError, invalidArgument } from '../errors.js'
import type { NativeImage } from '../native.js'
import type { Transform } from './options.js'

/**
 * A user's transform as the addon calls it: it never throws across the border. What it threw is kept, the picture is
 * passed on unchanged, and `onError` stops the run.
 */
export function guardTransform(transform: Transform, onError: (error: AmdimError) => void) {
  return (image: NativeImage): NativeImage => {
    try {
      return checked(transform(image))
    } catch (cause) {
      onError(
        cause instanceof AmdimError
          ? cause
          : new AmdimError(
              'AMDIM_INVALID_ARGUMENT',
              `transform threw: ${String(cause)}`,
              { name: 'transform' },
              { cause },
            ),
      )
      return image
    }
  }
}

function checked(image: PixelImage): NativeImage {
  if (image instanceof Promise)
    throw invalidArgument('transform', 'a picture', image, 'asynchronous transforms are not supported')
  const { data, width, height, channels } = image ?? {}
  const isWhole =
    [width, height].every((n) => Number.isSafeInteger(n) && n > 0) && (channels === 1 || channels === 3)
  if (!(data instanceof Uint8Array) || !isWhole)
    throw invalidArgument(
      'transform',
      'to return { data: Uint8Array, width, height, channels: 1 | 3 }',
      image,
    )
  const expected = width * height * channels
  if (data.length !== expected)
    throw new AmdimError(
      'AMDIM_SHAPE',
      `transform: expected ${expected} values for ${height} x ${width} x ${channels}, got ${data.length}`,
      { name: 'transform', expected, actual: data.length },
    )
  return { data, width, height, channels }
}
