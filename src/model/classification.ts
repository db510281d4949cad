import { assertIndex } from '../data/arguments.js'
import { invalidArgument } from '../errors.js'
import type { SkippedPicture } from './embedding.js'

/** Class of a picture and how probable it is. */
export interface ClassProbability {
  /** Name of the class. */
  name: string
  /** 0..1; those of all classes add up to 1. */
  probability: number
}

/** Probabilities of classes for pictures, in the order of the pictures. */
export class Classification {
  /** Names of the classes, in the order of the columns. */
  readonly classes: readonly string[]
  /** `[pictures, classes]`, row-major. */
  readonly probabilities: Float32Array
  /** One label a picture, where the pictures came with labels; -1: none. */
  readonly labels: Int32Array
  /** One name a picture: its path, or its index in the data set. */
  readonly names: readonly string[]
  /** Pictures that were left out with `onBadImage: 'skip'`. */
  readonly skipped: readonly SkippedPicture[]

  /** @internal */
  constructor(parts: Pick<Classification, 'classes' | 'probabilities' | 'labels' | 'names' | 'skipped'>) {
    this.classes = parts.classes
    this.probabilities = parts.probabilities
    this.labels = parts.labels
    this.names = parts.names
    this.skipped = parts.skipped
  }

  /** Number of pictures. */
  get length(): number {
    return this.names.length
  }

  /**
   * The most probable classes of a picture, the most probable first.
   *
   * @param index - which picture, from 0
   * @param count - how many classes, at most
   * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` when there is no such picture
   */
  top(index: number, count = 1): ClassProbability[] {
    assertIndex(index, this.length)
    if (!Number.isInteger(count) || count < 1) throw invalidArgument('count', 'a whole number from 1', count)
    const row = this.probabilities.subarray(index * this.classes.length, (index + 1) * this.classes.length)
    return this.classes
      .map((name, i) => ({ name, probability: row[i] ?? 0 }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, count)
  }
}
