/**
 * Stable codes of {@link AmdimError}. Compare codes, never message texts.
 *
 * - `AMDIM_INVALID_ARGUMENT`: an option or argument is unknown, missing, or out of range.
 * - `AMDIM_SHAPE`: an array or tensor has another shape than needed.
 * - `AMDIM_DEVICE`: the device asked for is not there.
 * - `AMDIM_OUT_OF_MEMORY`: memory ran out.
 * - `AMDIM_LIMIT`: a picture or file is above a stated limit.
 * - `AMDIM_DATA`: a data set is empty, malformed or without the labels needed.
 * - `AMDIM_DECODE`: a picture file cannot be decoded.
 * - `AMDIM_CHECKPOINT`: a model or checkpoint file is truncated, foreign or of another shape.
 * - `AMDIM_NON_FINITE`: a loss, gradient or feature became NaN or infinite.
 * - `AMDIM_CANCELLED`: the work was cancelled before it had a result.
 * - `AMDIM_IO`: a file or folder is missing, or cannot be read or written.
 * - `AMDIM_NETWORK`: a server cannot be reached, refuses, or breaks off again and again.
 * - `AMDIM_INTERNAL`: a defect of this package; please report it.
 * - `AMDIM_ADDON`: the native binary is missing for this platform or cannot be loaded.
 */
export const ERROR_CODES = [
  'AMDIM_INVALID_ARGUMENT',
  'AMDIM_SHAPE',
  'AMDIM_DEVICE',
  'AMDIM_OUT_OF_MEMORY',
  'AMDIM_LIMIT',
  'AMDIM_DATA',
  'AMDIM_DECODE',
  'AMDIM_CHECKPOINT',
  'AMDIM_NON_FINITE',
  'AMDIM_CANCELLED',
  'AMDIM_IO',
  'AMDIM_NETWORK',
  'AMDIM_INTERNAL',
  'AMDIM_ADDON',
] as const

/** One of {@link ERROR_CODES}. */
export type AmdimErrorCode = (typeof ERROR_CODES)[number]

/** Facts behind an error, for programs: which name, what was expected, what came. Keys depend on the code. */
export type ErrorDetails = Readonly<Record<string, unknown>>

/**
 * The one error class of this package. Every failure that the package foresees is an `AmdimError`.
 *
 * @example
 * ```ts
 * import { AmdimError, AmdimModel } from 'amdim';
 *
 * try {
 *   await AmdimModel.load('no-such-file.safetensors');
 * } catch (error) {
 *   if (error instanceof AmdimError && error.code === 'AMDIM_IO') console.error(error.message);
 *   else throw error;
 * }
 * ```
 */
export class AmdimError extends Error {
  /** Always `AmdimError`. */
  override readonly name = 'AmdimError'
  /** Stable code of the kind of failure. */
  readonly code: AmdimErrorCode
  /** Facts for programs: names, expected and actual values. */
  readonly details: ErrorDetails

  /**
   * An error of a kind.
   *
   * @param code - kind of failure
   * @param message - what was expected, for which name, what came, what to do
   * @param details - the same facts for programs
   * @param options - `cause`: the error underneath, if any
   */
  constructor(code: AmdimErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.details = details
  }
}

/** An `AMDIM_INVALID_ARGUMENT` in the package's message form. */
export function invalidArgument(
  name: string,
  expected: string,
  actual: unknown,
  advice?: string,
): AmdimError {
  const message = `${name}: expected ${expected}, got ${describeValue(actual)}${advice ? `; ${advice}` : ''}`
  return new AmdimError('AMDIM_INVALID_ARGUMENT', message, { name, expected, actual: describeValue(actual) })
}

/** A short, safe text of any value for error messages. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(clip(value))
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${value.byteLength} bytes`
  if (Array.isArray(value))
    return value.length > 8 ? `array of ${value.length}` : `[${value.map(describeValue).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const kind = value.constructor?.name ?? 'Object'
    return kind === 'Object' ? `object with keys ${clip(Object.keys(value).join(', ')) || '(none)'}` : kind
  }
  return String(value)
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
