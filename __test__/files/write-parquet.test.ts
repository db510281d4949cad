import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { AmdimModel, type Embedding, writeParquet } from '../../src/index.js'
import { temporaryFolder } from '../support/folder.js'
import { colours, TINY } from '../support/tiny.js'

it('writes a table of names, labels and features', async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'features.parquet')
  using pictures = await colours(4)
  using model = await AmdimModel.create({ config: TINY, device: 'cpu', threads: 2 })
  await writeParquet(path, await model.embed(pictures, { layer: 'local5' }))
  const text = readFileSync(path).toString('latin1')
  expect([text.slice(0, 4), text.slice(-4)]).toEqual(['PAR1', 'PAR1'])
  for (const part of ['name', 'label', 'embedding', 'amdim.shape', '[16, 5, 5]']) expect(text).toContain(part)

  const features = await model.embed(pictures)
  await expect(writeParquet(join(folder, 'none', 'f.parquet'), features)).rejects.toMatchObject({
    code: 'AMDIM_IO',
  })
  await expect(writeParquet(path, { data: features.data } as Embedding)).rejects.toMatchObject({
    code: 'AMDIM_INVALID_ARGUMENT',
  })
  expect(readdirSync(folder)).toEqual(['features.parquet'])
})
