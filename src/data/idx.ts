import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { assertKnownKeys } from '../config/validate-keys.js'
import { AmdimError } from '../errors.js'
import { assertOneOf, assertPath } from './arguments.js'
import { Dataset } from './dataset.js'

/** Options of {@link mnist}. */
export interface MnistOptions {
  /**
   * Which part: 60,000 training or 10,000 test pictures.
   *
   * @default 'train'
   */
  split?: 'train' | 'test'
}

/**
 * Opens pictures in the IDX format of MNIST (plain or `.gz`): gray, 28 x 28 padded with zeros to 32 x 32.
 *
 * @param images - the file of pictures (`...-images-idx3-ubyte`)
 * @param labels - the file of labels (`...-labels-idx1-ubyte`); without it the pictures have none
 * @throws {@link AmdimError} `AMDIM_IO` when a file is missing, `AMDIM_DATA` when one is truncated or not IDX
 * @example
 * ```ts
 * import { idx } from 'amdim';
 *
 * const test = await idx('t10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz');
 * ```
 */
export async function idx(images: string, labels?: string): Promise<Dataset> {
  assertPath('images', images)
  if (labels !== undefined) assertPath('labels', labels)
  return Dataset.open({ kind: 'idx', images, labels: labels ?? null })
}

/**
 * Opens MNIST (LeCun 1998), or a data set with the same file names, from its folder.
 *
 * @param folder - folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
 *   `t10k-labels-idx1-ubyte`, each plain or `.gz`
 * @throws {@link AmdimError} `AMDIM_IO` when a file is missing, `AMDIM_DATA` when one is truncated
 * @example
 * ```ts
 * import { mnist } from 'amdim';
 *
 * const train = await mnist('mnist', { split: 'train' });
 * ```
 */
export async function mnist(folder: string, options: MnistOptions = {}): Promise<Dataset> {
  assertPath('folder', folder)
  assertKnownKeys(options, ['split'], 'mnist')
  const { split = 'train' } = options
  assertOneOf('split', split, ['train', 'test'])
  const stem = split === 'train' ? 'train' : 't10k'
  return idx(
    plainOrGzip(folder, `${stem}-images-idx3-ubyte`),
    plainOrGzip(folder, `${stem}-labels-idx1-ubyte`),
  )
}

function plainOrGzip(folder: string, name: string): string {
  const plain = join(folder, name)
  const found = [plain, `${plain}.gz`].find((path) => existsSync(path))
  if (found === undefined)
    throw new AmdimError('AMDIM_IO', `${folder}: expected a file ${name} or ${name}.gz, found neither`, {
      path: plain,
    })
  return found
}
