import { describe, expect, it } from 'vitest'
import { resolveResumed, resolveSources } from '../../src/config/resolve.js'
import {
  type AmdimConfig,
  type ConfigOverrides,
  PRESETS,
  type PresetName,
  resolveConfig,
} from '../../src/index.js'

const names = Object.keys(PRESETS) as PresetName[]

describe('resolveConfig', () => {
  it('defaults to the preset tiny, the values of the paper on a small encoder', async () => {
    const config = await resolveConfig()
    expect(config.encoder).toEqual({
      kind: 'amdim',
      encoderSize: 32,
      inputChannels: 3,
      baseWidth: 32,
      embeddingDim: 256,
      blockDepth: 3,
      batchNorm: false,
      localMaps: null,
      activation: null,
    })
    expect(config.objective).toEqual({
      scoreClip: 20,
      logitPenalty: 0.04,
      terms: ['1->5', '1->7', '5->5'],
      mixture: null,
    })
    expect(config).toMatchObject({ batchSize: 64, length: { minutes: 30 }, schedule: { kind: 'constant' } })
    expect(await resolveConfig({ preset: 'tiny' })).toEqual(config)
  })

  it("has the authors' values in the preset cifar10", async () => {
    const config = await resolveConfig({ preset: 'cifar10' })
    expect(config.encoder).toMatchObject({
      encoderSize: 32,
      baseWidth: 128,
      embeddingDim: 1024,
      blockDepth: 3,
    })
    expect(config).toMatchObject({
      batchSize: 200,
      length: { epochs: 300 },
      objective: { logitPenalty: 0.05 },
    })
    expect(config.schedule).toMatchObject({
      kind: 'multistep',
      milestones: [250, 280],
      decay: 0.2,
      warmupUpdates: 500,
    })
    expect(config.optimizer).toEqual({
      learningRate: 2e-4,
      beta1: 0.8,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 1e-5,
      gradientClip: null,
    })
    expect(config.augment).toMatchObject({
      crop: null,
      translate: { maxPixels: 4, probability: 0.8 },
      colorJitter: { probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2 },
      grayscaleProbability: 0.25,
      decode: 'exact',
      flipProbability: 0.5,
      mean: [125.3 / 255, 123.0 / 255, 113.9 / 255],
      std: [63.0 / 255, 62.1 / 255, 66.7 / 255],
    })
  })

  it.each([
    ['stl10', 64, 70, 0.2, 300],
    ['imagenet128', 128, 146, 0.1, 50],
    ['places205', 128, 146, 0.1, 50],
    ['amdim-small', 128, 146, 0.1, 50],
    ['amdim-medium', 128, 146, 0.1, 50],
    ['amdim-large', 128, 146, 0.1, 50],
  ] as const)('has the sizes of %s', async (preset, pixels, evalResize, hue, epochs) => {
    const config = await resolveConfig({ preset })
    expect(config.encoder.encoderSize).toBe(pixels)
    expect(config.augment).toMatchObject({
      pixels,
      evalResize,
      crop: { scale: [0.3, 1], ratio: [0.7, 1.4] },
      translate: null,
      colorJitter: { hue, brightness: 0.4 },
    })
    expect(config.length).toEqual({ epochs })
  })

  it.each([
    ['amdim-small', 192, 1536, 8],
    ['amdim-medium', 256, 2048, 10],
    ['amdim-large', 320, 2560, 10],
  ] as const)("has the paper's encoder of %s", async (preset, baseWidth, embeddingDim, blockDepth) => {
    const { encoder, batchSize } = await resolveConfig({ preset })
    expect(encoder).toMatchObject({ baseWidth, embeddingDim, blockDepth, batchNorm: false })
    expect(batchSize).toBe(480)
  })

  it('has 205 classes in places205', () => {
    expect(PRESETS.places205.classes).toBe(205)
  })

  it.each(names)('resolves %s to a configuration that resolves to itself', async (preset) => {
    const config = await resolveConfig({ preset })
    expect(resolveSources({ base: config })).toEqual(config)
  })

  it('leaves presets and overrides unchanged', async () => {
    const before = structuredClone(PRESETS)
    const config: ConfigOverrides = { encoder: { baseWidth: 16 } }
    await resolveConfig({ preset: 'stl10', config })
    expect(PRESETS).toEqual(before)
    expect(config).toEqual({ encoder: { baseWidth: 16 } })
  })

  it('merges overrides at any depth; arrays, null and lengths replace', async () => {
    const config = await resolveConfig({
      preset: 'stl10',
      config: {
        augment: { colorJitter: { hue: 0.05 }, crop: { scale: [0.5, 1] }, translate: { maxPixels: 2 } },
        length: { updates: 10 },
        objective: { terms: ['1->7'] },
        optimizer: { learningRate: undefined },
      },
    })
    expect(config.augment.colorJitter).toEqual({
      probability: 0.8,
      brightness: 0.4,
      contrast: 0.4,
      saturation: 0.4,
      hue: 0.05,
    })
    expect(config.augment.crop).toEqual({ scale: [0.5, 1], ratio: [0.7, 1.4] })
    expect(config.augment.translate).toEqual({ maxPixels: 2, probability: 0.8 })
    expect(config.length).toEqual({ updates: 10 })
    expect(config.objective.terms).toEqual(['1->7'])
    expect(config.optimizer.learningRate).toBe(2e-4)
  })

  it('keeps the size of views and encoder together', async () => {
    const larger = await resolveConfig({ config: { encoder: { encoderSize: 64 } } })
    expect(larger.augment.pixels).toBe(64)
    const gray = await resolveConfig({ config: { augment: { channels: 1, mean: [0.13], std: [0.31] } } })
    expect(gray.encoder.inputChannels).toBe(1)
  })
})

