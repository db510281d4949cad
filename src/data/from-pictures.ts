import { assertKnownKeys } from '../config/validate-keys.js'
import { AmdimError, invalidArgument } from '../errors.js'
import type { PicturesFromJs } from '../native.js'
import { Dataset } from './dataset.js'
import { assertPixels } from './from-arrays.js'
import { toLabels } from './labels.js'

/** Pixels of one picture: values 0..255, `[height, width, channels]`, row-major and interleaved, 1 or 3 channels. */
export interface PixelImage {
  /** `height * width * channels` values. */
  data: Uint8Array
  /** Width in pixels. */
  width: number
  /** Height in pixels. */
  height: number
  /** 1 (gray) or 3 (RGB). */
  channels: number
}

/** A picture: path of a file, bytes of a file (JPEG, PNG, WebP, GIF, BMP), or pixels. */
export type PictureData = string | Uint8Array | PixelImage

/** A picture, or one with its label (index of its class, `null` for none). */
export type Picture =
  | PictureData
  | {
      /** The picture. */
      data: PictureData
      /** Index of its class; `null`: none. */
      label?: number | null
    }

/** Options of {@link fromPictures}. */
export interface FromPicturesOptions {
  /**
   * Names of the classes in the order of their labels.
   *
   * @default the labels as text
   */
  classes?: readonly string[]
  /** Stops the reading at the next picture, for endless iterables. */
  signal?: AbortSignal
}

/**
 * A data set of pictures that the program supplies one after another. The iterable is read to its end before the
 * data set is ready; bytes and pixels are then in memory, paths are read when needed. All pictures have one form
 * (paths, bytes or pixels), and pixels one size.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for an item of another form, `AMDIM_DATA` when there are none,
 *   `AMDIM_CANCELLED` when the signal aborts
 * @example
 * ```ts
 * import { readFile } from 'node:fs/promises';
 * import { fromPictures } from 'amdim';
 *
 * async function* pictures() {
 *   for (const name of ['cat.jpg', 'dog.jpg']) yield { data: await readFile(name), label: name === 'cat.jpg' ? 0 : 1 };
 * }
 * const dataset = await fromPictures(pictures(), { classes: ['cat', 'dog'] });
 * ```
 */
export async function fromPictures(
  pictures: AsyncIterable<Picture> | Iterable<Picture>,
  options: FromPicturesOptions = {},
): Promise<Dataset> {
  assertKnownKeys(options, ['classes', 'signal'], 'fromPictures')
  const { items, labels } = await collect(pictures, options.signal)
  const hasLabels = labels.some((label) => label !== null)
  const { classes } = options
  const labelOptions = { ...(hasLabels && { labels }), ...(classes && { classes }) }
  return Dataset.ofPictures({ ...pack(items), ...toLabels(labelOptions, items.length) })
}

async function collect(
  pictures: AsyncIterable<Picture> | Iterable<Picture>,
  signal: AbortSignal | undefined,
) {
  if (!isIterable(pictures))
    throw invalidArgument('pictures', 'an iterable or async iterable of pictures', pictures)
  const items: PictureData[] = []
  const labels: (number | null)[] = []
  for await (const picture of pictures) {
    if (signal?.aborted) throw new AmdimError('AMDIM_CANCELLED', 'reading of the pictures was cancelled')
    const { data, label } = split(picture, items.length)
    items.push(data)
    labels.push(label)
  }
  if (items.length === 0)
    throw new AmdimError('AMDIM_DATA', 'pictures: expected at least one picture, the iterable gave none')
  return { items, labels }
}

function isIterable(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value)
  )
}

function split(picture: Picture, index: number): { data: PictureData; label: number | null } {
  if (isPictureData(picture)) return { data: picture, label: null }
  const isLabelled = typeof picture === 'object' && picture !== null && isPictureData(picture.data)
  if (!isLabelled)
    throw invalidArgument(
      `pictures[${index}]`,
      'a path, a Uint8Array, or { data, width, height, channels }',
      picture,
    )
  return { data: picture.data, label: picture.label ?? null }
}

function isPictureData(value: unknown): value is PictureData {
  return typeof value === 'string' || value instanceof Uint8Array || isPixelImage(value)
}

function isPixelImage(value: unknown): value is PixelImage {
  return (
    typeof value === 'object' && value !== null && 'width' in value && 'height' in value && 'data' in value
  )
}

/** The form that the addon takes; which one the first picture decides. */
function pack(items: PictureData[]): PicturesFromJs {
  const [first] = items
  if (typeof first === 'string') return { paths: items.map((item, i) => sameForm(item, i, isPath, 'a path')) }
  if (first instanceof Uint8Array)
    return { encoded: items.map((item, i) => sameForm(item, i, isBytes, 'a Uint8Array')) }
  return { pixels: stack(items.map((item, i) => sameForm(item, i, isPixelImage, 'pixels'))) }
}

const isPath = (item: PictureData) => typeof item === 'string'
const isBytes = (item: PictureData) => item instanceof Uint8Array

function sameForm<T extends PictureData>(
  item: PictureData,
  index: number,
  is: (item: PictureData) => item is T,
  expected: string,
): T {
  if (is(item)) return item
  throw invalidArgument(`pictures[${index}]`, `${expected} as in the first picture`, item)
}

function stack(images: PixelImage[]) {
  const [first] = images
  if (first === undefined) throw invalidArgument('pictures', 'at least one picture', images)
  const { width, height, channels } = first
  const pixelsEach = width * height * channels
  const data = new Uint8Array(images.length * pixelsEach)
  for (const [i, image] of images.entries()) {
    assertPixels(image.data, [1, image.height, image.width, image.channels])
    const size = [image.height, image.width, image.channels].join(' x ')
    const expected = [height, width, channels].join(' x ')
    if (size !== expected)
      throw invalidArgument(
        `pictures[${i}]`,
        `${expected} as in the first picture`,
        size,
        'resize it, or give its file',
      )
    data.set(image.data, i * pixelsEach)
  }
  return { data, count: images.length, height, width, channels }
}
