import { assertKnownKeys } from '../config/validate-keys.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { Dataset } from './dataset.js'
import { type LabelOptions, toLabels } from './labels.js'

/**
 * A data set of pixels that the program already has.
 *
 * @param pixels - values 0..255, row-major and interleaved; they are copied
 * @param shape - `[count, height, width, channels]` with 1 (gray) or 3 (RGB) channels
 * @throws {@link AmdimError} `AMDIM_SHAPE` when the shape does not fit the array, `AMDIM_INVALID_ARGUMENT` for bad labels
 * @example
 * ```ts
 * import { fromArrays } from 'amdim';
 *
 * const pixels = new Uint8Array(100 * 32 * 32 * 3);
 * const pictures = await fromArrays(pixels, [100, 32, 32, 3]);
 * ```
 */
export async function fromArrays(
  pixels: Uint8Array,
  shape: readonly [count: number, height: number, width: number, channels: number],
  options: LabelOptions = {},
): Promise<Dataset> {
  assertKnownKeys(options, ['labels', 'classes'], 'fromArrays')
  assertPixels(pixels, shape)
  const [count, height, width, channels] = shape
  return Dataset.ofPictures({
    pixels: { data: pixels, count, height, width, channels },
    ...toLabels(options, count),
  })
}

/** Checks that an array of pixels has the shape said. */
export function assertPixels(pixels: Uint8Array, shape: readonly number[]): void {
  if (!(pixels instanceof Uint8Array)) throw invalidArgument('pixels', 'a Uint8Array', pixels)
  const isShape =
    Array.isArray(shape) && shape.length === 4 && shape.every((n) => Number.isSafeInteger(n) && n > 0)
  if (!isShape) throw invalidArgument('shape', '[count, height, width, channels], each at least 1', shape)
  const channels = shape[3]
  if (channels !== 1 && channels !== 3) throw invalidArgument('shape[3] (channels)', '1 or 3', channels)
  const expected = shape.reduce((product, n) => product * n, 1)
  if (expected === pixels.length) return
  throw new AmdimError(
    'AMDIM_SHAPE',
    `pixels: expected ${expected} values for shape [${shape.join(', ')}], got ${pixels.length}`,
    { name: 'pixels', expected, actual: pixels.length },
  )
}
