import { AmdimError } from '../errors.js'
import { addon, type NativeDataset, type PicturesFromJs, unwrap } from '../native.js'
import type { DatasetSource } from './source.js'

interface DatasetInfo {
  length: number
  classes: string[]
  labelled: boolean
  ignoredFiles: number
  description: string
}

/**
 * An opened data set: pictures with or without labels, held by the addon.
 *
 * Made by {@link openDataset}, {@link imageFolder}, {@link cifar10}, {@link cifar100}, {@link stl10}, {@link idx},
 * {@link mnist}, {@link webDataset}, {@link parquet}, {@link fromArrays} and {@link fromPictures}. It may be used by several runs, one after another or at
 * once; `dispose` releases its memory.
 */
export class Dataset {
  /** Number of pictures. */
  readonly length: number
  /** Names of the classes in the order of their labels; empty without labels. */
  readonly classes: readonly string[]
  /** Whether the pictures have labels. */
  readonly labelled: boolean
  /** Files that are not pictures and were left out. */
  readonly ignoredFiles: number
  /** One line about what it is and where it comes from. */
  readonly description: string
  #native: NativeDataset | undefined

  private constructor(native: NativeDataset) {
    const info = JSON.parse(native.info()) as DatasetInfo
    this.#native = native
    this.length = info.length
    this.classes = info.classes
    this.labelled = info.labelled
    this.ignoredFiles = info.ignoredFiles
    this.description = info.description
  }

  /** @internal */
  static async open(source: DatasetSource): Promise<Dataset> {
    return new Dataset(unwrap(await addon().NativeDataset.open(JSON.stringify(source))))
  }

  /** @internal */
  static async ofPictures(pictures: PicturesFromJs): Promise<Dataset> {
    return new Dataset(unwrap(await addon().NativeDataset.fromPictures(pictures)))
  }

  /** @internal */
  get native(): NativeDataset {
    if (this.#native === undefined)
      throw new AmdimError(
        'AMDIM_INVALID_ARGUMENT',
        `data set ${this.description} was disposed; open it again`,
      )
    return this.#native
  }

  /** Releases the memory; runs under way keep what they need. Calling it again does nothing. */
  dispose(): void {
    this.#native?.dispose()
    this.#native = undefined
  }

  /** Same as {@link Dataset.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}
