import { estimateRow } from './estimate-row.js'
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
  const plan = {
    bound,
    critic: 'separable',
    units: 64,
    updates: 2000,
    batchSize: 256,
    negatives: 1,
    batches,
  } as const
  const samples = 40_000
  const dependence = batches === 'random' ? 'independent' : 'dependent'
  return estimateRow({
    name: `${dependence}-negatives-${bound}`,
    title: `${dependence} negatives, ${bound === 'nwj' ? 'NWJ' : 'InfoNCE'}`,
    settings: { ...plan, samples },
    plan,
    samples,
    parameters: 2 * (2 * plan.units + 2 * (plan.units + 1) * plan.units),
    draw(count, seed) {
      const [x, y] = signs(count, seed)
      const shape = [count, 1]
      return [
        { data: x, shape },
        { data: y, shape },
      ]
    },
    measures: (nats) => ({ loss: -nats, truth: informationOfSigns() }),
  })
}
