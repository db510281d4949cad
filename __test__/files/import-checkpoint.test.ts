import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { AmdimModel, importCheckpoint } from '../../src/index.js'
import { temporaryFolder, write } from '../support/folder.js'

const sample = (name: string) =>
  fileURLToPath(new URL(`../../crates/amdim-files/tests/pth/${name}`, import.meta.url))

const place = { device: 'cpu', threads: 1 }

describe('importCheckpoint', () => {
  it('takes encoder, clip and classifiers from the file, the rest from the preset of its size', async () => {
    using model = await importCheckpoint(sample('zip.pth'), place)
    const { config, classes, position } = model.info()
    expect(config.encoder).toEqual({
      kind: 'amdim',
      encoderSize: 32,
      inputChannels: 3,
      baseWidth: 2,
      embeddingDim: 8,
      blockDepth: 2,
      batchNorm: true,
      localMaps: null,
      activation: null,
    })
    expect(config.objective).toMatchObject({ scoreClip: 15, logitPenalty: 0.05 })
    expect(config.schedule.milestones).toEqual([250, 280])
    expect(classes).toEqual(['0', '1', '2'])
    expect(position).toMatchObject({ epoch: 3, update: 1200 })
  })

  it("falls back to the defaults of the authors' code where an older file lacks a value", async () => {
    using model = await importCheckpoint(sample('legacy-half.pth'), {
      ...place,
      preset: 'tiny',
      config: { objective: { logitPenalty: 0.1 } },
      classes: ['cat', 'dog', 'bird'],
    })
    expect(model.config.objective).toMatchObject({ scoreClip: 20, logitPenalty: 0.1 })
    expect(model.config.length).toEqual({ minutes: 30 })
    expect(model.info().classes).toEqual(['cat', 'dog', 'bird'])
  })

  it('makes a model that is saved and loaded like any other', async () => {
    const path = join(temporaryFolder(), 'imported.safetensors')
    const pixels = { data: new Uint8Array(2 * 32 * 32 * 3).fill(90), shape: [2, 32, 32, 3] as const }
    using model = await importCheckpoint(sample('zip.pth'), place)
    await model.save(path)
    using loaded = await AmdimModel.load(path, place)
    expect(loaded.info()).toEqual(model.info())
    expect((await loaded.embed(pixels)).data).toEqual((await model.embed(pixels)).data)
  })

  it.each([
    ['malicious-zip.pth', 'posix.system'],
    ['malicious-legacy.pth', 'posix.system'],
    ['big-endian.pth', 'big-endian'],
    ['views-zip.pth', 'hyperparams'],
  ])('refuses %s', async (name, named) => {
    await expect(importCheckpoint(sample(name), place)).rejects.toMatchObject({
      code: 'AMDIM_CHECKPOINT',
      message: expect.stringContaining(named),
    })
  })

  it('refuses damaged, missing and foreign files, and options that do not fit', async () => {
    const cut = write(join(temporaryFolder(), 'cut.pth'), 'PK\u0003\u0004 and no more')
    await expect(importCheckpoint(cut, place)).rejects.toMatchObject({ code: 'AMDIM_CHECKPOINT' })
    await expect(importCheckpoint('none.pth')).rejects.toMatchObject({ code: 'AMDIM_IO' })
    const zip = sample('zip.pth')
    for (const options of [
      { classes: ['one'] },
      { config: { encoder: { baseWidth: 1 } } },
      { config: { encoder: { batchNorm: false } } },
      { preset: 'none' },
      { classNames: [] },
    ])
      await expect(importCheckpoint(zip, options as object)).rejects.toMatchObject({
        code: 'AMDIM_INVALID_ARGUMENT',
      })
  })
})
