import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { npyHeader, npyValues, readNpy } from '../../src/cli/npy.js'
import { temporaryFolder, write } from '../support/folder.js'

/** A file as NumPy writes it, with any text about its values. */
function npy(about: string, values: Uint8Array, version = 1): string {
  const magic = Buffer.from(`\u0093NUMPY${String.fromCharCode(version)}\u0000`, 'latin1')
  const length = Buffer.alloc(version === 1 ? 2 : 4)
  if (version === 1) length.writeUInt16LE(about.length)
  else length.writeUInt32LE(about.length)
  return write(
    join(temporaryFolder(), 'a.npy'),
    Buffer.concat([magic, length, Buffer.from(about, 'latin1'), values]),
  )
}
const about = (descr: string, shape: string, order = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }\n`

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

describe('readNpy', () => {
  it.each([[[3]], [[2, 3]], [[2, 1, 3]]])('reads what is written, of shape %j', async (shape) => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => i - 1.5)
    const path = write(join(temporaryFolder(), 'a.npy'), Buffer.concat([npyHeader(shape), npyValues(data)]))
    expect(await readNpy('X', path)).toEqual({ data, shape })
  })

  it.each([1, 2, 3])('reads float64 of format %i, at any place in memory', async (version) => {
    const values = Buffer.alloc(16)
    values.writeDoubleLE(0.1, 0)
    values.writeDoubleLE(-2, 8)
    // A header of odd length.
    const path = npy(about('<f8', '(2,)'), values, version)
    expect(await readNpy('X', path)).toEqual({ data: Float32Array.of(0.1, -2), shape: [2] })
  })

  it.each([
    ['a text', () => write(join(temporaryFolder(), 'a.npy'), 'this is text'), 'expected a .npy file'],
    ['an empty file', () => write(join(temporaryFolder(), 'a.npy'), ''), 'expected a .npy file'],
    ['a header without a shape', () => npy("{'descr': '<f4'}", new Uint8Array(8)), 'expected a .npy file'],
    [
      'whole numbers',
      () => npy(about('<i8', '(1,)'), new Uint8Array(8)),
      'float32 or float64 values in C order',
    ],
    ['other bytes first', () => npy(about('>f4', '(2,)'), new Uint8Array(8)), 'got >f4'],
    ['a name of no kind', () => npy(about('constructor', '(2,)'), new Uint8Array(8)), 'got constructor'],
    [
      'Fortran order',
      () => npy(about('<f4', '(1, 2)', 'True'), new Uint8Array(8)),
      'got <f4 in Fortran order',
    ],
    ['records', () => npy("{'descr': [('a', '<f4')], 'shape': (2,)}", new Uint8Array(8)), 'several kinds'],
    [
      'a file cut off',
      () => npy(about('<f4', '(3,)'), new Uint8Array(8)),
      'expected 12 bytes of values for shape [3], got 8 bytes',
    ],
    ['a shape that is none', () => npy(about('<f4', '(2, a)'), new Uint8Array(8)), 'got 8 bytes'],
  ])('refuses %s', async (_, file, message) => {
    const path = file()
    const failure = readNpy('X', path)
    await expect(failure).rejects.toMatchObject({ code: 'AMDIM_DATA', details: { name: 'X', path } })
    await expect(failure).rejects.toThrow(message)
  })

  it('refuses a file that is not there, or is a folder', async () => {
    for (const path of [join(temporaryFolder(), 'none.npy'), temporaryFolder()])
      await expect(readNpy('X', path)).rejects.toMatchObject({
        code: 'AMDIM_IO',
        message: expect.stringContaining(path),
      })
  })
})
