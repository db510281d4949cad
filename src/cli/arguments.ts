import { type DatasetInput, type DatasetSplits, imageFolder, openDataset, type PresetName } from '../index.js'
import type { CommandLine } from './flags.js'
import { UsageError } from './usage-error.js'

/** The text of a flag, or `undefined` when it is not given. */
export function textOf(line: CommandLine, name: string): string | undefined {
  const value = line.flags.get(name)
  return typeof value === 'string' ? value : undefined
}

/** Whether a flag is on. */
export function isOn(line: CommandLine, name: string): boolean {
  return line.flags.get(name) === true
}

/** The text of a flag that must be given. */
export function requiredText(command: string, line: CommandLine, name: string, example: string): string {
  const value = textOf(line, name)
  if (value === undefined)
    throw new UsageError(
      `--${name} is missing`,
      `for example: amdim ${command} --${name} ${example}; see amdim ${command} --help`,
    )
  return value
}

/** `{ [key]: value }`, or nothing when the flag is not given. */
export function given<K extends string>(
  key: K,
  line: CommandLine,
  name: string = key,
): { [key in K]?: string } {
  const value = textOf(line, name)
  return value === undefined ? {} : ({ [key]: value } as { [key in K]?: string })
}

/** The preset named by `--preset`; its name is checked where it is used. */
export function presetOf(line: CommandLine): { preset?: PresetName } {
  return given('preset', line) as { preset?: PresetName }
}

/** A number flag; a text that is no number stays one, so that the check names it. */
export function numberOf<K extends string>(key: K, line: CommandLine): { [key in K]?: number } {
  const value = textOf(line, key)
  if (value === undefined) return {}
  const number = value.trim() === '' ? Number.NaN : Number(value)
  return { [key]: Number.isNaN(number) ? value : number } as { [key in K]?: number }
}

/** A flag that counts, checked before any work is done. */
export function countOf(command: string, line: CommandLine, name: string): number | undefined {
  const count = numberOf(name, line)[name]
  if (count === undefined || (Number.isInteger(count) && count >= 1)) return count
  throw new UsageError(
    `--${name}: expected a whole number from 1, got ${textOf(line, name)}`,
    `see amdim ${command} --help`,
  )
}

/** The split of a data set path that `--split`, or another flag, names. */
export async function openSplit(
  path: string,
  split: string | undefined,
  flag = 'split',
): Promise<DatasetSplits['train']> {
  if (split === 'all') return imageFolder(path)
  if (split !== undefined && split !== 'train' && split !== 'test')
    throw new UsageError(
      `--${flag}: expected train, test or all, got "${split}"`,
      'all: an image folder as a whole',
    )
  const { train, test } = await openDataset(path)
  if (test === null) {
    if (split === 'test')
      throw new UsageError(`--${flag} test: ${path} has no test split`, `leave --${flag} out`)
    return train
  }
  if (split === undefined) {
    train.dispose()
    test.dispose()
    throw new UsageError(
      `${path} holds a train and a test split`,
      `say which: --${flag} train, --${flag} test or --${flag} all`,
    )
  }
  const [wanted, other] = split === 'train' ? [train, test] : [test, train]
  other.dispose()
  return wanted
}

/** Data as `trainAmdim` and `evaluate` take it. */
export function pathPair(
  train: string,
  test: string | undefined,
): { train: DatasetInput; test?: DatasetInput } {
  return { train, ...(test !== undefined && { test }) }
}
