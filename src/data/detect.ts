import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AmdimError } from '../errors.js'
import { archiveEntries } from './archive.js'
import { isPattern, type ShardSplits, shardFiles, splitShards } from './shard-files.js'
import type { DatasetSource } from './source.js'

/** Sources of the splits found at a path. */
export interface DetectedSources {
  train: DatasetSource
  test: DatasetSource | null
  /** The pictures to train on with those that the data set keeps apart because they have no labels. */
  withUnlabeled?: DatasetSource
}

// The last two are the reference's names of ImageNet's and Places205's folders (datasets.py `_get_directories`).
const TRAIN_FOLDERS = ['train', 'training', 'ilsvrc2012_img_train', 'places205_256_train']
// The first that is there counts.
const TEST_FOLDERS = [
  'test',
  'testing',
  'val',
  'valid',
  'validation',
  'ilsvrc2012_img_val',
  'places205_256_val',
]

/**
 * What kind of data set is at a path, by the names of its files; pixels are not looked at.
 *
 * @throws {@link AmdimError} `AMDIM_IO` when there is nothing or it cannot be read, `AMDIM_DATA` when it is no data set
 */
export async function detectSources(path: string): Promise<DetectedSources> {
  if (isPattern(path) && !(await exists(path))) return fromPattern(path)
  const isFolder = (await statOf(path)).isDirectory()
  if (isFolder) return fromFolder(path)
  if (/\.(tar|tar\.gz|tgz)$/i.test(path)) return fromArchive(path)
  if (/idx3-ubyte(\.gz)?$/i.test(path)) return fromIdxFile(path)
  if (path.endsWith('.parquet')) return { train: parquetSource([path]), test: null }
  throw new AmdimError(
    'AMDIM_DATA',
    `${path}: expected a folder, a .tar, .tar.gz or .tgz archive, a .parquet file, or an ...-idx3-ubyte file of pictures`,
    { path },
  )
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false
  }
}

/** Files that a pattern of shards means: one split. */
async function fromPattern(path: string): Promise<DetectedSources> {
  const files = await shardFiles('path', path)
  if (files.every((file) => file.endsWith('.parquet'))) return { train: parquetSource(files), test: null }
  if (files.every((file) => file.endsWith('.tar')))
    return { train: await tarSource(files, dirname(path)), test: null }
  throw new AmdimError('AMDIM_DATA', `${path}: expected .tar shards or .parquet files only`, { path })
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
  return (await fromShards(path, files, folders)) ?? fromSplitFolders(path, await findFolders(path, folders))
}

/** Shards in a folder, in its folder `data`, in one folder for each split, or in the only folder there. */
async function fromShards(
  path: string,
  files: readonly string[],
  folders: readonly string[],
): Promise<DetectedSources | undefined> {
  const visible = folders.filter((folder) => !folder.startsWith('.'))
  const listed = new Map<string, Dirent[]>()
  for (const folder of visible.length <= MOST_SHARD_FOLDERS ? visible : [])
    listed.set(folder, await list(join(path, folder)))
  for (const kind of ['parquet', 'tar'] as const) {
    const isShard = (name: string) => name.endsWith(`.${kind}`) && !name.startsWith('.')
    const here = files.filter(isShard)
    // Class folders beside archives are pictures, and the archives where they came from.
    if (here.length > 0 && (kind === 'parquet' || visible.length === 0))
      return splitSources(kind, path, splitShards(path, here))
    const below = new Map<string, string[]>()
    for (const [folder, inside] of listed) {
      const names = inside.filter((entry) => !entry.isDirectory()).map((entry) => entry.name)
      const hasFolders = inside.some((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      const shards = hasFolders && kind === 'tar' ? [] : names.filter(isShard)
      if (shards.length > 0) below.set(folder, shards)
    }
    if (below.size === 0) continue
    const isOneSplitEach = [...below.keys()].every(
      (folder) => isSplit(folder, TRAIN_FOLDERS) || isSplit(folder, TEST_FOLDERS),
    )
    if (below.size > 1 && !isOneSplitEach)
      throw new AmdimError(
        'AMDIM_DATA',
        `${path}: several folders hold ${kind} files (${[...below.keys()].join(', ')}); open one of them`,
        { path },
      )
    const found = [...below].flatMap(([folder, names]) => names.map((name) => join(folder, name)))
    return splitSources(kind, path, splitShards(path, found))
  }
  return undefined
}

/** Folders that are looked into for shards; more than these are classes. */
const MOST_SHARD_FOLDERS = 20

async function splitSources(
  kind: 'parquet' | 'tar',
  path: string,
  { train, test, unlabeled }: ShardSplits,
): Promise<DetectedSources> {
  const source = (files: string[]) => (kind === 'parquet' ? parquetSource(files) : tarSource(files, path))
  return {
    train: await source(train),
    test: test.length === 0 ? null : await source(test),
    ...(unlabeled.length > 0 && { withUnlabeled: await source([...train, ...unlabeled]) }),
  }
}

function parquetSource(files: string[]): DatasetSource {
  return { kind: 'parquet', files, imageColumn: null, labelColumn: null, labels: 'auto' }
}

/** Shards, with the names of their classes from a file `classes.txt` in the folder. */
async function tarSource(shards: string[], folder: string): Promise<DatasetSource> {
  return {
    kind: 'webDataset',
    shards,
    labels: 'auto',
    classes: await classNames(join(folder, 'classes.txt')),
  }
}

async function classNames(path: string): Promise<string[] | null> {
  if (!(await exists(path))) return null
  try {
    const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.trim())
    return lines.filter((line) => line !== '')
  } catch (cause) {
    throw unreadable(path, cause as NodeJS.ErrnoException)
  }
}

async function fromArchive(path: string): Promise<DetectedSources> {
  const folders = new Set<string>()
  const files: string[] = []
  let known = 0
  for await (const entry of archiveEntries(path)) {
    // One file a label: a shard of WebDataset.
    if (entry.endsWith('.cls') && path.endsWith('.tar'))
      return { train: await tarSource([path], dirname(path)), test: null }
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
    return {
      train: { kind: 'stl10', path, split: 'train' },
      test: { kind: 'stl10', path, split: 'test' },
      withUnlabeled: { kind: 'stl10', path, split: 'train+unlabeled' },
    }
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

interface SplitFolders {
  train: string | null
  test: string | null
}

function isSplit(folder: string, names: readonly string[]): boolean {
  return names.includes(folder.slice(folder.lastIndexOf('/') + 1).toLowerCase())
}

function findSplits(folders: readonly string[]): SplitFolders {
  const find = (names: readonly string[]) => {
    const found = names.map((name) => folders.find((folder) => isSplit(folder, [name])))
    return found.find((folder) => folder !== undefined) ?? null
  }
  return { train: find(TRAIN_FOLDERS), test: find(TEST_FOLDERS) }
}

/** As {@link findSplits}; a test folder with classes goes before one without, as ImageNet's `val` before its `test`. */
async function findFolders(path: string, folders: readonly string[]): Promise<SplitFolders> {
  const { train, test } = findSplits(folders)
  if (train === null) return { train, test }
  const candidates = folders.filter((folder) => isSplit(folder, TEST_FOLDERS))
  if (candidates.length < 2) return { train, test }
  const withClasses: string[] = []
  for (const folder of candidates)
    if ((await list(join(path, folder))).some((entry) => entry.isDirectory())) withClasses.push(folder)
  return { train, test: findSplits(withClasses).test ?? test }
}

function fromSplitFolders(path: string, { train, test }: SplitFolders): DetectedSources {
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
