import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readFeatureFile, writeFeatureFile } from '../../src/cli/feature-file.js'
import { npyHeader, npyValues } from '../../src/cli/npy.js'
import { Embedding } from '../../src/model/embedding.js'
import { temporaryFolder, write } from '../support/folder.js'

const data = Float32Array.of(1, 2, 3, 4, 5, 6)
const shape = [3, 2]

describe('readFeatureFile', () => {
  it('reads what is written', async () => {
    const path = join(temporaryFolder(), 'features.npy')
    const names = ['a.png', 'b.png', 'c.png']
    const labels = Int32Array.of(-1, 0, 1)
    const embedding = new Embedding({ data, shape, layer: 'local5', labels, names, skipped: [] })
    await writeFeatureFile(path, embedding, 'abc')
    expect(await readFeatureFile('--in', path)).toEqual({ data, shape, names, model: 'abc', layer: 'local5' })
  })

  it("names the rows of NumPy's files by their numbers", async () => {
    const path = write(join(temporaryFolder(), 'a.npy'), Buffer.concat([npyHeader(shape), npyValues(data)]))
    expect(await readFeatureFile('--in', path)).toEqual({ data, shape, names: ['0', '1', '2'] })
  })

  it.each([
    ['{"names": ["a", "b"]}', '2 names'],
    ['{"names": "abc"}', 'none'],
    ['null', 'none'],
    ['{"names": ["a", "b", ', 'none'],
  ])('refuses %s beside three rows', async (notes, actual) => {
    const folder = temporaryFolder()
    const path = write(join(folder, 'a.npy'), Buffer.concat([npyHeader(shape), npyValues(data)]))
    write(join(folder, 'a.json'), notes)
    await expect(readFeatureFile('--in', path)).rejects.toMatchObject({
      code: 'AMDIM_DATA',
      message: expect.stringContaining(`expected a name for each of the 3 rows of ${path}, got ${actual}`),
    })
  })
})
