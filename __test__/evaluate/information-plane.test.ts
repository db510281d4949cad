import { describe, expect, it } from 'vitest'
import { AmdimModel, fromArrays, informationPlane } from '../../src/index.js'
import { binnedEntropy, kdeInformation } from '../../src/information/index.js'
import { noisyPixels } from '../support/folder.js'
import { colours } from '../support/tiny.js'

const model = () =>
  AmdimModel.create({
    preset: 'vib',
    config: {
      encoder: { encoderSize: 32, inputChannels: 3, baseWidth: 5, embeddingDim: 3, activation: 'tanh' },
      augment: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    },
  })

describe('informationPlane', () => {
  it('says of every layer what the estimators say of its features', async () => {
    using perceptron = await model()
    using pictures = await colours(24)
    for (const estimator of ['kde', 'binning'] as const) {
      const points = await informationPlane(perceptron, pictures, { estimator, bins: 4, noiseVariance: 0.01 })
      expect(points.map(({ layer }) => layer)).toEqual(['hidden1', 'hidden2', 'global'])
      for (const { layer, input, labels } of points) {
        const { data, shape, labels: classes } = await perceptron.embed(pictures, { layer })
        const rows = { data, shape: [24, data.length / 24] }
        expect(shape[0]).toBe(24)
        if (estimator === 'kde') {
          const expected = await kdeInformation(rows, classes, { noiseVariance: 0.01 })
          expect([input, labels]).toEqual([expected.input.upper, expected.labels?.upper])
        } else {
          expect(input).toBe(await binnedEntropy(rows, { bins: 4 }))
          expect(input).toBeLessThanOrEqual(Math.log(24) + 1e-9)
          expect(labels).toBeLessThanOrEqual(Math.log(2) + 1e-9)
          expect(labels).toBeGreaterThan(0.1)
        }
      }
    }
    const [nats] = await informationPlane(perceptron, pictures, { layers: ['hidden2'] })
    const [bits] = await informationPlane(perceptron, pictures, { layers: ['hidden2'], unit: 'bits' })
    expect(bits?.input).toBeCloseTo((nats?.input ?? 0) / Math.LN2, 12)
  })

  it('needs labels and layers that there are', async () => {
    using perceptron = await model()
    const side = 32
    const pixels = Uint8Array.from({ length: 4 }, (_, i) => i).reduce(
      (all, i) => {
        all.set(noisyPixels(side, i % 2, i), i * side * side * 3)
        return all
      },
      new Uint8Array(4 * side * side * 3),
    )
    using bare = await fromArrays(pixels, [4, side, side, 3])
    await expect(informationPlane(perceptron, bare)).rejects.toMatchObject({ code: 'AMDIM_DATA' })
    using pictures = await colours(4)
    await expect(informationPlane(perceptron, pictures, { layers: ['hidden3'] })).rejects.toMatchObject({
      code: 'AMDIM_INVALID_ARGUMENT',
    })
    // biome-ignore lint/suspicious/noExplicitAny: wrong on purpose
    await expect(informationPlane(perceptron, pictures, { noise: 1 } as any)).rejects.toThrow(/noise/)
  })
})
