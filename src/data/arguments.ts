import { invalidArgument } from '../errors.js'
import { didYouMean } from '../suggest.js'

/** Checks that a value is a path. */
export function assertPath(name: string, value: unknown): asserts value is string {
  const isPath = typeof value === 'string' && value !== '' && !value.includes('\0')
  if (!isPath) throw invalidArgument(name, 'a path', value)
}

/** Checks that a value is a place among `length` things. */
export function assertIndex(index: number, length: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= length)
    throw invalidArgument('index', `a whole number from 0 to ${length - 1}`, index)
}

/** Checks that a value is one of a few words. */
export function assertOneOf(name: string, value: unknown, words: readonly string[]): void {
  if (typeof value === 'string' && words.includes(value)) return
  const advice = typeof value === 'string' ? didYouMean(value, words) : ''
  throw invalidArgument(name, `one of ${words.join(', ')}`, value, advice)
}
