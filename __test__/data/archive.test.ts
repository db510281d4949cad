import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { archiveEntries } from '../../src/data/archive.js'
import { temporaryFolder, write } from '../support/folder.js'
import { encodeTar } from '../support/tar.js'

const names = Array.from({ length: 50 }, (_, i) => `train/class/${i}.bin`)
// Sizes on both sides of the block size, and larger than one read of a stream.
const sizes = [0, 1, 511, 512, 513, 70_000]
const archive = encodeTar(
  Object.fromEntries(names.map((name, i) => [name, Buffer.alloc(sizes[i % sizes.length] ?? 0, 1)])),
)

async function entries(path: string): Promise<string[]> {
  const found = []
  for await (const entry of archiveEntries(path)) found.push(entry)
  return found
}

describe('archiveEntries', () => {
  it('lists plain and compressed archives in order', async () => {
    const folder = temporaryFolder()
    expect(await entries(write(join(folder, 'a.tar'), archive))).toEqual(names)
    expect(await entries(write(join(folder, 'a.tar.gz'), gzipSync(archive)))).toEqual(names)
    expect(await entries(write(join(folder, 'a.tgz'), gzipSync(archive)))).toEqual(names)
  })

  it('may be left early', async () => {
    const path = write(join(temporaryFolder(), 'a.tar.gz'), gzipSync(archive))
    for await (const entry of archiveEntries(path)) {
      expect(entry).toBe(names[0])
      break
    }
  })

  it.each([
    ['a.tar', archive.subarray(0, 80_000), 'is truncated'],
    ['a.tar', Buffer.alloc(2048, 'text'), 'expected a tar header'],
    ['a.tar.gz', gzipSync(archive).subarray(0, 500), 'cannot be read'],
    ['a.tar.gz', Buffer.from('no gzip at all'), 'cannot be read'],
  ])('refuses a damaged %s', async (name, content, message) => {
    const failure = entries(write(join(temporaryFolder(), name), content))
    await expect(failure).rejects.toMatchObject({ code: 'AMDIM_DATA' })
    await expect(failure).rejects.toThrow(message)
  })

  it('says when there is no file', async () => {
    await expect(entries(join(temporaryFolder(), 'none.tar'))).rejects.toMatchObject({ code: 'AMDIM_IO' })
  })
})
