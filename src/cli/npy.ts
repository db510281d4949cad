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
  const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
  return isLittleEndian ? bytes : Buffer.from(bytes).swap32()
}
