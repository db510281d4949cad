import { invalidArgument } from '../errors.js'
import type { ConfigOverrides } from './types.js'

/**
 * The base with overrides laid over it, at any depth. Arrays, `null` and run lengths replace what they override;
 * `undefined` overrides nothing. Neither argument is changed.
 */
export function mergeOverrides(base: unknown, overrides: unknown): unknown {
  if (overrides === undefined) return base
  if (!isPlainObject(base) || !isPlainObject(overrides)) return overrides
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(overrides)) {
    // `length` is one of three forms: merging { minutes } with { epochs } would mean neither.
    if (value !== undefined) merged[key] = key === 'length' ? value : mergeOverrides(base[key], value)
  }
  return merged
}

/**
 * What a user gave as `config`, with the options that stand for parts of it laid over it.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for what is no object, which would be replaced as a whole
 */
export function withOwnOptions(config: ConfigOverrides | undefined, own: object): ConfigOverrides {
  if (config !== undefined) assertOverrides(config)
  return mergeOverrides(config, own) as ConfigOverrides
}

/**
 * Checks that what a user gave as `config` is an object.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT`
 */
export function assertOverrides(config: unknown): void {
  if (!isPlainObject(config)) throw invalidArgument('config', 'an object of options', config)
}

/** Whether a value is an object made of keys, not an array, class or view. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
