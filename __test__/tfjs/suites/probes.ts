import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LayersModel, Tensor } from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  type Embedding,
  type EvaluationReport,
  evaluate,
  openDataset,
  trainAmdim,
} from '../../../src/index.js'
import {
  type MlpProbeOptions,
  type TensorFlow,
  trainLinearProbe,
  trainMlpProbe,
} from '../../../src/tfjs/index.js'
import { SAMPLE } from '../../support/sample.js'

/** Two clouds of points with other means and deviations in each dimension, some of them far from zero. */
function clouds(count: number) {
  const data = Float32Array.from({ length: count * 3 }, (_, i) => {
    const [row, column] = [Math.floor(i / 3), i % 3]
    const noise = Math.sin(row * 12.9898 + column * 78.233)
    return [100 + noise + (row % 2) * 3, 0.01 * noise, 7][column] ?? 0
  })
  return { features: { data, shape: [count, 3] }, labels: Array.from({ length: count }, (_, i) => i % 2) }
}

/** Share of rows that a probe classifies rightly. */
function accuracy(
  tf: TensorFlow,
  probe: LayersModel,
  { data, shape, labels }: Pick<Embedding, 'data' | 'shape'> & { labels: ArrayLike<number> },
): number {
  const named = tf.tidy(() => {
    const x = tf.tensor2d(data, [shape[0] ?? 0, shape[1] ?? 0])
    return (probe.predict(x) as Tensor).argMax(1).dataSync()
  })
  return Array.from(named).filter((label, i) => label === labels[i]).length / named.length
}

/** Probes beside our own heads, on features of real pictures. */
export function describeProbesBesideHeads(load: () => Promise<TensorFlow>): void {
  describe('probes of real features', () => {
    let train: Embedding
    let test: Embedding
    let heads: EvaluationReport['heads']

    beforeAll(async () => {
      const folder = mkdtempSync(join(tmpdir(), 'amdim-'))
      const data = await openDataset(SAMPLE)
      if (data.test === null) throw new Error(`${SAMPLE} has no test pictures`)
      // A few updates, so that the statistics of the last batch norm are those of the pictures.
      const { model } = await trainAmdim({
        data: data.train,
        config: { encoder: { baseWidth: 16, embeddingDim: 64, blockDepth: 1 }, batchSize: 32 },
        updates: 60,
        precision: 'f32',
        device: 'cpu',
        output: join(folder, 'run'),
      })
      train = await model.embed(data.train)
      test = await model.embed(data.test)
      const plan = {
        train: data.train,
        test: data.test,
        heads: ['linear', 'mlp'],
        classifierTask: { epochs: 20, hiddenUnits: 64, learningRate: 1e-2 },
      } as const
      heads = (await evaluate(model, plan)).heads
      model.dispose()
      data.train.dispose()
      data.test.dispose()
      rmSync(folder, { recursive: true })
    })

    it('linear: as accurate as our own head, which finds the same minimum another way', async () => {
      const tf = await load()
      const probe = await trainLinearProbe(tf, train, train.labels, { batchSize: 500 })
      expect(heads.linear?.top1).toBeGreaterThan(0.3)
      expect(Math.abs(accuracy(tf, probe, test) - (heads.linear?.top1 ?? NaN))).toBeLessThan(0.02)
      probe.dispose()
    })

    // Seeds move our own accuracy by about one point here.
    it('MLP: as accurate as our own head, within what seeds make', async () => {
      const tf = await load()
      const options = { epochs: 20, batchSize: 200, hiddenUnits: 64, learningRate: 1e-2 }
      const probe = await trainMlpProbe(tf, train, train.labels, options)
      expect(heads.mlp?.top1).toBeGreaterThan(0.3)
      expect(Math.abs(accuracy(tf, probe, test) - (heads.mlp?.top1 ?? NaN))).toBeLessThan(0.03)
      probe.dispose()
    })
  })
}

