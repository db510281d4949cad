import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { AmdimError } from '../errors.js'

const BLOCK = 512

/**
 * Paths of the entries of a `.tar` or `.tar.gz`, in its order. Contents are passed over, so stopping early is cheap.
 *
 * @throws {@link AmdimError} `AMDIM_IO` when it cannot be read, `AMDIM_DATA` when it is not an archive or is truncated
 */
export async function* archiveEntries(path: string): AsyncGenerator<string> {
  const file = createReadStream(path)
  const isGzip = /\.(gz|tgz)$/i.test(path)
  // The callback's error is the one that reading reports as well.
  const bytes = isGzip ? pipeline(file, createGunzip(), () => {}) : file
  try {
    yield* entriesOf(bytes as AsyncIterable<Buffer>, path)
  } catch (cause) {
    if (cause instanceof AmdimError) throw cause
    const error = cause as NodeJS.ErrnoException
    const code = error.code?.startsWith('Z_') ? 'AMDIM_DATA' : 'AMDIM_IO'
    throw new AmdimError(code, `archive ${path} cannot be read: ${error.message}`, { path }, { cause })
  } finally {
    file.destroy()
  }
}

async function* entriesOf(bytes: AsyncIterable<Buffer>, path: string): AsyncGenerator<string> {
  let pending: Buffer = Buffer.alloc(0)
  let skip = 0
  for await (const chunk of bytes) {
    const passed = Math.min(skip, chunk.length)
    skip -= passed
    pending = pending.length === 0 ? chunk.subarray(passed) : Buffer.concat([pending, chunk.subarray(passed)])
    while (skip === 0 && pending.length >= BLOCK) {
      const header = parseHeader(pending.subarray(0, BLOCK), path)
      if (header === undefined) return
      yield header.name
      // Contents fill whole blocks.
      const contents = Math.ceil(header.size / BLOCK) * BLOCK
      const here = Math.min(contents, pending.length - BLOCK)
      skip = contents - here
      pending = pending.subarray(BLOCK + here)
    }
  }
  const isCut = skip > 0 || pending.length > 0
  if (isCut) throw new AmdimError('AMDIM_DATA', `archive ${path} is truncated`, { path })
}

/** Name and size of an entry; `undefined` for the zeros at the end. */
function parseHeader(block: Buffer, path: string): { name: string; size: number } | undefined {
  if (block.every((byte) => byte === 0)) return undefined
  const size = Number.parseInt(text(block, 124, 12), 8)
  const checksum = Number.parseInt(text(block, 148, 8), 8)
  // The checksum counts its own field as spaces.
  const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0)
  if (sum !== checksum || Number.isNaN(size))
    throw new AmdimError('AMDIM_DATA', `archive ${path}: expected a tar header, found other bytes`, { path })
  const prefix = text(block, 257, 5) === 'ustar' ? text(block, 345, 155) : ''
  return { name: prefix ? `${prefix}/${text(block, 0, 100)}` : text(block, 0, 100), size }
}

function text(block: Buffer, offset: number, length: number): string {
  const field = block.subarray(offset, offset + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? length : end).trim()
}
