import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { AmdimModel, type EmbedInput, fromArrays, inspect, openDataset } from '../../src/index.js'
import { pretrainedPath } from '../../src/model/pretrained.js'
import { noisyPixels, temporaryFolder, write, writePictures } from '../support/folder.js'
import { encodePng } from '../support/png.js'
import { SAMPLE } from '../support/sample.js'
import { colours, TINY } from '../support/tiny.js'

const create = (seed = 1) => AmdimModel.create({ config: { ...TINY, seed }, device: 'cpu', threads: 2 })

describe('AmdimModel.create', () => {
  it('draws the weights from the seed', async () => {
    using pictures = await colours(4)
    const embed = async (seed: number) => (await (await create(seed)).embed(pictures)).data
    const first = await embed(1)
    expect(first.every(Number.isFinite)).toBe(true)
    expect(await embed(1)).toEqual(first)
    expect(await embed(2)).not.toEqual(first)
  })

  it('is the preset tiny by default, with its number of parameters', async () => {
    using model = await AmdimModel.create({ device: 'cpu' })
    expect(model.info()).toMatchObject({ parameters: 1_258_816, position: { update: 0, pairs: 0 } })
    expect(model.config.encoder).toMatchObject({ baseWidth: 32, embeddingDim: 256 })
  })

  it('refuses unknown options and devices', async () => {
    await expect(AmdimModel.create({ seed: 1 } as object)).rejects.toThrow(
      'unknown option "seed" of AmdimModel.create',
    )
    await expect(AmdimModel.create({ device: 'gpu' })).rejects.toThrow('device: expected auto, cpu, cuda')
  })
})

describe('save and load', () => {
  it('keep every weight and the whole configuration', async () => {
    const path = join(temporaryFolder(), 'model.safetensors')
    using pictures = await colours(4)
    const model = await create()
    await model.save(path)
    const loaded = await AmdimModel.load(path, { device: 'cpu', threads: 1 })
    expect(loaded.config).toEqual(model.config)
    expect((await loaded.embed(pictures)).data).toEqual((await model.embed(pictures)).data)
    expect(await inspect(path)).toEqual(loaded.info())
  })

  it('load the model that ships with the package, or that of AMDIM_PRETRAINED', async () => {
    const path = join(temporaryFolder(), 'model.safetensors')
    onTestFinished(() => void vi.unstubAllEnvs())
    vi.stubEnv('AMDIM_PRETRAINED', path)
    await expect(AmdimModel.pretrained()).rejects.toMatchObject({ code: 'AMDIM_IO' })
    await (await create()).save(path)
    using model = await AmdimModel.pretrained({ device: 'cpu' })
    expect(model.info()).toEqual(await inspect(path))
    vi.stubEnv('AMDIM_PRETRAINED', '')
    expect(pretrainedPath(path)).toBe(path)
    const none = join(temporaryFolder(), 'none.safetensors')
    expect(() => pretrainedPath(none)).toThrow(
      expect.objectContaining({ code: 'AMDIM_IO', details: { path: none } }),
    )
  })

  it('knows the classes of CIFAR-10, as its card says', async () => {
    const { train, test } = await openDataset(SAMPLE)
    onTestFinished(() => {
      train.dispose()
      test?.dispose()
    })
    using model = await AmdimModel.pretrained({ device: 'cpu' })
    const found = await model.classify(test ?? train)
    const hits = [...found.labels].filter((label, i) => found.classes[label] === found.top(i)[0]?.name)
    expect(found.length).toBe(1000)
    expect(hits.length / found.length).toBeGreaterThan(0.75)
  })

  it('replace a file whole and leave nothing beside it', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'model.safetensors')
    await (await create(1)).save(path)
    const first = readFileSync(path)
    await (await create(2)).save(path)
    expect(readFileSync(path)).not.toEqual(first)
    expect(readdirSync(folder)).toEqual(['model.safetensors'])
  })

  it('say when a file is missing or none of ours', async () => {
    const folder = temporaryFolder()
    await expect(AmdimModel.load(join(folder, 'none'))).rejects.toMatchObject({ code: 'AMDIM_IO' })
    const text = write(join(folder, 'text.safetensors'), 'no tensors here')
    await expect(AmdimModel.load(text)).rejects.toMatchObject({ code: 'AMDIM_CHECKPOINT' })
    await expect(inspect(text)).rejects.toMatchObject({ code: 'AMDIM_CHECKPOINT' })
    await expect((await create()).save(join(folder, 'none', 'model.safetensors'))).rejects.toMatchObject({
      code: 'AMDIM_IO',
    })
  })
})

