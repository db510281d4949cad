import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ConfigOverrides, EncoderDescription, Layer } from '../../../src/index.js'
import { buildEncoder } from '../../../src/tfjs/encoder.js'
import {
  encoderToLayersModel,
  featuresFromTensor,
  loadLayersModel,
  picturesToTensor,
  saveLayersModel,
  type TensorFlow,
} from '../../../src/tfjs/index.js'
import { temporaryFolder } from '../../support/folder.js'
import { randomModel } from '../../support/randomise.js'

const LAYERS: Layer[] = ['global', 'local5', 'local7']
const STAGES: Layer[] = ['global', 'local4', 'local8']
const tiny = (encoderSize: 32 | 64 | 128, batchNorm: boolean): ConfigOverrides => ({
  encoder: { encoderSize, batchNorm, baseWidth: 4, embeddingDim: 32, blockDepth: 2 },
})

const resnet = (kind: 'resnet18' | 'resnet50', encoderSize: 32 | 64 | 128): ConfigOverrides => ({
  encoder: { kind, encoderSize, baseWidth: 4, embeddingDim: 32, localMaps: [4, 8] },
})

const perceptron = (activation: 'relu' | 'tanh'): ConfigOverrides => ({
  encoder: { kind: 'mlp', encoderSize: 32, baseWidth: 8, embeddingDim: 6, activation },
})

const infomax = (encoderSize: 28 | 32 | 64): ConfigOverrides => ({
  method: 'dim',
  encoder: { kind: 'dim', encoderSize, baseWidth: 4, embeddingDim: 6 },
  augment: { pixels: encoderSize },
})

/** Made-up pictures of an encoder's size. */
function pictures(count: number, side: number, channels = 3) {
  const data = Uint8Array.from({ length: count * side * side * channels }, (_, i) => (i * 7919 + i * i) % 253)
  return { data, shape: [count, side, side, channels] as const }
}

/** Largest difference of two lists, relative to the largest value of the first. */
function difference(expected: Float32Array, actual: Float32Array): number {
  expect(actual.length).toBe(expected.length)
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  expect(largest).toBeGreaterThan(0.1)
  return (
    expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (actual[i] ?? NaN))), 0) / largest
  )
}

