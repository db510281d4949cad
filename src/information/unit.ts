import { assertOneOf } from '../data/arguments.js'
import { AmdimError } from '../errors.js'

/** Unit of entropy and information: of the natural logarithm, of that to base 2, or to base 10. */
export type Unit = 'nats' | 'bits' | 'bans'

const IN_NATS: Readonly<Record<Unit, number>> = { nats: 1, bits: Math.LN2, bans: Math.LN10 }

/**
 * A value in nats in another unit.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for an unknown unit
 */
export function inUnit(nats: number, unit: Unit = 'nats'): number {
  assertOneOf('unit', unit, Object.keys(IN_NATS))
  return nats / IN_NATS[unit]
}

/**
 * A value in nats that the addon answered, in another unit. JSON has no infinity and no NaN: they come as `null`, which
 * counted with would be 0.
 *
 * @throws {@link AmdimError} `AMDIM_NON_FINITE` for `null`, and as {@link inUnit}
 */
export function finiteInUnit(name: string, nats: number | null | undefined, unit?: Unit): number {
  // A sum of no terms is -0 in Rust; with 0 it is 0.
  if (typeof nats === 'number' && Number.isFinite(nats)) return inUnit(nats + 0, unit)
  throw new AmdimError(
    'AMDIM_NON_FINITE',
    `${name}: expected a finite result, got none; bring the variables to deviations of about 1, and options to their scale`,
    { name },
  )
}
