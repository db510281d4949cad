import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { AmdimError } from '../errors.js'
import { archiveEntries } from './archive.js'
import type { DatasetSource } from './source.js'

/** Sources of the splits found at a path. */
export interface DetectedSources {
  train: DatasetSource
  test: DatasetSource | null
}

const TRAIN_FOLDERS = ['train', 'training']
const TEST_FOLDERS = ['test', 'val', 'valid', 'validation', 'testing']

/**
 * What kind of data set is at a path, by the names of its files; pixels are not looked at.
 *
 * @throws {@link AmdimError} `AMDIM_IO` when there is nothing or it cannot be read, `AMDIM_DATA` when it is no data set
 */
export async function detectSources(path: string): Promise<DetectedSources> {
  const isFolder = (await statOf(path)).isDirectory()
  if (isFolder) return fromFolder(path)
  if (/\.(tar|tar\.gz|tgz)$/i.test(path)) return fromArchive(path)
  if (/idx3-ubyte(\.gz)?$/i.test(path)) return fromIdxFile(path)
  throw new AmdimError(
    'AMDIM_DATA',
    `${path}: expected a folder, a .tar, .tar.gz or .tgz archive, or an ...-idx3-ubyte file of pictures`,
    { path },
  )
}

async function statOf(path: string) {
  try {
    return await stat(path)
  } catch (cause) {
    throw unreadable(path, cause as NodeJS.ErrnoException)
  }
}

async function list(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (cause) {
    throw unreadable(path, cause as NodeJS.ErrnoException)
  }
}

function unreadable(path: string, cause: NodeJS.ErrnoException): AmdimError {
  const reason = cause.code === 'ENOENT' ? 'there is nothing at this path' : cause.message
  return new AmdimError(
    'AMDIM_IO',
    `data set ${path} cannot be read: ${reason}`,
    { path, reason: cause.code },
    { cause },
  )
}

async function fromFolder(path: string): Promise<DetectedSources> {
  const entries = await list(path)
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name)
  const known = fromFileNames(path, files)
  if (known) return known
  const folders = entries.filter((entry) => !entry.isFile()).map((entry) => entry.name)
  return fromSplitFolders(path, findSplits(folders))
}

async function fromArchive(path: string): Promise<DetectedSources> {
  const folders = new Set<string>()
  const files: string[] = []
  let known = 0
  for await (const entry of archiveEntries(path)) {
    const parts = entry.split('/').filter((part) => part !== '' && part !== '.')
    if (parts.length > 1 || entry.endsWith('/')) folders.add(parts[0] ?? '')
    // A wrapping folder is common: archive/train/class/picture.
    if (parts.length > 2) folders.add(parts.slice(0, 2).join('/'))
    const isBinary = parts.length <= 2 && /\.(bin|txt)$/.test(entry)
    if (isBinary) files.push(basename(entry))
    if (isBinary && fromFileNames(path, files)) break
    if (folders.size === known) continue
    known = folders.size
    const { train, test } = findSplits([...folders])
    if (train !== null && test !== null) break
  }
  return fromFileNames(path, files) ?? fromSplitFolders(path, findSplits([...folders]))
}

/** The official binary data sets, recognised by their file names. */
function fromFileNames(path: string, files: readonly string[]): DetectedSources | undefined {
  const has = (pattern: RegExp) => files.some((file) => pattern.test(file))
  const find = (pattern: RegExp) => files.find((file) => pattern.test(file))
  if (has(/^data_batch_\d\.bin$/))
    return {
      train: { kind: 'cifar10', path, split: 'train' },
      test: { kind: 'cifar10', path, split: 'test' },
    }
  if (has(/^fine_label_names\.txt$/) || (has(/^train\.bin$/) && has(/^test\.bin$/)))
    return {
      train: { kind: 'cifar100', path, split: 'train', labels: 'fine' },
      test: { kind: 'cifar100', path, split: 'test', labels: 'fine' },
    }
  if (has(/^(unlabeled|train|test)_X\.bin$/))
    return { train: { kind: 'stl10', path, split: 'train' }, test: { kind: 'stl10', path, split: 'test' } }
  const train = find(/^train-images-idx3-ubyte(\.gz)?$/)
  if (train === undefined) return undefined
  const test = find(/^t10k-images-idx3-ubyte(\.gz)?$/)
  return {
    train: idxSource(path, train, files),
    test: test === undefined ? null : idxSource(path, test, files),
  }
}

function idxSource(folder: string, images: string, files: readonly string[]): DatasetSource {
  const stem = images.replace(/-images-idx3-ubyte(\.gz)?$/, '-labels-idx1-ubyte')
  const labels = [stem, `${stem}.gz`].find((name) => files.includes(name))
  return {
    kind: 'idx',
    images: join(folder, images),
    labels: labels === undefined ? null : join(folder, labels),
  }
}

async function fromIdxFile(path: string): Promise<DetectedSources> {
  const folder = join(path, '..')
  const files = (await list(folder)).map((entry) => entry.name)
  return { train: idxSource(folder, basename(path), files), test: null }
}

function findSplits(folders: readonly string[]): { train: string | null; test: string | null } {
  const find = (names: string[]) =>
    folders.find((folder) => names.includes(folder.slice(folder.lastIndexOf('/') + 1).toLowerCase())) ?? null
  return { train: find(TRAIN_FOLDERS), test: find(TEST_FOLDERS) }
}

function fromSplitFolders(
  path: string,
  { train, test }: { train: string | null; test: string | null },
): DetectedSources {
  const source = (subfolder: string | null): DatasetSource => ({
    kind: 'imageFolder',
    path,
    subfolder,
    labels: 'auto',
  })
  // A class may happen to be called `test`: only a pair of folders is a pair of splits.
  if (train === null) return { train: source(null), test: null }
  return { train: source(train), test: test === null ? null : source(test) }
}