/** The encoder rebuilt, with either module. */
export function describeEncoder(load: () => Promise<TensorFlow>): void {
  describe('encoderToLayersModel', () => {
    it.each<[string, number, ConfigOverrides, Layer[]]>([
      ['AMDIM', 32, tiny(32, false), LAYERS],
      ['AMDIM with batch norm', 32, tiny(32, true), LAYERS],
      ['AMDIM', 64, tiny(64, false), LAYERS],
      ['AMDIM with batch norm', 64, tiny(64, true), LAYERS],
      ['AMDIM', 128, tiny(128, false), LAYERS],
      ['AMDIM with batch norm', 128, tiny(128, true), LAYERS],
      ['perceptron with ReLU', 32, perceptron('relu'), ['global']],
      ['perceptron with tanh', 32, perceptron('tanh'), ['global']],
      ['ResNet-18', 32, resnet('resnet18', 32), STAGES],
      ['ResNet-18', 64, resnet('resnet18', 64), STAGES],
      ['ResNet-18', 128, resnet('resnet18', 128), STAGES],
      ['ResNet-50', 32, resnet('resnet50', 32), STAGES],
      ['Deep InfoMax', 28, infomax(28), ['global', 'local7']],
      ['Deep InfoMax', 32, infomax(32), ['global', 'local8']],
      ['Deep InfoMax', 64, infomax(64), ['global', 'local8']],
    ])('gives our features within 1e-4: %s, %i pixels', async (_, side, config, outputs) => {
      const tf = await load()
      using model = await randomModel(config)
      const encoder = await encoderToLayersModel(tf, model, { outputs })
      const pixels = pictures(3, side)
      // A model of one output predicts a tensor, not a list.
      const maps = [encoder.predict(picturesToTensor(tf, pixels))].flat()
      expect(encoder.outputNames).toEqual(outputs)
      for (const [i, layer] of outputs.entries()) {
        const ours = await model.embed(pixels, { layer })
        const theirs = await featuresFromTensor(maps[i] as ReturnType<typeof tf.tensor>)
        expect(theirs.shape).toEqual(ours.shape)
        expect(difference(ours.data, theirs.data)).toBeLessThan(1e-4)
      }
      tf.dispose(maps)
      encoder.dispose()
    })

    it('is saved with standard layers alone, and loads with the same features', async () => {
      const tf = await load()
      using model = await randomModel(tiny(128, true))
      const encoder = await encoderToLayersModel(tf, model)
      const folder = join(temporaryFolder(), 'encoder')
      await saveLayersModel(tf, encoder, folder)
      const loaded = await loadLayersModel(tf, folder)
      const x = picturesToTensor(tf, pictures(2, 128))
      const [before, after] = [encoder, loaded].map((m) => m.predict(x) as ReturnType<typeof tf.tensor>)
      expect(await after?.data()).toEqual(await before?.data())
      const kinds = new Set(encoder.layers.map((layer) => layer.getClassName()))
      const missing = [...kinds].filter(
        (kind) => !(kind in tf.serialization.SerializationMap.getMap().classNameMap),
      )
      expect(missing).toEqual([])
      tf.dispose([x, before, after])
      encoder.dispose()
      loaded.dispose()
    })

    it('takes gray pictures too', async () => {
      const tf = await load()
      using model = await randomModel({
        encoder: { inputChannels: 1, baseWidth: 4, embeddingDim: 32, blockDepth: 1 },
        augment: { channels: 1, mean: [0.3], std: [0.2], colorJitter: null, grayscaleProbability: 0 },
      })
      const encoder = await encoderToLayersModel(tf, model)
      const pixels = pictures(2, 32, 1)
      const theirs = encoder.predict(picturesToTensor(tf, pixels)) as ReturnType<typeof tf.tensor>
      const ours = await model.embed(pixels)
      expect(difference(ours.data, (await featuresFromTensor(theirs)).data)).toBeLessThan(1e-4)
      theirs.dispose()
      encoder.dispose()
    })

    it('refuses an encoder that needs an exponential, by its kind', async () => {
      const tf = await load()
      using model = await randomModel({ encoder: { kind: 'realnvp', baseWidth: 4, blockDepth: 2 } })
      await expect(encoderToLayersModel(tf, model)).rejects.toMatchObject({
        code: 'AMDIM_INVALID_ARGUMENT',
        message: expect.stringContaining('encoder.kind: expected a kind of standard layers, got "realnvp"'),
      })
    })

    it.each(['lab', 'halves'] as const)(
      'refuses an encoder of views %s, whose input it can not make',
      async (views) => {
        const tf = await load()
        using model = await randomModel({ ...tiny(32, false), augment: { views } })
        await expect(encoderToLayersModel(tf, model)).rejects.toMatchObject({
          code: 'AMDIM_INVALID_ARGUMENT',
          message: expect.stringContaining(views),
        })
      },
    )

    it('keeps no tensor beyond its weights, and frees those', async () => {
      const tf = await load()
      using model = await randomModel(tiny(128, true))
      const held = () => tf.memory().numTensors + tf.memory().numDataBuffers
      const before = held()
      const encoder = await encoderToLayersModel(tf, model, { outputs: LAYERS })
      expect(held() - before).toBe(2 * encoder.weights.length)
      encoder.dispose()
      expect(held()).toBe(before)
    })

    it('leaves out what the outputs do not need', async () => {
      const tf = await load()
      using model = await randomModel(tiny(32, false))
      const [all, local7] = [
        await encoderToLayersModel(tf, model, { outputs: LAYERS }),
        await encoderToLayersModel(tf, model, { outputs: ['local7'] }),
      ]
      expect(local7.outputs).toHaveLength(1)
      expect(local7.countParams()).toBeLessThan(all.countParams() / 2)
      all.dispose()
      local7.dispose()
    })

    it.each<[unknown, string]>([
      [{ outputs: [] }, 'outputs: expected a list of some of global, local5, local7'],
      [{ outputs: ['global', 'global'] }, 'outputs: expected a list'],
      [{ outputs: ['local6'] }, 'outputs: expected one of global, local5, local7, got "local6"'],
      [{ output: ['global'] }, 'unknown option "output" of encoderToLayersModel'],
    ])('refuses %j', async (options, message) => {
      const tf = await load()
      using model = await randomModel(tiny(32, false))
      await expect(encoderToLayersModel(tf, model, options as object)).rejects.toThrow(message)
    })

    it('borders maps with zeros where a description says so, and lets averages count them', async () => {
      const tf = await load()
      const window = { kernel: 3, stride: 1, padding: 1, padMode: 'zero' as const }
      const shape = { channels: 1, height: 3, width: 3 }
      const norm = null
      const layer = { kind: 'residualBlock' as const, window, conv1: 'first', norm, conv2: 'second' }
      const description: EncoderDescription = {
        input: shape,
        nodes: [{ name: 'block', input: null, shape, layer }],
        outputs: { global: 0, local5: 0, local7: 0 },
      }
      const tensors = new Map([
        ['first', { shape: [1, 1, 3, 3], data: new Float32Array(9).fill(1) }],
        ['second', { shape: [1, 1, 1, 1], data: Float32Array.of(1) }],
      ])
      const encoder = buildEncoder(tf, description, tensors, { mean: [0], std: [1 / 255] }, ['local7'])
      const y = encoder.predict(tf.ones([1, 3, 3, 1])) as ReturnType<typeof tf.tensor>
      // The sum over the window, and a ninth of it from the average: 4, 6 or 9 of its pixels are in the picture.
      const expected = [4, 6, 4, 6, 9, 6, 4, 6, 4].map((sum) => (sum * 10) / 9)
      for (const [i, value] of (await y.data()).entries()) expect(value).toBeCloseTo(expected[i] ?? NaN, 5)
      y.dispose()
      encoder.dispose()
    })

    it('lets no border win a max pool', async () => {
      const tf = await load()
      const window = { kernel: 3, stride: 2, padding: 1, padMode: 'zero' as const }
      const description: EncoderDescription = {
        input: { channels: 1, height: 4, width: 4 },
        nodes: [
          {
            name: 'pool',
            input: null,
            shape: { channels: 1, height: 2, width: 2 },
            layer: { kind: 'maxPool', window },
          },
        ],
        outputs: { local2: 0 },
      }
      const encoder = buildEncoder(tf, description, new Map(), { mean: [10], std: [1 / 255] }, ['local2'])
      // Levels 0..15 less 2550: all below zero.
      const y = encoder.predict(tf.range(0, 16).reshape([1, 4, 4, 1])) as ReturnType<typeof tf.tensor>
      expect([...(await y.data())].map((value) => Math.round(value + 2550))).toEqual([5, 7, 13, 15])
      y.dispose()
      encoder.dispose()
    })

    it('says which kind of layer it cannot rebuild, and which tensor is missing', async () => {
      const tf = await load()
      using model = await randomModel(tiny(32, false))
      const description = model.describe()
      const tensors = await model.tensors()
      const { augment } = model.config
      const strange = structuredClone(description) as unknown as { nodes: { layer: object }[] }
      if (strange.nodes[1]) strange.nodes[1].layer = { kind: 'attention' }
      const build = (what: unknown, weights: typeof tensors) => () =>
        buildEncoder(tf, what as EncoderDescription, weights, augment, ['global'])
      expect(build(strange, tensors)).toThrow(
        expect.objectContaining({
          code: 'AMDIM_INVALID_ARGUMENT',
          message: expect.stringContaining('got "attention"'),
        }),
      )
      expect(build(description, new Map())).toThrow(expect.objectContaining({ code: 'AMDIM_SHAPE' }))
    })
  })
}
