import { estimateMutualInformation } from '../information/estimate.js'
import type { Row } from './experiment.js'
import { normals } from './normals.js'

/** Samples whose sign alternates, each variable with noise of its own. */
function signs(count: number, seed: number) {
  const next = normals(seed)
  const [x, y] = [0, 1].map(() =>
    Float32Array.from({ length: count }, (_, i) => (i % 2 === 0 ? 1 : -1) + next()),
  )
  return [x as Float32Array, y as Float32Array] as const
}

/** The mutual information of two variables that share a sign and have normal noise of variance 1: a sum over a grid. */
export function informationOfSigns(): number {
  const step = 0.05
  const grid = Array.from({ length: 241 }, (_, i) => (i - 120) * step)
  const density = (x: number, sign: number) => Math.exp(-((x - sign) ** 2) / 2) / Math.sqrt(2 * Math.PI)
  const marginal = (x: number) => (density(x, 1) + density(x, -1)) / 2
  return grid.reduce(
    (sum, x) =>
      grid.reduce((inner, y) => {
        const joint = (density(x, 1) * density(y, 1) + density(x, -1) * density(y, -1)) / 2
        return inner + joint * Math.log(joint / (marginal(x) * marginal(y))) * step * step
      }, sum),
    0,
  )
}

/** Estimates with one negative a sample that is independent of it, or its neighbour, whose sign is the other. */
export function negativesRow(bound: 'info-nce' | 'nwj', batches: 'random' | 'consecutive'): Row {
  const settings = { bound, critic: 'separable', units: 64, batchSize: 256, negatives: 1, batches } as const
  const updates = 2000
  const estimate = async (count: number, seed: number, more: object) => {
    const [x, y] = signs(count, seed)
    const shape = [count, 1]
    return estimateMutualInformation({ data: x, shape }, { data: y, shape }, { ...settings, seed, ...more })
  }
  const isRandom = batches === 'random'
  const name = `${isRandom ? 'independent' : 'dependent'}-negatives-${bound}`
  return {
    name,
    title: `${isRandom ? 'independent' : 'dependent'} negatives, ${bound === 'nwj' ? 'NWJ' : 'InfoNCE'}`,
    data: [],
    settings: { ...settings, updates, samples: 40_000 },
    async run({ seed, signal, settings: { threads } }) {
      const began = performance.now()
      const { nats } = await estimate(40_000, seed, {
        updates,
        signal,
        ...(threads !== undefined && { threads }),
      })
      return {
        measures: { loss: -nats, truth: informationOfSigns() },
        pairs: updates * settings.batchSize,
        trainMinutes: (performance.now() - began) / 60_000,
      }
    },
    async dryRun({ signal }) {
      const began = performance.now()
      const { nats } = await estimate(64, 1, { updates: 1, batchSize: 16, signal })
      const { units } = settings
      return {
        row: name,
        parameters: 2 * (2 * units + 2 * (units + 1) * units),
        batchSize: 16,
        fullBatchSize: settings.batchSize,
        loss: -nats,
        seconds: (performance.now() - began) / 1000,
      }
    },
  }
}
