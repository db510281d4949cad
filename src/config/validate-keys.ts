import { AmdimError, invalidArgument } from '../errors.js'
import { didYouMean } from '../suggest.js'
import { isPlainObject } from './merge.js'

/**
 * Checks that `value` is an object of options.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT`
 */
export function assertOptions(value: unknown, what: string): asserts value is Record<string, unknown> {
  if (!isPlainObject(value)) throw invalidArgument(`options of ${what}`, 'an object', value)
}

/**
 * Checks that `value` is an object with known options only.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` naming the unknown option and the nearest known one
 */
export function assertKnownKeys(value: unknown, known: readonly string[], what: string): void {
  assertOptions(value, what)
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const advice = didYouMean(key, known) || `known: ${known.join(', ')}`
    throw new AmdimError('AMDIM_INVALID_ARGUMENT', `unknown option "${key}" of ${what}; ${advice}`, {
      name: key,
      expected: known,
      actual: key,
    })
  }
}
