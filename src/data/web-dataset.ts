import { assertKnownKeys } from '../config/validate-keys.js'
import { invalidArgument } from '../errors.js'
import { assertOneOf } from './arguments.js'
import { Dataset } from './dataset.js'
import { shardFiles } from './shard-files.js'

/** Options of {@link webDataset}. */
export interface WebDatasetOptions {
  /**
   * `auto`: labels where there are any. `none`: no labels.
   *
   * @default 'auto'
   */
  labels?: 'auto' | 'none'
  /**
   * Names of the classes in the order of their numbers.
   *
   * @default the labels themselves: names sorted, numbers as text
   */
  classes?: readonly string[]
}

/**
 * Opens tar shards as WebDataset writes them, as a stream: the headers are read now, pictures when they are needed, and
 * memory does not grow with their size (12 bytes a picture are kept). Files whose names are the same up to the first
 * dot make one sample: a picture (`.jpg`, `.jpeg`, `.png`, `.webp`, `.gif`, `.bmp`), and its label in `.cls` (a number
 * or a name), in `label` or `cls` of `.json`, or in `.txt` where it is a number.
 *
 * @param shards - the shards: paths, with braces (`train-{0000..0099}.tar`) and wildcards in the last part
 *   (`train-*.tar`); uncompressed, because they are read in place
 * @throws {@link AmdimError} `AMDIM_IO` when one is missing, `AMDIM_DATA` when one is cut off, or has no pictures, or
 *   labels for some pictures only
 * @example
 * ```ts
 * import { webDataset } from 'amdim';
 *
 * const train = await webDataset('shards/train-{0000..0099}.tar');
 * ```
 */
export async function webDataset(
  shards: string | readonly string[],
  options: WebDatasetOptions = {},
): Promise<Dataset> {
  assertKnownKeys(options, ['labels', 'classes'], 'webDataset')
  const { labels = 'auto', classes } = options
  assertOneOf('labels', labels, ['auto', 'none'])
  const isNames =
    classes === undefined || (Array.isArray(classes) && classes.every((name) => typeof name === 'string'))
  if (!isNames) throw invalidArgument('classes', 'a list of names', classes)
  return Dataset.open({
    kind: 'webDataset',
    shards: await shardFiles('shards', shards),
    labels,
    classes: classes === undefined ? null : [...classes],
  })
}
