import { invalidArgument } from '../errors.js'

/**
 * Checks that a value is the variance of noise.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT`
 */
export function assertVariance(name: string, value: unknown): void {
  if (!(typeof value === 'number' && value > 0 && Number.isFinite(value)))
    throw invalidArgument(name, 'a finite number above 0', value)
}
