import { assertOneOf } from '../data/arguments.js'

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