/** Probes, with either module. */
export function describeProbes(load: () => Promise<TensorFlow>): void {
  describe.each([
    ['trainLinearProbe', trainLinearProbe],
    ['trainMlpProbe', (...args) => trainMlpProbe(args[0], args[1], args[2], { hiddenUnits: 8, ...args[3] })],
  ] as [string, typeof trainMlpProbe][])('%s', (name, trainProbe) => {
    const { features, labels } = clouds(40)
    const short: MlpProbeOptions = { epochs: 20, batchSize: 16, learningRate: 0.05 }

    it('tells two clouds apart, whatever their scale, and gives probabilities of raw features', async () => {
      const tf = await load()
      const losses: number[] = []
      const probe = await trainProbe(tf, features, labels, {
        ...short,
        onEpoch: ({ loss }) => losses.push(loss),
      })
      expect(accuracy(tf, probe, { ...features, labels })).toBe(1)
      expect(losses).toHaveLength(20)
      expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) / 2)
      const sums = tf.tidy(() =>
        (probe.predict(tf.tensor2d(features.data, [40, 3])) as Tensor).sum(1).dataSync(),
      )
      for (const sum of sums) expect(sum).toBeCloseTo(1, 5)
      probe.dispose()
    })

    it('is the same for the same seed, and another for another', async () => {
      const tf = await load()
      const weights = async (seed: number) => {
        const probe = await trainProbe(tf, features, labels, { ...short, epochs: 3, seed })
        const values = probe.getWeights().map((tensor) => [...tensor.dataSync()])
        probe.dispose()
        return values
      }
      const first = await weights(1)
      expect(await weights(1)).toEqual(first)
      expect(await weights(2)).not.toEqual(first)
    })

    it('keeps no tensor beyond its weights, and frees those; nor any when it is cancelled or fails', async () => {
      const tf = await load()
      const held = () => tf.memory().numTensors + tf.memory().numDataBuffers
      const before = held()
      const probe = await trainProbe(tf, features, labels, { ...short, epochs: 2 })
      expect(held() - before).toBe(2 * probe.weights.length)
      probe.dispose()
      expect(held()).toBe(before)

      const controller = new AbortController()
      const cancelled = trainProbe(tf, features, labels, {
        ...short,
        signal: controller.signal,
        onEpoch: () => controller.abort(),
      })
      await expect(cancelled).rejects.toMatchObject({ code: 'AMDIM_CANCELLED' })
      expect(held()).toBe(before)

      const huge = { data: Float32Array.from(features.data, (value) => value * 1e30), shape: features.shape }
      await expect(trainProbe(tf, huge, labels, short)).rejects.toMatchObject({ code: 'AMDIM_NON_FINITE' })
      expect(held()).toBe(before)
    })

    it('refuses features and labels that do not fit', async () => {
      const tf = await load()
      const nan = { data: Float32Array.from(features.data).fill(Number.NaN, 5, 6), shape: features.shape }
      for (const [x, y, options, expected] of [
        [
          features,
          labels.slice(1),
          {},
          { code: 'AMDIM_SHAPE', message: 'labels: expected one a picture, 40, got 39' },
        ],
        [features, labels.map((label) => label - 1), {}, { code: 'AMDIM_DATA' }],
        [
          nan,
          labels,
          {},
          { code: 'AMDIM_NON_FINITE', message: 'features: expected finite values, got NaN in row 1' },
        ],
        [features, labels.map(() => 0), {}, { message: 'classes: expected a whole number >= 2, got 1' }],
        [
          features,
          labels.map(() => 3),
          { classes: 3 },
          { message: 'labels: expected labels below 3 (classes), got 3' },
        ],
        [features, labels, { epochs: 0.5 }, { message: 'epochs: expected a whole number >= 1, got 0.5' }],
        [features, labels, { l2: Number.NaN }, { message: 'l2: expected a number >= 0, got NaN' }],
        [features, labels, { rate: 1 }, { message: expect.stringContaining('unknown option "rate"') }],
        [[1, 2], labels, {}, { code: 'AMDIM_INVALID_ARGUMENT' }],
      ] as const)
        await expect(
          trainProbe(tf, x as typeof features, [...y], options as object),
          `${name} ${JSON.stringify(options)}`,
        ).rejects.toMatchObject(expected)
    })
  })
}
