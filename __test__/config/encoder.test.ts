import { describe, expect, it } from 'vitest'
import { layerNames, usualTerms } from '../../src/config/encoder-maps.js'
import { ENCODER_KINDS, type EncoderKind } from '../../src/config/encoder-schema.js'
import { resolveResumed, resolveSources } from '../../src/config/resolve.js'
import { type ConfigOverrides, resolveConfig } from '../../src/index.js'
import { addon, unwrapJson } from '../../src/native.js'

const kinds = Object.keys(ENCODER_KINDS) as EncoderKind[]

describe('an encoder of another kind', () => {
  it('brings its own defaults, and terms over its own maps', async () => {
    const config = await resolveConfig({ config: { encoder: { kind: 'resnet18' } } })
    expect(config.encoder).toEqual({
      kind: 'resnet18',
      encoderSize: 32,
      inputChannels: 3,
      baseWidth: 64,
      embeddingDim: 256,
      blockDepth: null,
      batchNorm: true,
      localMaps: [4, 8],
      activation: null,
    })
    expect(config.objective.terms).toEqual(['1->4', '1->8', '4->4'])
    expect(resolveSources({ base: config })).toEqual(config)
  })

  it('keeps what is given, and the rest of a preset', async () => {
    const config = await resolveConfig({
      preset: 'stl10',
      config: { encoder: { kind: 'resnet50', baseWidth: 16 }, objective: { terms: ['4->4'] } },
    })
    expect(config.encoder).toMatchObject({
      encoderSize: 64,
      embeddingDim: 1024,
      baseWidth: 16,
      blockDepth: null,
    })
    expect(config.objective).toMatchObject({ terms: ['4->4'], logitPenalty: 0.05 })
  })

  it('has the usual terms over the maps that are chosen', async () => {
    const terms = async (localMaps: (4 | 8 | 16 | 32)[]) =>
      (await resolveConfig({ config: { encoder: { kind: 'resnet18', localMaps } } })).objective.terms
    expect(await terms([8, 16, 32])).toEqual(['1->8', '1->16', '8->8'])
    expect(await terms([16])).toEqual(['1->16', '16->16'])
  })

  it('has a vector as long as the picture, where it is invertible', () => {
    const vector = (config: ConfigOverrides) => resolveSources({ overrides: config }).encoder.embeddingDim
    expect(vector({ encoder: { kind: 'realnvp' } })).toBe(3 * 32 * 32)
    const gray = { augment: { mean: [0.5], std: [0.5] } }
    expect(vector({ ...gray, encoder: { kind: 'realnvp', encoderSize: 28, inputChannels: 1 } })).toBe(784)
    expect(vector({ encoder: { kind: 'realnvp' }, augment: { pixels: 64 } })).toBe(3 * 64 * 64)
    const base = resolveSources({ overrides: { ...gray, encoder: { kind: 'realnvp', inputChannels: 1 } } })
    expect(resolveSources({ base })).toEqual(base)
    expect(resolveSources({ base, overrides: { encoder: { kind: 'amdim' } } }).encoder.embeddingDim).toBe(256)
  })

  it('gives way to the first kind again', () => {
    const base = resolveSources({ overrides: { encoder: { kind: 'resnet34' } } })
    expect(resolveSources({ base, overrides: { encoder: { kind: 'amdim' } } })).toEqual(resolveSources({}))
  })

  it('can not be had by resuming', () => {
    const saved = resolveSources({})
    const resume = () => resolveResumed(saved, { encoder: { kind: 'resnet18' } })
    expect(resume).toThrow('encoder.kind: a resumed run keeps the configuration of its checkpoint')
  })

  const refused: [ConfigOverrides, string][] = [
    [
      { encoder: { kind: 'resnet18', blockDepth: 3 } },
      'encoder.blockDepth: expected null with kind resnet18',
    ],
    [
      { encoder: { kind: 'resnet18', batchNorm: false } },
      'encoder.batchNorm: expected true with kind resnet18',
    ],
    [{ encoder: { kind: 'resnet18', localMaps: null } }, 'encoder.localMaps: expected a list of sides'],
    [{ encoder: { kind: 'resnet18', localMaps: [8, 4] } }, 'encoder.localMaps: expected ascending sides'],
    [
      { encoder: { kind: 'resnet18', localMaps: [5 as 4] } },
      'encoder.localMaps.0: expected one of 4, 8, 16, 32',
    ],
    [{ encoder: { localMaps: [4, 8] } }, 'encoder.localMaps: expected null with kind amdim'],
    [{ encoder: { blockDepth: null } }, 'encoder.blockDepth: expected a number with kind amdim'],
    [{ encoder: { activation: 'relu' } }, 'encoder.activation: expected null with kind amdim'],
    [{ encoder: { kind: 'mlp', activation: null } }, 'encoder.activation: expected relu or tanh'],
    [{ encoder: { kind: 'mlp', batchNorm: true } }, 'encoder.batchNorm: expected false with kind mlp'],
    [{ encoder: { kind: 'mlp', blockDepth: null } }, 'encoder.blockDepth: expected a number with kind mlp'],
    [
      { encoder: { kind: 'realnvp', embeddingDim: 64 } },
      'encoder.embeddingDim: expected 3072 with kind realnvp',
    ],
    [{ encoder: { kind: 'realnvp', blockDepth: 1 } }, 'encoder.blockDepth: expected at least 2 with kind'],
    [
      { encoder: { kind: 'realnvp', batchNorm: true } },
      'encoder.batchNorm: expected false with kind realnvp',
    ],
    [{ encoder: { kind: 'realnvp', encoderSize: 128 } }, 'encoder.encoderSize: expected one of 28, 32, 64'],
    [
      { method: 'multiview', multiview: { confusionWeight: 1 }, classifiers: { enabled: false } },
      'classifiers.enabled: expected true with multiview.confusionWeight',
    ],
    [{ encoder: { kind: 'resnet19' as 'resnet18' } }, 'encoder.kind: expected one of amdim, resnet18'],
    [
      { encoder: { kind: 'resnet18' }, objective: { terms: ['1->5'] } },
      `objective.terms.0: expected sides of the encoder's maps (1, 4, 8), got "1->5"`,
    ],
  ]
  it.each(refused)('%j is refused', async (config, message) => {
    await expect(resolveConfig({ config })).rejects.toThrow(message)
  })
})

describe('the maps known before a model is made', () => {
  it.each(kinds)('are those that Rust describes for %s', async (kind) => {
    const sizes = kind === 'dim' || kind === 'realnvp' ? ([28, 32, 64] as const) : ([32, 64, 128] as const)
    const method = kind === 'dim' ? 'dim' : 'amdim'
    for (const encoderSize of sizes) {
      const { encoder } = await resolveConfig({ config: { method, encoder: { kind, encoderSize } } })
      const { shapes } = unwrapJson<{ shapes: Record<string, number[]> }>(
        addon().encoderInfo(JSON.stringify(encoder)),
      )
      expect(Object.keys(shapes).sort()).toEqual(layerNames(encoder).sort())
    }
  })

  it('are those that the paper compares', () => {
    expect(usualTerms({ kind: 'amdim', localMaps: null, encoderSize: 32 })).toEqual(['1->5', '1->7', '5->5'])
    expect(usualTerms({ kind: 'mlp', localMaps: null, encoderSize: 32 })).toEqual(['1->1'])
  })
})
