import { assertKnownKeys } from '../config/validate-keys.js'
import { assertOneOf, assertPath } from './arguments.js'
import { Dataset } from './dataset.js'

/** Options of {@link cifar10}. */
export interface Cifar10Options {
  /**
   * Which part: 50,000 training or 10,000 test pictures.
   *
   * @default 'train'
   */
  split?: 'train' | 'test'
}

/** Options of {@link cifar100}. */
export interface Cifar100Options extends Cifar10Options {
  /**
   * The 100 fine classes or the 20 coarse ones.
   *
   * @default 'fine'
   */
  labels?: 'fine' | 'coarse'
}

/**
 * Opens CIFAR-10 in its official binary version (Krizhevsky 2009): 32 x 32 RGB pictures of 10 classes.
 *
 * @param path - the folder `cifar-10-batches-bin` or the archive `cifar-10-binary.tar.gz`
 * @throws {@link AmdimError} `AMDIM_IO` when it is missing, `AMDIM_DATA` when a file is truncated
 * @example
 * ```ts
 * import { cifar10 } from 'amdim';
 *
 * const test = await cifar10('cifar-10-binary.tar.gz', { split: 'test' });
 * ```
 */
export async function cifar10(path: string, options: Cifar10Options = {}): Promise<Dataset> {
  assertPath('path', path)
  assertKnownKeys(options, ['split'], 'cifar10')
  const { split = 'train' } = options
  assertOneOf('split', split, ['train', 'test'])
  return Dataset.open({ kind: 'cifar10', path, split })
}

/**
 * Opens CIFAR-100 in its official binary version (Krizhevsky 2009): 32 x 32 RGB pictures of 100 classes.
 *
 * @param path - the folder `cifar-100-binary` or the archive `cifar-100-binary.tar.gz`
 * @throws {@link AmdimError} `AMDIM_IO` when it is missing, `AMDIM_DATA` when a file is truncated
 * @example
 * ```ts
 * import { cifar100 } from 'amdim';
 *
 * const train = await cifar100('cifar-100-binary.tar.gz', { labels: 'coarse' });
 * ```
 */
export async function cifar100(path: string, options: Cifar100Options = {}): Promise<Dataset> {
  assertPath('path', path)
  assertKnownKeys(options, ['split', 'labels'], 'cifar100')
  const { split = 'train', labels = 'fine' } = options
  assertOneOf('split', split, ['train', 'test'])
  assertOneOf('labels', labels, ['fine', 'coarse'])
  return Dataset.open({ kind: 'cifar100', path, split, labels })
}
