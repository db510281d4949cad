import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AmdimError, invalidArgument } from '../errors.js'

/** Most files that braces may stand for. */
const MOST_FILES = 1_000_000

/** Whether a text is a pattern of paths rather than a path. */
export function isPattern(text: string): boolean {
  return /[{}*?]/.test(text)
}

/**
 * The files that a path, a pattern or a list of them means, each once.
 *
 * Braces are those of a shell and of WebDataset: `{a,b}`, and `{0000..0099}` with its zeros; every file that they stand
 * for must be there. `*` and `?` may stand in the last part of a path and mean the files that are there, by name.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for braces that cannot be read, `AMDIM_IO` for a pattern that no
 *   file fits
 */
export async function shardFiles(name: string, patterns: string | readonly string[]): Promise<string[]> {
  const list = typeof patterns === 'string' ? [patterns] : patterns
  const isList =
    Array.isArray(list) && list.length > 0 && list.every((path) => typeof path === 'string' && path !== '')
  if (!isList) throw invalidArgument(name, 'a path, a pattern of paths, or a list of them', patterns)
  const files: string[] = []
  for (const pattern of list)
    for (const path of expandBraces(name, pattern)) files.push(...(await matching(path)))
  return [...new Set(files)]
}

/** `a-{0..2}.tar` -> `a-0.tar`, `a-1.tar`, `a-2.tar`. */
export function expandBraces(name: string, pattern: string): string[] {
  const match = /\{([^{}]*)\}/.exec(pattern)
  if (match === null) {
    if (/[{}]/.test(pattern)) throw invalidArgument(name, 'a { for every }', pattern)
    return [pattern]
  }
  const [before, after] = [pattern.slice(0, match.index), pattern.slice(match.index + match[0].length)]
  const rest = expandBraces(name, after)
  const middle = alternatives(name, match[1] ?? '', pattern)
  if (middle.length * rest.length > MOST_FILES)
    throw invalidArgument(name, `braces for at most ${MOST_FILES} files`, pattern)
  return middle.flatMap((text) => rest.map((end) => before + text + end))
}

function alternatives(name: string, braced: string, pattern: string): string[] {
  const range = /^(\d+)\.\.(\d+)$/.exec(braced)
  if (range === null) {
    if (braced.includes(',')) return braced.split(',')
    throw invalidArgument(name, 'braces with {a,b} or {first..last}', pattern)
  }
  const [first = '', last = ''] = range.slice(1)
  const [low, high] = [Number(first), Number(last)]
  const isRange = low <= high && high - low < MOST_FILES
  if (!isRange) throw invalidArgument(name, `a range {first..last} of at most ${MOST_FILES} files`, pattern)
  return Array.from({ length: high - low + 1 }, (_, i) => String(low + i).padStart(first.length, '0'))
}

async function matching(path: string): Promise<string[]> {
  const pattern = basename(path)
  if (!/[*?]/.test(path)) return [path]
  if (/[*?]/.test(dirname(path)))
    throw invalidArgument('path', 'wildcards in the last part of a path only', path)
  const source = pattern
    .replace(/[.+^$()|[\]\\{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  const isMatch = new RegExp(`^${source}$`)
  const names = await namesIn(dirname(path))
  const found = names.filter((name) => isMatch.test(name) && !name.startsWith('.')).sort()
  if (found.length > 0) return found.map((name) => join(dirname(path), name))
  throw new AmdimError('AMDIM_IO', `${path}: no file fits this pattern`, { path })
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (cause) {
    throw new AmdimError(
      'AMDIM_IO',
      `${folder} cannot be listed: ${(cause as Error).message}`,
      { path: folder },
      { cause },
    )
  }
}

/** Files of a data set by split. */
export interface ShardSplits {
  train: string[]
  test: string[]
  /** Pictures without labels that belong to neither. */
  unlabeled: string[]
}

const SPLIT_NAMES = {
  train: ['train', 'training'],
  unlabeled: ['unlabeled', 'unlabelled', 'unsupervised'],
  test: ['test', 'testing'],
  validation: ['val', 'valid', 'validation'],
}

/**
 * Sorts shards into splits by the words of their paths below `folder`, as `train-00000-of-00002.parquet`. Without such
 * words all are for training. Where there are test and validation files, the former are the test split.
 *
 * @throws {@link AmdimError} `AMDIM_DATA` for files of no split beside others, and for one of `...-of-NNNNN` that is missing
 */
export function splitShards(folder: string, files: readonly string[]): ShardSplits {
  assertComplete(folder, files)
  const found: Record<keyof typeof SPLIT_NAMES | 'none', string[]> = {
    train: [],
    unlabeled: [],
    test: [],
    validation: [],
    none: [],
  }
  for (const file of [...files].sort()) found[splitOf(file)].push(join(folder, file))
  const { train, unlabeled, test, validation, none } = found
  if (none.length === files.length) return { train: none, test: [], unlabeled: [] }
  const [stray] = none
  if (stray !== undefined)
    throw new AmdimError(
      'AMDIM_DATA',
      `${stray}: expected train, test or validation in its name, as in those of the files beside it; ` +
        'name the files of a split yourself, as webDataset(files) or parquet(files)',
      { path: stray },
    )
  if (train.length === 0)
    return { train: test.length > 0 ? test : [...validation, ...unlabeled], test: [], unlabeled: [] }
  return { train, test: test.length > 0 ? test : validation, unlabeled }
}

function splitOf(file: string): keyof typeof SPLIT_NAMES | 'none' {
  const words = file.toLowerCase().split(/[^a-z]+/)
  for (const split of ['train', 'unlabeled', 'test', 'validation'] as const)
    if (words.some((word) => SPLIT_NAMES[split].includes(word))) return split
  return 'none'
}

/** `x-00001-of-00005.parquet` has four others; a missing one would be pictures lost in silence. */
function assertComplete(folder: string, files: readonly string[]): void {
  const series = new Map<string, { places: Set<number>; count: number; name: (place: number) => string }>()
  for (const file of files) {
    const match = /^(.*)-(\d{5})-of-(\d{5})(.*)$/.exec(file)
    if (match === null) continue
    const [, stem = '', place = '', count = '', end = ''] = match
    const key = `${stem}|${count}|${end}`
    const name = (at: number) => `${stem}-${String(at).padStart(5, '0')}-of-${count}${end}`
    const known = series.get(key) ?? { places: new Set(), count: Number(count), name }
    known.places.add(Number(place))
    series.set(key, known)
  }
  for (const { places, count, name } of series.values()) {
    if (places.size >= count) continue
    const missing = Array.from({ length: count }, (_, at) => at).find((at) => !places.has(at)) ?? 0
    throw new AmdimError(
      'AMDIM_DATA',
      `${join(folder, name(missing))} is missing: ${places.size} of ${count} files are there`,
      { path: join(folder, name(missing)) },
    )
  }
}
