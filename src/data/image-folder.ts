import { assertKnownKeys } from '../config/validate-keys.js'
import { assertOneOf, assertPath } from './arguments.js'
import { Dataset } from './dataset.js'

/** Options of {@link imageFolder}. */
export interface ImageFolderOptions {
  /**
   * Folder inside `path` that holds the pictures, such as `train`.
   *
   * @default the whole of `path`
   */
  subfolder?: string
  /**
   * `folders`: each folder of pictures is a class, labels in the order of their names. `none`: no labels. `auto`:
   * `folders` when there are any, else `none`.
   *
   * @default 'auto'
   */
  labels?: 'folders' | 'none' | 'auto'
}

/**
 * Opens a folder of pictures (JPEG, PNG, WebP, GIF, BMP), or a `.tar`, `.tar.gz` or `.tgz` of one. Other files are
 * ignored and counted.
 *
 * @param path - the folder or archive
 * @throws {@link AmdimError} `AMDIM_IO` when it is missing or unreadable, `AMDIM_DATA` when it holds no pictures
 * @example
 * ```ts
 * import { imageFolder } from 'amdim';
 *
 * const train = await imageFolder('photos', { subfolder: 'train' });
 * console.log(train.length, train.classes);
 * ```
 */
export async function imageFolder(path: string, options: ImageFolderOptions = {}): Promise<Dataset> {
  assertPath('path', path)
  assertKnownKeys(options, ['subfolder', 'labels'], 'imageFolder')
  const { subfolder = null, labels = 'auto' } = options
  if (subfolder !== null) assertPath('subfolder', subfolder)
  assertOneOf('labels', labels, ['folders', 'none', 'auto'])
  return Dataset.open({ kind: 'imageFolder', path, subfolder, labels })
}