describe('describe and tensors', () => {
  it('are what the info says: the same names, shapes and number of parameters', async () => {
    using model = await create()
    const { tensors: listed } = model.info()
    const tensors = await model.tensors()
    const named = listed.filter(({ name }) => !name.endsWith('num_batches_tracked'))
    expect([...tensors].map(([name, { shape }]) => ({ name, shape }))).toEqual(named)
    for (const [name, { shape, data }] of tensors)
      expect(data.length, name).toBe(shape.reduce((product, n) => product * n, 1))
    expect(tensors.get('encoder.module.layer_list.0.conv.weight')?.data.some((value) => value !== 0)).toBe(
      true,
    )
  })

  it('connect the layers, whose tensors all exist', async () => {
    using model = await create()
    const { input, nodes, outputs } = model.describe()
    const tensors = await model.tensors()
    expect(input).toEqual({ channels: 3, height: 32, width: 32 })
    for (const [index, node] of nodes.entries()) expect(node.input ?? -1).toBeLessThan(index)
    const side = (layer: keyof typeof outputs) => nodes[outputs[layer] ?? -1]?.shape
    expect(Object.keys(outputs)).toEqual(['global', 'local5', 'local7'])
    expect(side('global')).toEqual({ channels: 16, height: 1, width: 1 })
    expect(side('local5')).toEqual({ channels: 16, height: 5, width: 5 })
    expect(side('local7')).toEqual({ channels: 16, height: 7, width: 7 })
    const names = JSON.stringify(nodes).match(/"encoder\.module[^"]*\.(weight|bias|running_\w+)"/g) ?? []
    expect(names.length).toBeGreaterThan(20)
    for (const name of names) expect(tensors.has(JSON.parse(name)), name).toBe(true)
  })

  it('are a copy, and say when the model was disposed', async () => {
    const model = await create()
    const tensors = await model.tensors()
    for (const { data } of tensors.values()) data.fill(0)
    const first = (await model.tensors()).get('encoder.module.layer_list.0.conv.weight')
    expect(first?.data.some((value) => value !== 0)).toBe(true)
    model.dispose()
    expect(() => model.describe()).toThrow('the model was disposed')
    await expect(model.tensors()).rejects.toThrow('the model was disposed')
  })
})

describe('embed', () => {
  const side = 32
  const pixels = [0, 1, 2].map((label) => noisyPixels(side, label, 0))
  const png = (data: Uint8Array) => encodePng(side, side, 3, data)

  it('gives the same for the same pictures in every form', async () => {
    using model = await create()
    const folder = temporaryFolder()
    const paths = pixels.map((data, i) => write(join(folder, `${i}.png`), png(data)))
    const stacked = new Uint8Array(Buffer.concat(pixels))
    const shape = [3, side, side, 3] as const
    const forms: EmbedInput[] = [
      folder,
      paths,
      pixels.map(png),
      pixels.map((data) => ({ data, width: side, height: side, channels: 3 })),
      { data: stacked, shape },
      fromArrays(stacked, shape),
    ]
    const [first, ...others] = await Promise.all(forms.map((images) => model.embed(images)))
    expect(first?.shape).toEqual([3, 16])
    for (const other of others) expect(other.data).toEqual(first?.data)
    const single = await model.embed(paths[1] ?? '')
    expect(single.row(0)).toEqual(first?.row(1))
  })

  it('has a shape for each layer, and rows', async () => {
    using model = await create()
    using pictures = await colours(5)
    for (const [layer, shape] of [
      ['global', [5, 16]],
      ['local5', [5, 16, 5, 5]],
      ['local7', [5, 16, 7, 7]],
    ] as const) {
      const embedding = await model.embed(pictures, { layer })
      expect(embedding.shape).toEqual(shape)
      expect(embedding.data.length).toBe(embedding.length * embedding.dimensions)
      expect(embedding.row(4)).toEqual(embedding.data.subarray(4 * embedding.dimensions))
      expect(() => embedding.row(5)).toThrow('index: expected a whole number from 0 to 4, got 5')
    }
  })

  it('does not depend on the batch size, and tells labels, names and progress', async () => {
    using model = await create()
    const folder = writePictures(temporaryFolder(), { classes: ['a', 'b'], perClass: 4 })
    const progress: number[] = []
    const all = await model.embed(folder, { onProgress: (done, total) => progress.push(done / total) })
    const few = await model.embed(folder, { batchSize: 3 })
    expect(few.data).toEqual(all.data)
    expect([...all.labels]).toEqual([0, 0, 0, 0, 1, 1, 1, 1])
    expect(all.names[4]).toMatch(/b.000\.png$/)
    expect(progress.at(-1)).toBe(1)
  })

  it('skips pictures that cannot be read only when told to', async () => {
    using model = await create()
    const images = [
      png(pixels[0] ?? new Uint8Array()),
      Buffer.from('no picture'),
      png(pixels[1] ?? new Uint8Array()),
    ]
    await expect(model.embed(images)).rejects.toMatchObject({ code: 'AMDIM_DECODE' })
    const { shape, skipped, names } = await model.embed(images, { onBadImage: 'skip' })
    expect(shape).toEqual([2, 16])
    expect(names).toHaveLength(2)
    expect(skipped).toEqual([expect.objectContaining({ code: 'AMDIM_DECODE' })])
  })

  it('can be cancelled', async () => {
    using model = await create()
    using pictures = await colours(64)
    const work = model.embed(pictures, { batchSize: 1, signal: AbortSignal.abort() })
    await expect(work).rejects.toMatchObject({ code: 'AMDIM_CANCELLED' })
  })

  it.each<[unknown, object, string]>([
    [3, {}, 'images: expected a Dataset, a path, an array of pictures'],
    [[], {}, 'pictures: expected at least one picture'],
    [{ data: new Uint8Array(3), shape: [1, 1, 2, 3] }, {}, 'pixels: expected 6 values'],
    ['pictures', { layer: 'f7' }, 'layer: expected one of global, local5, local7, got "f7"'],
    ['pictures', { batchSize: 0 }, 'batchSize: expected a whole number >= 1'],
    ['pictures', { batch: 3 }, 'unknown option "batch" of embed'],
  ])('refuses %j with %j', async (images, options, message) => {
    using model = await create()
    await expect(model.embed(images as EmbedInput, options)).rejects.toThrow(message)
  })
})

it('a disposed model or data set says so', async () => {
  const model = await create()
  const pictures = await colours(4)
  model.dispose()
  model.dispose()
  expect(() => model.info()).toThrow('the model was disposed')
  await expect(model.embed(pictures)).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
  pictures.dispose()
  await expect((await create()).embed(pictures)).rejects.toThrow('was disposed')
})
