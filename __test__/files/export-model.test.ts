import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AmdimModel, exportModel, importCheckpoint, trainAmdim } from '../../src/index.js'
import { temporaryFolder, write } from '../support/folder.js'
import { colours, SHORT, TINY } from '../support/tiny.js'

const withViews = (views: 'lab' | 'halves') => ({ ...TINY, augment: { ...TINY.augment, views } })
const create = () => AmdimModel.create({ config: TINY, device: 'cpu', threads: 2 })

describe('exportModel', () => {
  it('writes the format of the file name, or the one it is told', async () => {
    const folder = temporaryFolder()
    using model = await create()
    for (const name of ['encoder.onnx', 'encoder.pth', 'encoder.pt', 'encoder.safetensors']) {
      const path = join(folder, name)
      const written = await exportModel(model, path)
      expect(written).toEqual({ files: [path], bytes: statSync(path).size })
    }
    expect(readFileSync(join(folder, 'encoder.pth')).toString('latin1', 0, 2)).toBe('PK')
    await exportModel(model, join(folder, 'other'), { format: 'pth' })
    expect(readFileSync(join(folder, 'other'))).toEqual(readFileSync(join(folder, 'encoder.pth')))
    await expect(exportModel(model, join(folder, 'encoder.bin'))).rejects.toThrow(
      '*.onnx, *.pth or *.safetensors',
    )
    expect(readdirSync(folder)).toHaveLength(5)
  })

  it('writes checkpoints that come back as the same encoder', async () => {
    const path = join(temporaryFolder(), 'amdim_cpt.pth')
    using pictures = await colours(4)
    using model = await create()
    await exportModel(model, path)
    using again = await importCheckpoint(path, { preset: 'tiny', device: 'cpu', threads: 2 })
    expect(again.config.encoder).toEqual(model.config.encoder)
    expect((await again.embed(pictures)).data).toEqual((await model.embed(pictures)).data)
  })

  it('puts the layers and the normalisation that are asked for into the graph', async () => {
    const folder = temporaryFolder()
    using model = await create()
    const graphOf = async (name: string, options: object) => {
      await exportModel(model, join(folder, name), options)
      return readFileSync(join(folder, name)).toString('latin1')
    }
    const plain = await graphOf('plain.onnx', {})
    expect(plain).toContain('global')
    expect(plain).not.toMatch(/local[57]|normalise\/|rkhs_block/)
    const whole = await graphOf('whole.onnx', { layers: ['local7', 'global'], normalise: true })
    expect(whole).toMatch(/local7/)
    expect(whole).toContain('normalise/divide')
    expect(whole).not.toContain('rkhs_block_5')
  })

  it('refuses to normalise for encoders whose input is more than that', async () => {
    for (const views of ['lab', 'halves'] as const) {
      using model = await AmdimModel.create({ config: withViews(views), device: 'cpu', threads: 2 })
      const path = join(temporaryFolder(), 'encoder.onnx')
      await expect(exportModel(model, path, { normalise: true })).rejects.toMatchObject({
        code: 'AMDIM_INVALID_ARGUMENT',
        message: expect.stringContaining('normalise'),
      })
      expect((await exportModel(model, path)).files).toEqual([path])
    }
  })

  it('takes a run folder, and an unfinished run only when told', async () => {
    const root = temporaryFolder()
    const [run, unfinished, empty] = [join(root, 'run'), join(root, 'unfinished'), join(root, 'empty')]
    using pictures = await colours()
    const { model } = await trainAmdim({ ...SHORT, data: { train: pictures }, output: run })
    model.dispose()
    const out = join(root, 'encoder.onnx')
    expect((await exportModel(run, out)).files).toEqual([out])

    mkdirSync(unfinished)
    copyFileSync(join(run, 'checkpoint.safetensors'), join(unfinished, 'checkpoint.safetensors'))
    mkdirSync(empty)
    const other = join(root, 'other.onnx')
    const rejected = { code: 'AMDIM_CHECKPOINT' }
    await expect(exportModel(unfinished, other)).rejects.toMatchObject({
      ...rejected,
      message: expect.stringContaining('unfinished'),
    })
    await expect(exportModel(empty, other, { unfinished: true })).rejects.toMatchObject(rejected)
    await exportModel(unfinished, other, { unfinished: true })
    expect(readFileSync(other)).toEqual(readFileSync(out))
  })

  it('refuses a model of a cancelled run unless told, and leaves older files whole', async () => {
    const root = temporaryFolder()
    const run = join(root, 'run')
    using pictures = await colours()
    const training = trainAmdim({ ...SHORT, updates: 100_000, data: { train: pictures }, output: run })
    for await (const event of training) if (event.type === 'step') training.cancel()
    const { model } = await training
    const out = write(join(root, 'encoder.onnx'), 'older')
    for (const source of [model, run, join(run, 'checkpoint.safetensors')])
      await expect(exportModel(source, out)).rejects.toMatchObject({
        code: 'AMDIM_INVALID_ARGUMENT',
        message: expect.stringContaining('% of its run'),
      })
    expect(readFileSync(out, 'utf8')).toBe('older')
    await exportModel(model, out, { unfinished: true })
    expect(readFileSync(out, 'utf8')).not.toBe('older')
    expect(readdirSync(root).sort()).toEqual(['encoder.onnx', 'run'])
    model.dispose()
  })

  it('refuses what makes no sense', async () => {
    const folder = temporaryFolder()
    using model = await create()
    const onnx = join(folder, 'encoder.onnx')
    for (const options of [
      { format: 'tflite' },
      { layers: ['local6'] },
      { layers: [] },
      { layers: ['global', 'global'] },
      { normalise: 'yes' },
      { normalize: true },
      { format: 'pth', normalise: true },
      { format: 'safetensors', layers: ['global'] },
    ])
      await expect(exportModel(model, onnx, options as object)).rejects.toMatchObject({
        code: 'AMDIM_INVALID_ARGUMENT',
      })
    await expect(exportModel(model, join(folder, 'none', 'encoder.onnx'))).rejects.toMatchObject({
      code: 'AMDIM_IO',
    })
    const text = write(join(folder, 'text.safetensors'), 'no tensors')
    await expect(exportModel(text, onnx)).rejects.toMatchObject({ code: 'AMDIM_CHECKPOINT' })
    expect(readdirSync(folder)).toEqual(['text.safetensors'])
  })
})
