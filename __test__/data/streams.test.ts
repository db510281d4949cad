import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { evaluate, openDataset, parquet, trainAmdim, webDataset } from '../../src/index.js'
import { noisyPixels, temporaryFolder, write, writePictures } from '../support/folder.js'
import { encodePng } from '../support/png.js'
import { encodeTar } from '../support/tar.js'
import { TINY } from '../support/tiny.js'

// Written by Hugging Face's datasets and by webdataset; make.py beside them.
const samples = fileURLToPath(new URL('../../crates/amdim-data/tests/streams/', import.meta.url))

/** Shards of 32-pixel pictures of two classes, `perShard` in each. */
function writeShards(folder: string, names: string[], perShard = 8): string {
  for (const [at, name] of names.entries()) {
    const files: Record<string, Uint8Array> = {}
    for (let i = 0; i < perShard; i++) {
      const [label, index] = [i % 2, at * perShard + i]
      const key = String(index).padStart(4, '0')
      files[`${key}.png`] = encodePng(32, 32, 3, noisyPixels(32, label, index))
      files[`${key}.cls`] = Buffer.from(String(label))
    }
    write(join(folder, name), encodeTar(files))
  }
  return folder
}

describe('webDataset', () => {
  it('opens what webdataset writes', async () => {
    using pictures = await webDataset(join(samples, '*.tar'), { classes: ['ant', 'bee'] })
    expect(pictures).toMatchObject({ length: 3, classes: ['ant', 'bee'], labelled: true })
    using without = await webDataset(join(samples, 'webdataset.tar'), { labels: 'none' })
    expect(without).toMatchObject({ length: 3, labelled: false })
  })

  it('trains to the same losses on any number of threads, which depend on the buffer', async () => {
    const folder = writeShards(temporaryFolder(), ['train-0.tar', 'train-1.tar', 'test-0.tar'])
    const { train, test } = await openDataset(folder)
    expect([train.length, test?.length]).toEqual([16, 8])
    const options = { data: { train }, config: { ...TINY, shuffleBuffer: 5 }, logEverySteps: 1 }
    const losses = async (more: object) => {
      const found: number[] = []
      const run = trainAmdim({ ...options, ...more })
      for await (const event of run) if (event.type === 'step') found.push(event.loss)
      return found
    }
    const whole = await losses({ updates: 6, output: join(temporaryFolder(), 'whole') })
    expect(whole).toHaveLength(6)
    expect(await losses({ updates: 6, loaderThreads: 3, output: join(temporaryFolder(), 'again') })).toEqual(
      whole,
    )
    const other = await losses({
      updates: 1,
      config: { ...TINY, shuffleBuffer: 1 },
      output: join(temporaryFolder(), 'other'),
    })
    expect(other[0]).not.toBe(whole[0])
  })

  it.each<[string, string, (folder: string) => Promise<unknown>]>([
    [
      'AMDIM_DATA',
      'cut.tar: is cut off: ',
      (folder) => {
        const archive = encodeTar({ 'a.png': Buffer.alloc(2000), 'a.cls': Buffer.from('1') })
        return webDataset(write(join(folder, 'cut.tar'), archive.subarray(0, 1800)))
      },
    ],
    [
      'AMDIM_IO',
      'train-1.tar',
      (folder) => webDataset(join(writeShards(folder, ['train-0.tar']), 'train-{0..1}.tar')),
    ],
    [
      'AMDIM_INVALID_ARGUMENT',
      'label',
      (folder) => webDataset(join(folder, 'a.tar'), { label: 'x' } as object),
    ],
    ['AMDIM_INVALID_ARGUMENT', 'shards', () => webDataset([])],
  ])('refuses bad input with %s', async (code, message, open) => {
    const failure = open(temporaryFolder())
    await expect(failure).rejects.toMatchObject({ code })
    await expect(failure).rejects.toThrow(message)
  })
})

describe('parquet', () => {
  it('opens what datasets writes', async () => {
    using pictures = await parquet(join(samples, 'datasets.parquet'))
    expect(pictures).toMatchObject({ length: 4, classes: ['ant', 'bee'], labelled: true })
    using without = await parquet(join(samples, 'datasets.parquet'), { labels: 'none' })
    expect(without.labelled).toBe(false)
  })

  it.each([
    ['AMDIM_INVALID_ARGUMENT', 'it has image', { imageColumn: 'photo' }],
    ['AMDIM_INVALID_ARGUMENT', 'it has label', { labelColumn: 'fine' }],
    ['AMDIM_INVALID_ARGUMENT', 'labelColumn', { labelColumn: 'label', labels: 'none' as const }],
  ])('refuses bad options with %s', async (code, message, options) => {
    const failure = parquet(join(samples, 'datasets.parquet'), options)
    await expect(failure).rejects.toMatchObject({ code })
    await expect(failure).rejects.toThrow(message)
  })

  it('refuses what is no Parquet file', async () => {
    const failure = parquet(write(join(temporaryFolder(), 'a.parquet'), 'text'))
    await expect(failure).rejects.toMatchObject({ code: 'AMDIM_DATA' })
  })
})

describe('a class folder that only the test pictures have', () => {
  it('is named in an error', async () => {
    const folder = temporaryFolder()
    writePictures(join(folder, 'train'))
    writePictures(join(folder, 'test'), { classes: ['blue', 'green'] })
    const { train, test } = await openDataset(folder)
    if (test === null) throw new Error('there is a test folder')
    await expect(evaluate('rawPixels', { train, test, heads: ['knn'] })).rejects.toMatchObject({
      code: 'AMDIM_DATA',
      message: expect.stringContaining('"green"'),
    })
    const run = trainAmdim({ data: { train, test }, config: TINY, updates: 1, output: join(folder, 'run') })
    await expect(run).rejects.toMatchObject({
      code: 'AMDIM_DATA',
      message: expect.stringContaining('"green"'),
    })
  })
})
