import { assertKnownKeys } from '../config/validate-keys.js'
import { assertOneOf, assertPath } from './arguments.js'
import { Dataset } from './dataset.js'
import type { Stl10Split } from './source.js'

/** Options of {@link stl10}. */
export interface Stl10Options {
  /**
   * Which part: 5,000 labelled `train`, 8,000 labelled `test`, 100,000 `unlabeled`, or `train+unlabeled`.
   *
   * @default 'train+unlabeled'
   */
  split?: Stl10Split
}

/**
 * Opens STL-10 in its official binary version (Coates 2011): 96 x 96 RGB pictures of 10 classes.
 *
 * @param path - the folder `stl10_binary` or the archive `stl10_binary.tar.gz`
 * @throws {@link AmdimError} `AMDIM_IO` when it is missing, `AMDIM_DATA` when a file is truncated
 * @example
 * ```ts
 * import { stl10 } from 'amdim';
 *
 * const pictures = await stl10('stl10_binary.tar.gz');
 * ```
 */
export async function stl10(path: string, options: Stl10Options = {}): Promise<Dataset> {
  assertPath('path', path)
  assertKnownKeys(options, ['split'], 'stl10')
  const { split = 'train+unlabeled' } = options
  assertOneOf('split', split, ['train', 'test', 'unlabeled', 'train+unlabeled'])
  return Dataset.open({ kind: 'stl10', path, split })
}
