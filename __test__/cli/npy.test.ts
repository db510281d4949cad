import { describe, expect, it } from 'vitest'
import { npyHeader, npyValues } from '../../src/cli/npy.js'

describe('npyHeader', () => {
  it.each([[[3]], [[2, 256]], [[100_000, 256, 7, 7]]])('describes %j as NumPy does', (shape) => {
    const header = Buffer.from(npyHeader(shape))
    // Format 1.0: magic, version, little-endian length, then a Python literal, all on a multiple of 64 bytes.
    expect(header.subarray(0, 8)).toEqual(Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]))
    expect(header.length % 64).toBe(0)
    expect(header.readUInt16LE(8)).toBe(header.length - 10)
    const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`
    expect(header.toString('latin1', 10)).toMatch(/^\{.*\} *\n$/)
    expect(header.toString('latin1', 10)).toContain(
      `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`,
    )
  })
})

it('npyValues are little-endian and only those of the view', () => {
  const view = new Float32Array([9, 1, -2, 9]).subarray(1, 3)
  const bytes = Buffer.from(npyValues(view))
  expect(bytes.length).toBe(8)
  expect([bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual([1, -2])
})
