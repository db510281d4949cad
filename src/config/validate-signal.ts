import { invalidArgument } from '../errors.js'

/**
 * Checks that a signal, where there is one, can stop work.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT`
 */
export function assertSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalidArgument('signal', 'an AbortSignal', signal)
}
