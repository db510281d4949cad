import { readFile } from 'node:fs/promises'
import { AmdimError, type Features } from '../index.js'

/** Header of a NumPy `.npy` file (format 1.0) of little-endian float32 values in C order. */
export function npyHeader(shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`
  // Magic, version, length: 10 bytes; the header with its newline ends on a multiple of 64.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10
  const header = Buffer.alloc(10 + length, ' ')
  header.write('\u0093NUMPY\u0001\u0000', 0, 'latin1')
  header.writeUInt16LE(length, 8)
  header.write(text, 10, 'latin1')
  header.write('\n', 10 + length - 1, 'latin1')
  return header
}

/** The values' bytes, little-endian. */
export function npyValues(values: Float32Array): Uint8Array {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
  return isLittleEndian() ? bytes : Buffer.from(bytes).swap32()
}

/** Kinds of values that are read. */
const KINDS = new Map<string, Float32ArrayConstructor | Float64ArrayConstructor>([
  ['<f4', Float32Array],
  ['<f8', Float64Array],
])

/**
 * Features from a NumPy `.npy` file (formats 1.0 to 3.0) of little-endian float32 or float64 values in C order, as
 * `amdim embed --out features.npy` and `numpy.save` write them; float64 is rounded to float32.
 *
 * @param name - what the file is called in messages
 * @throws AmdimError `AMDIM_IO` for a file that cannot be read, `AMDIM_DATA` for another kind of file or of values, or one
 *   that is cut off
 */
export async function readNpy(name: string, path: string): Promise<Features> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'there is nothing at this path' : cause.message
    throw new AmdimError('AMDIM_IO', `${name}: ${path} cannot be read: ${reason}`, { name, path }, { cause })
  })
  const refuse = (expected: string, actual: string) => {
    const message = `${name}: ${path}: expected ${expected}, got ${actual}`
    return new AmdimError('AMDIM_DATA', message, { name, path, expected, actual })
  }
  const header = headerOf(bytes)
  if (header === undefined)
    throw refuse('a .npy file, as amdim embed --out features.npy writes it', 'another kind of file')
  const { kind, isFortran, shape, end } = header
  const Values = KINDS.get(kind)
  if (Values === undefined || isFortran)
    throw refuse(
      "float32 or float64 values in C order, as numpy.ascontiguousarray(a, 'float32') has them",
      isFortran ? `${kind} in Fortran order` : kind,
    )
  const count = shape.reduce((product, side) => product * side, 1)
  const [wanted, held] = [count * Values.BYTES_PER_ELEMENT, bytes.subarray(end)]
  if (held.length !== wanted)
    throw refuse(`${wanted} bytes of values for shape [${shape.join(', ')}]`, `${held.length} bytes`)
  const values = valuesOf(held, new Values(count))
  return { data: values instanceof Float32Array ? values : Float32Array.from(values), shape }
}

interface NpyHeader {
  /** Byte order and type, such as `<f4`. */
  kind: string
  isFortran: boolean
  shape: number[]
  /** Where the values begin. */
  end: number
}

/** What a file says of its values; `undefined` for another kind of file. */
function headerOf(bytes: Buffer): NpyHeader | undefined {
  if (bytes.length < 12 || bytes.toString('latin1', 0, 6) !== '\u0093NUMPY') return undefined
  const [start, length] = bytes[6] === 1 ? [10, bytes.readUInt16LE(8)] : [12, bytes.readUInt32LE(8)]
  const text = bytes.toString('latin1', start, start + length)
  const part = (pattern: RegExp) => pattern.exec(text)?.[1]
  const sides = part(/'shape': *\(([^)]*)\)/)
  if (sides === undefined) return undefined
  return {
    kind: part(/'descr': *'([^']*)'/) ?? 'values of several kinds',
    isFortran: part(/'fortran_order': *(\w+)/) === 'True',
    // `(3,)` has a comma at its end.
    shape: sides.split(',').flatMap((side) => (side.trim() === '' ? [] : [Number(side)])),
    end: start + length,
  }
}

/** Little-endian bytes, wherever they lie in memory, as values. */
function valuesOf<T extends Float32Array | Float64Array>(bytes: Buffer, values: T): T {
  const target = Buffer.from(values.buffer)
  target.set(bytes)
  if (!isLittleEndian()) values.BYTES_PER_ELEMENT === 4 ? target.swap32() : target.swap64()
  return values
}

function isLittleEndian(): boolean {
  return new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
}
