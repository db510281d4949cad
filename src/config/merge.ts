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

/** Whether a value is an object made of keys, not an array, class or view. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
