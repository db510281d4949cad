import { assertKnownKeys } from '../config/validate-keys.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { assertPath } from './arguments.js'
import { Dataset } from './dataset.js'
import { detectSources } from './detect.js'

/** The splits of a data set. */
export interface DatasetSplits {
  /** Pictures to learn from. */
  train: Dataset
  /** Pictures to test on, where the data set has a split of them. */
  test: Dataset | null
}

/** Options of {@link openDataset}. */
export interface OpenDatasetOptions {
  /**
   * Whether `train` has the unlabelled pictures too, where a data set keeps them apart (STL-10, shards named `unlabeled`).
   *
   * @default false
   */
  unlabeled?: boolean
}

/** A data set, the promise of one, or the path of one. */
export type DatasetInput = Dataset | PromiseLike<Dataset> | string

/**
 * Opens the data set at a path, whatever its kind: a folder of pictures or an archive (`.tar`, `.tar.gz`, `.tgz`) of
 * one, CIFAR-10, CIFAR-100 or STL-10 in their binary versions (folder or archive), a folder of MNIST's IDX files, tar
 * shards of WebDataset or Parquet files (a folder of them, one file, or a pattern such as `train-{0000..0099}.tar`).
 * A folder with subfolders `train` and `test` (or `val`) gives both splits, and so do shards with these words in their
 * names.
 *
 * @throws {@link AmdimError} `AMDIM_IO` when it is missing or unreadable, `AMDIM_DATA` when it is empty or malformed
 * @example
 * ```ts
 * import { openDataset } from 'amdim';
 *
 * const { train, test } = await openDataset('data/cifar10-sample.tar.gz');
 * console.log(train.length, test?.length, train.classes);
 * ```
 */
export async function openDataset(path: string, options: OpenDatasetOptions = {}): Promise<DatasetSplits> {
  assertPath('path', path)
  assertKnownKeys(options, ['unlabeled'], 'openDataset')
  const sources = await detectSources(path)
  const train = await Dataset.open((options.unlabeled && sources.withUnlabeled) || sources.train)
  try {
    return { train, test: sources.test && (await Dataset.open(sources.test)) }
  } catch (error) {
    train.dispose()
    throw error
  }
}

/** Data sets opened for one piece of work, released together after it; what the caller opened stays open. */
export class OpenedDatasets {
  readonly #own: Dataset[] = []

  /** One data set; a path must hold one split only. */
  async one(name: string, input: DatasetInput): Promise<Dataset> {
    const { train, test } = await this.splits(name, input)
    if (test === null) return train
    throw new AmdimError(
      'AMDIM_INVALID_ARGUMENT',
      `${name}: ${String(input)} holds a train and a test split; say which, as imageFolder(path, { subfolder: 'test' })`,
      { name },
    )
  }

  /** The splits of a path, or a data set as training split. */
  async splits(name: string, input: DatasetInput, options: OpenDatasetOptions = {}): Promise<DatasetSplits> {
    if (typeof input === 'string') {
      const splits = await openDataset(input, options)
      this.#own.push(splits.train, ...(splits.test ? [splits.test] : []))
      return splits
    }
    const dataset = await input
    if (!(dataset instanceof Dataset)) throw invalidArgument(name, 'a Dataset or a path', dataset)
    return { train: dataset, test: null }
  }

  /** Takes over a data set to release. */
  own(dataset: Dataset): Dataset {
    this.#own.push(dataset)
    return dataset
  }

  /** Releases what was opened here. */
  dispose(): void {
    for (const dataset of this.#own) dataset.dispose()
  }
}
