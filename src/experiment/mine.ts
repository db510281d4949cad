import { estimateRow } from './estimate-row.js'
import type { Experiment, ExperimentScale, Row } from './experiment.js'
import { normals } from './normals.js'

/** Correlations of a component of x with that of y. */
const CORRELATIONS = [-0.99, -0.9, -0.7, -0.5, -0.3, -0.1, 0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]
/** Components of each variable. */
const DIMENSIONS = [2, 20]

/** Samples: a quarter of them, held out, tell the least information of all, a hundredth of a nat, to a twentieth. */
const SAMPLES = 400_000

/** Updates and units of a scale. */
const SIZES: Record<ExperimentScale, { updates: number; units: number }> = {
  tiny: { updates: 3000, units: 64 },
  paper: { updates: 20_000, units: 512 },
}

/** A correlation at a dimension. */
function row(dimensions: number, rho: number, scale: ExperimentScale): Row {
  const { updates, units } = SIZES[scale]
  const plan = {
    bound: 'mine',
    critic: 'concatenated',
    units,
    updates,
    batchSize: 256,
    negatives: 8,
    learningRate: 1e-3,
    // So many held-out samples take as long as a hundred updates.
    evaluateEvery: 100,
  } as const
  const truth = rho === 0 ? 0 : (-dimensions / 2) * Math.log(1 - rho * rho)
  return estimateRow({
    name: `${dimensions}d-${rho < 0 ? 'minus-' : ''}${Math.abs(rho)}`,
    title: `${dimensions} dimensions, rho ${rho}`,
    position: { x: rho, panel: `${dimensions} dimensions` },
    settings: { dimensions, rho, samples: SAMPLES, ...plan },
    plan,
    samples: SAMPLES,
    parameters: 2 * dimensions * units + units + units * units + 2 * units + 1,
    draw(count, seed) {
      const [x, y] = correlated(count, dimensions, rho, seed)
      const shape = [count, dimensions]
      return [
        { data: x, shape },
        { data: y, shape },
      ]
    },
    measures: (nats) => ({ truth, estimate: nats, error: nats - truth }),
  })
}

/** Samples of two normal variables whose components are correlated in pairs. */
function correlated(count: number, dimensions: number, rho: number, seed: number) {
  const next = normals(seed)
  const x = Float32Array.from({ length: count * dimensions }, next)
  const rest = Math.sqrt(1 - rho * rho)
  return [x, x.map((value) => rho * value + rest * next())] as const
}

/** MINE on normal variables, whose mutual information is known. */
export const mine: Experiment = {
  name: 'mine',
  title: 'MINE on correlated normal variables',
  description:
    'Mutual information of two normal variables whose components are correlated in pairs by rho, true and as MINE estimates it on ' +
    'held-out samples, in nats. Belghazi et al. 2018, arXiv 1801.04062, figure 1.',
  measures: [
    { name: 'estimate', title: 'MINE', isShare: false },
    { name: 'truth', title: 'truth', isShare: false },
    { name: 'error', title: 'error', isShare: false },
  ],
  plane: { x: 'rho', y: 'mutual information, nats', isOwnUp: true, measures: ['truth', 'estimate'] },
  async rows(scale) {
    return DIMENSIONS.flatMap((dimensions) => CORRELATIONS.map((rho) => row(dimensions, rho, scale)))
  },
}
