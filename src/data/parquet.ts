import { assertKnownKeys } from '../config/validate-keys.js'
import { invalidArgument } from '../errors.js'
import { assertOneOf } from './arguments.js'
import { Dataset } from './dataset.js'
import { shardFiles } from './shard-files.js'

/** Options of {@link parquet}. */
export interface ParquetOptions {
  /**
   * The column of pictures: bytes of picture files, or a group with a field `bytes`.
   *
   * @default the one that Hugging Face's metadata call an image, else `image`, `img` or the only one
   */
  imageColumn?: string
  /**
   * The column of labels: numbers of classes, or their names.
   *
   * @default the one that Hugging Face's metadata call a class label, else `label`, `fine_label` and the like, else none
   */
  labelColumn?: string
  /**
   * `auto`: labels where there are any. `none`: no labels.
   *
   * @default 'auto'
   */
  labels?: 'auto' | 'none'
}

/**
 * Opens Parquet files with pictures, as Hugging Face's data sets are kept, as a stream: metadata and labels are read
 * now, pictures when they are needed, a page at a time, and memory does not grow with their size (4 bytes a picture and
 * some hundred a row group are kept). Names of classes come from the metadata. A label that is null or -1 is none.
 *
 * @param files - the files: paths, with braces (`{00000..00004}`) and wildcards in the last part (`train-*.parquet`)
 * @throws {@link AmdimError} `AMDIM_IO` when one is missing, `AMDIM_DATA` when one is cut off or has no column of
 *   pictures, `AMDIM_INVALID_ARGUMENT` for a column that it does not have
 * @example
 * ```ts
 * import { parquet } from 'amdim';
 *
 * const train = await parquet('cifar100/train-*.parquet', { labelColumn: 'coarse_label' });
 * ```
 */
export async function parquet(
  files: string | readonly string[],
  options: ParquetOptions = {},
): Promise<Dataset> {
  assertKnownKeys(options, ['imageColumn', 'labelColumn', 'labels'], 'parquet')
  const { imageColumn = null, labelColumn = null, labels = 'auto' } = options
  for (const [name, column] of Object.entries({ imageColumn, labelColumn }))
    if (column !== null && typeof column !== 'string')
      throw invalidArgument(name, 'the name of a column', column)
  assertOneOf('labels', labels, ['auto', 'none'])
  if (labels === 'none' && labelColumn !== null)
    throw invalidArgument('labelColumn', "labels: 'auto' beside it", labelColumn)
  return Dataset.open({
    kind: 'parquet',
    files: await shardFiles('files', files),
    imageColumn,
    labelColumn,
    labels,
  })
}
