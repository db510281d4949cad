import { type FileHandle, open } from 'node:fs/promises'
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
  const refuse = (expected: string, actual: string) => {
    const message = `${name}: ${path}: expected ${expected}, got ${actual}`
    return new AmdimError('AMDIM_DATA', message, { name, path, expected, actual })
  }
  let file: FileHandle | undefined
  try {
    file = await open(path)
    const header = await readHeader(file)
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
    const wanted = count * Values.BYTES_PER_ELEMENT
    const expectBytes = (held: number) => {
      if (held !== wanted)
        throw refuse(`${wanted} bytes of values for shape [${shape.join(', ')}]`, `${held} bytes`)
    }
    // A pipe has no size; of a file it is known before room is made.
    const stat = await file.stat()
    if (stat.isFile()) expectBytes(stat.size - end)
    const values = new Values(count)
    expectBytes(await fill(file, new Uint8Array(values.buffer)))
    inOrderOfHere(values)
    return { data: values instanceof Float32Array ? values : Float32Array.from(values), shape }
  } catch (error) {
    if (error instanceof AmdimError) throw error
    const cause = error as NodeJS.ErrnoException
    const reason = cause.code === 'ENOENT' ? 'there is nothing at this path' : cause.message
    throw new AmdimError('AMDIM_IO', `${name}: ${path} cannot be read: ${reason}`, { name, path }, { cause })
  } finally {
    await file?.close()
  }
}

/** Bytes that are asked for at once: Node takes no 2 GiB. */
const PIECE = 2 ** 26

/** Fills `bytes` with what comes next in a file or pipe, and returns how many there were. */
async function fill(file: FileHandle, bytes: Uint8Array): Promise<number> {
  let done = 0
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, Math.min(PIECE, bytes.length - done))
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
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
async function readHeader(file: FileHandle): Promise<NpyHeader | undefined> {
  const start = Buffer.alloc(12)
  if ((await fill(file, start.subarray(0, 10))) < 10) return undefined
  if (start.toString('latin1', 0, 6) !== '\u0093NUMPY') return undefined
  // Of the length, which later formats have in four bytes, two are left to be read there.
  const begin = start[6] === 1 ? 10 : 12
  await fill(file, start.subarray(10, begin))
  const length = begin === 10 ? start.readUInt16LE(8) : start.readUInt32LE(8)
  if (length > MOST_TEXT) return undefined
  const bytes = Buffer.alloc(length)
  const text = bytes.toString('latin1', 0, await fill(file, bytes))
  const part = (pattern: RegExp) => pattern.exec(text)?.[1]
  const sides = part(/'shape': *\(([^)]*)\)/)
  if (sides === undefined) return undefined
  return {
    kind: part(/'descr': *'([^']*)'/) ?? 'values of several kinds',
    isFortran: part(/'fortran_order': *(\w+)/) === 'True',
    // `(3,)` has a comma at its end.
    shape: sides.split(',').flatMap((side) => (side.trim() === '' ? [] : [Number(side)])),
    end: begin + length,
  }
}

/** Longest description of values that is believed; what follows three words and a shape is padding. */
const MOST_TEXT = 2 ** 20

/** Turns little-endian values into those of this processor. */
function inOrderOfHere(values: Float32Array | Float64Array): void {
  if (isLittleEndian()) return
  const bytes = Buffer.from(values.buffer)
  values.BYTES_PER_ELEMENT === 4 ? bytes.swap32() : bytes.swap64()
}

function isLittleEndian(): boolean {
  return new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
}