describe('a bad configuration', () => {
  const cases: [string, unknown, string][] = [
    [
      'NaN',
      { optimizer: { learningRate: Number.NaN } },
      'optimizer.learningRate: expected a number > 0 and <= 10, got NaN',
    ],
    [
      'infinity',
      { objective: { scoreClip: Number.POSITIVE_INFINITY } },
      'objective.scoreClip: expected a number > 0',
    ],
    [
      'a negative number',
      { optimizer: { weightDecay: -1 } },
      'optimizer.weightDecay: expected a number >= 0, got -1',
    ],
    ['a fraction', { batchSize: 1.5 }, 'batchSize: expected a whole number >= 2 and <= 65536, got 1.5'],
    [
      'a text for a number',
      { batchSize: '64' },
      'batchSize: expected a whole number >= 2 and <= 65536, got "64"',
    ],
    [
      'an unknown size',
      { encoder: { encoderSize: 33 } },
      'encoder.encoderSize: expected one of 28, 32, 64, 128, got 33',
    ],
    [
      'an unknown option',
      { encoder: { baseWith: 3 } },
      'unknown option "encoder.baseWith"; did you mean "baseWidth"?',
    ],
    ['an unknown group', { optimiser: {} }, 'unknown option "optimiser"; did you mean "optimizer"?'],
    [
      'an option of another group',
      { learningRate: 1 },
      'unknown option "learningRate"; known here: encoder,',
    ],
    [
      'an unknown part of a nullable group',
      { augment: { crop: { scal: [1, 1] } } },
      'unknown option "augment.crop.scal"; did you mean "scale"?',
    ],
    ['two lengths', { length: { epochs: 1, minutes: 1 } }, 'length: expected '],
    [
      'a term over a map that is not there',
      { objective: { terms: ['1->5', '1->9'] } },
      `objective.terms.1: expected sides of the encoder's maps (1, 5, 7), got "1->9"`,
    ],
    ['parts larger than the batch', { chunkSize: 65 }, 'chunkSize: expected at most batchSize (64), got 65'],
    [
      'a part of one picture',
      { batchSize: 5, chunkSize: 2 },
      'chunkSize: expected a number by which a batch of 5 falls into parts of 2 or more, got 2',
    ],
    [
      'a term that is none',
      { objective: { terms: ['1-5'] } },
      'objective.terms.0: expected SOURCE->TARGET, the sides of two maps, such as 1->5, got "1-5"',
    ],
    ['a term twice', { objective: { terms: ['1->5', '1->5'] } }, 'objective.terms: expected each term once'],
    [
      'milestones that do not ascend',
      { schedule: { milestones: [3, 2] } },
      'schedule.milestones: expected ascending epochs, got [3, 2]',
    ],
    [
      'a multistep schedule without steps',
      { schedule: { kind: 'multistep' } },
      'schedule.milestones: expected at least one epoch',
    ],
    [
      'views of another size',
      { encoder: { encoderSize: 64 }, augment: { pixels: 32 } },
      'augment.pixels: expected encoder.encoderSize (64), got 32',
    ],
    [
      'normalisation of other channels',
      { encoder: { inputChannels: 1 } },
      'augment.mean: expected one number a channel (1)',
    ],
    [
      'a range upside down',
      { augment: { crop: { ratio: [2, 1] } } },
      'augment.crop.ratio: expected [low, high] with low <= high',
    ],
    [
      'shuffled keys without a queue of them',
      { method: 'moco', moco: { queueSize: null, shuffleGroups: 4 } },
      'moco.shuffleGroups: expected 1 with queueSize null, which has no keys to shuffle, got 4',
    ],
    [
      'a penalty on a discriminator that there is not',
      { method: 'dim', encoder: { kind: 'dim' }, dim: { priorWeight: 0, gradientPenalty: 1 } },
      'dim.gradientPenalty: expected 0 with priorWeight 0, which has no discriminator, got 1',
    ],
    ['null for a group', { encoder: null }, 'encoder: expected an object with kind, encoderSize, '],
    ['no object', 'tiny', 'config: expected an object of options, got "tiny"'],
  ]

  it.each(cases)('%s', async (_, config, message) => {
    const failure = resolveConfig({ config: config as ConfigOverrides })
    await expect(failure).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
    await expect(failure).rejects.toThrow(message)
  })

  it.each([
    ['method', { method: 'dim', encoder: { kind: 'mlp', encoderSize: 32, inputChannels: 3 } }, 'method: '],
    ['views', { augment: { views: 'lab', channels: 1, mean: [0.5], std: [0.5] } }, 'augment.views: '],
  ])('suggests no value that it refuses: %s', async (_, config, start) => {
    const error = await resolveConfig({ config: config as ConfigOverrides }).catch((reason) => reason)
    expect(error.message.startsWith(start), error.message).toBe(true)
    expect(error.message).not.toContain('did you mean')
    const misspelt = resolveConfig({ config: { method: 'dimm' } as unknown as ConfigOverrides })
    await expect(misspelt).rejects.toThrow('got "dimm"; did you mean "dim"?')
  })

  it('lists every issue in its details', async () => {
    const config = { batchSize: 0, seed: -1 }
    const error = await resolveConfig({ config }).catch((reason) => reason)
    expect(error.message).toContain('(and 1 more)')
    expect(error.details.issues).toHaveLength(2)
  })

  it('names the presets for an unknown one', async () => {
    const preset = 'cifar1O' as PresetName
    await expect(resolveConfig({ preset })).rejects.toThrow(
      /preset: expected one of tiny, .*did you mean "cifar10+"/,
    )
  })
})

describe('resolveResumed', () => {
  const saved: AmdimConfig = resolveSources({ preset: 'cifar10' })

  it('keeps the configuration and may change the length', () => {
    expect(resolveResumed(saved, undefined)).toEqual(saved)
    expect(resolveResumed(saved, { length: { epochs: 400 }, batchSize: 200 })).toEqual({
      ...saved,
      length: { epochs: 400 },
    })
  })

  it('refuses another difference', () => {
    expect(() => resolveResumed(saved, { optimizer: { learningRate: 1e-3 } })).toThrow(
      'optimizer.learningRate: a resumed run keeps the configuration of its checkpoint',
    )
  })
})
