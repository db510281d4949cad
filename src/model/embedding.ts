import type { Layer } from '../config/encoder-maps.js'
import { assertIndex } from '../data/arguments.js'

/** A picture that was left out, and why. */
export interface SkippedPicture {
  /** Its path, or its index in the data set. */
  name: string
  /** Code of the failure, as in `AmdimError`. */
  code: string
  /** What was wrong with it. */
  message: string
}

/** Features of pictures, in the order of the pictures. */
export class Embedding {
  /** All values, row-major; its shape is {@link Embedding.shape}. */
  readonly data: Float32Array
  /**
   * `[pictures, embedding]` for the layer `global`, `[pictures, embedding, height, width]` for a local one,
   * `[pictures, components, embedding]` for `mixture`, `[pictures, components, height, width]` for a posterior.
   */
  readonly shape: readonly number[]
  /** Which layer of the encoder they are. */
  readonly layer: Layer
  /** One label a picture; -1: none. */
  readonly labels: Int32Array
  /** One name a picture: its path, or its index in the data set. */
  readonly names: readonly string[]
  /** Pictures that were left out with `onBadImage: 'skip'`. */
  readonly skipped: readonly SkippedPicture[]

  /** @internal */
  constructor(parts: Pick<Embedding, 'data' | 'shape' | 'layer' | 'labels' | 'names' | 'skipped'>) {
    this.data = parts.data
    this.shape = parts.shape
    this.layer = parts.layer
    this.labels = parts.labels
    this.names = parts.names
    this.skipped = parts.skipped
  }

  /** Number of pictures. */
  get length(): number {
    return this.shape[0] ?? 0
  }

  /** Number of values a picture. */
  get dimensions(): number {
    return this.shape.slice(1).reduce((product, n) => product * n, 1)
  }

  /**
   * The features of one picture: a view of {@link Embedding.data}, not a copy.
   *
   * @param index - which picture, from 0
   * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` when there is no such picture
   */
  row(index: number): Float32Array {
    assertIndex(index, this.length)
    return this.data.subarray(index * this.dimensions, (index + 1) * this.dimensions)
  }
}
