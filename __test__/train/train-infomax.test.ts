import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AmdimModel, type ConfigOverrides, type TrainEvent, trainInfomax } from '../../src/index.js'
import { temporaryFolder } from '../support/folder.js'
import { colours } from '../support/tiny.js'

const small = { batchSize: 8, schedule: { kind: 'constant', warmupUpdates: 0 } } as const
const METHODS: ['dim' | 'moco' | 'multiview' | 'vib' | 'vae', ConfigOverrides, string[], number][] = [
  [
    'dim',
    { ...small, encoder: { baseWidth: 2 }, dim: { units: 4 } },
    ['local', 'discriminator', 'prior'],
    64,
  ],
  [
    'moco',
    {
      ...small,
      encoder: { baseWidth: 4, embeddingDim: 16, blockDepth: 1 },
      moco: { queueSize: 16 },
    },
    ['contrast'],
    16,
  ],
  [
    'multiview',
    {
      ...small,
      encoder: { baseWidth: 4, embeddingDim: 16, blockDepth: 1 },
      multiview: { units: 8 },
      augment: { views: 'halves' },
    },
    ['views'],
    16,
  ],
  [
    'multiview',
    {
      ...small,
      encoder: { baseWidth: 4, embeddingDim: 16, blockDepth: 1 },
      multiview: { units: 8, bound: 'mine', averageRate: 0.1 },
    },
    ['views'],
    16,
  ],
  [
    'vib',
    {
      ...small,
      encoder: { encoderSize: 32, inputChannels: 3, baseWidth: 8, embeddingDim: 6, activation: 'tanh' },
      augment: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    },
    ['decoder', 'rate'],
    6,
  ],
  ['vae', { ...small, encoder: { baseWidth: 2 }, vae: { units: 8 } }, ['reconstruction', 'rate'], 64],
]

describe('trainInfomax', () => {
  it.each([
    ['nothing', undefined, 'options of trainInfomax: expected an object, got undefined'],
    ['null', null, 'options of trainInfomax: expected an object, got null'],
    ['a signal that is none', { data: 'nowhere', signal: 5 }, 'signal: expected an AbortSignal, got 5'],
    ['a method that is none', { data: 'nowhere', method: null }, 'method: expected one of amdim, dim'],
    [
      'no object as configuration',
      { data: 'nowhere', method: 'dim', config: null },
      'config: expected an object of',
    ],
  ])('rejects for %s', async (_, options, message) => {
    const failure = trainInfomax(options as never)
    await expect(failure).rejects.toMatchObject({ name: 'AmdimError', code: 'AMDIM_INVALID_ARGUMENT' })
    await expect(failure).rejects.toThrow(message)
  })

  it.each(METHODS)(
    'trains by %s, resumes exactly, and leaves a model',
    async (method, config, parts, dims) => {
      const data = { train: await colours(), test: null }
      const run = async (updates: number, folder: string, resume = false) => {
        const events: TrainEvent[] = []
        const options = { data, updates, threads: 2, logEverySteps: 1, device: 'cpu' } as const
        const training = trainInfomax({
          ...options,
          ...(resume ? { resume: folder } : { method, config, output: folder }),
        })
        for await (const event of training) events.push(event)
        const { model, update } = await training
        expect(update).toBe(updates)
        const { data: features, shape } = await model.embed(data.train)
        expect(shape).toEqual([16, dims])
        model.dispose()
        return { features, events }
      }
      const [straight, parted] = [temporaryFolder(), temporaryFolder()].map((folder) => join(folder, 'run'))
      const whole = await run(5, straight as string)
      const names = whole.events.flatMap((event) => (event.type === 'step' ? [Object.keys(event.terms)] : []))
      expect(names.at(-1)).toEqual(expect.arrayContaining(parts))
      await run(2, parted as string)
      expect((await run(5, parted as string, true)).features).toEqual(whole.features)
      using loaded = await AmdimModel.load(join(straight as string, 'model.safetensors'))
      expect(loaded.config.method).toBe(method)
      expect((await loaded.embed(data.train)).data).toEqual(whole.features)
    },
  )

  it.each(['moco', 'multiview', 'dim'] as const)(
    'has by %s another encoder from other views',
    async (method) => {
      const train = await colours(16)
      const [, base] = METHODS.find(([name]) => name === method) ?? []
      const weights: Float32Array[] = []
      for (const views of ['augmented', 'lab', 'patches'] as const) {
        const config = { ...base, augment: { views } }
        const options = { method, config, updates: 2, threads: 2, device: 'cpu', logEverySteps: 1 } as const
        const { model, metrics } = await trainInfomax({ ...options, data: { train, test: null } })
        expect(Number.isFinite(metrics.step?.loss)).toBe(true)
        expect(model.config.augment.views).toBe(views)
        const tensors = await model.tensors()
        weights.push(Float32Array.from([...tensors.values()].flatMap(({ data }) => [...data])))
        model.dispose()
      }
      for (const [a, b] of [
        [0, 1],
        [0, 2],
        [1, 2],
      ] as const)
        expect(weights[a]).not.toEqual(weights[b])
    },
  )

  it('tells apart by vib what labels tell apart, and says what it needs', async () => {
    const train = await colours(32)
    const config = { ...METHODS[4]?.[1], optimizer: { learningRate: 1e-2 } } as ConfigOverrides
    const run = {
      method: 'vib',
      updates: 60,
      threads: 2,
      device: 'cpu',
      output: join(temporaryFolder(), 'r'),
    }
    const { model } = await trainInfomax({
      ...run,
      method: 'vib',
      device: 'cpu',
      config,
      data: { train, test: null },
    })
    const found = await model.classify(train)
    const right = Array.from(found.labels).filter(
      (label, i) => found.top(i)[0]?.name === train.classes[label],
    )
    expect(right.length).toBe(32)
    model.dispose()
    const without = { ...config, classifiers: { enabled: false } }
    const refused = (more: object) =>
      trainInfomax({ method: 'vib', device: 'cpu', data: { train, test: null }, config, ...more })
    await expect(refused({ config: without })).rejects.toThrow(
      /classifiers.enabled: expected true with method vib/,
    )
    await expect(refused({ method: 'dim', config: { encoder: { kind: 'mlp' } } })).rejects.toThrow(
      /method: expected another with encoder.kind mlp/,
    )
  })
})
