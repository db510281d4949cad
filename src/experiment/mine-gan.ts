import { trainGan } from '../information/gan.js'
import type { Experiment, ExperimentScale, Row } from './experiment.js'
import { normals } from './normals.js'

/** Normal distributions along an axis of the grid. */
const SIDE = 5
/** Where they lie along an axis: the whole has about mean 0 and deviation 1. */
const PLACES = Array.from({ length: SIDE }, (_, i) => (i - (SIDE - 1) / 2) / Math.SQRT2)
/** Deviation of each. */
const SPREAD = 0.05 / Math.SQRT2
/** Deviations within which a sample belongs to one. */
const REACH = 3

const SIZES: Record<ExperimentScale, { samples: number; updates: number; units: number }> = {
  tiny: { samples: 25_000, updates: 10_000, units: 128 },
  paper: { samples: 100_000, updates: 100_000, units: 400 },
}

/** Samples of the grid, `[count, 2]`. */
function grid(count: number, seed: number): Float32Array {
  const next = normals(seed)
  return Float32Array.from({ length: 2 * count }, (_, i) => {
    const mode = (i >> 1) % SIDE ** 2
    const place = PLACES[i % 2 === 0 ? mode % SIDE : Math.floor(mode / SIDE)] as number
    return place + SPREAD * next()
  })
}

/** How many of the distributions have a sample near them, and the share of the samples that are near one. */
export function modesOf(samples: Float32Array): { modes: number; near: number } {
  const found = new Set<number>()
  let near = 0
  for (let i = 0; i < samples.length; i += 2) {
    const point = [samples[i] as number, samples[i + 1] as number]
    const nearest = point.map((value) =>
      PLACES.reduce((best, place, at) => {
        const before = PLACES[best] as number
        return Math.abs(place - value) < Math.abs(before - value) ? at : best
      }, 0),
    ) as [number, number]
    const distance = Math.hypot(...point.map((value, axis) => value - (PLACES[nearest[axis] ?? 0] as number)))
    if (distance > REACH * SPREAD) continue
    near++
    found.add(nearest[1] * SIDE + nearest[0])
  }
  return { modes: found.size, near: near / (samples.length / 2) }
}

function row(informationWeight: number, scale: ExperimentScale): Row {
  const { samples, updates, units } = SIZES[scale]
  const settings = {
    informationWeight,
    noise: 2,
    code: 2,
    units,
    updates,
    batchSize: 256,
    learningRate: 5e-4,
  }
  const run = (count: number, seed: number, more: object) =>
    trainGan({ data: grid(count, seed), shape: [count, 2] }, { ...settings, seed, ...more })
  const name = informationWeight === 0 ? 'gan' : `mine-${informationWeight}`
  return {
    name,
    title: informationWeight === 0 ? 'GAN' : `GAN with MINE, weight ${informationWeight}`,
    data: [],
    settings: { ...settings, samples, side: SIDE, spread: SPREAD },
    async run({ seed, signal, settings: { threads } }) {
      const began = performance.now()
      const { samples: made, last } = await run(samples, seed, {
        signal,
        ...(threads !== undefined && { threads }),
      })
      const { modes, near } = modesOf(made.data)
      return {
        measures: { modes, near, information: last.information },
        pairs: updates * settings.batchSize,
        trainMinutes: (performance.now() - began) / 60_000,
      }
    },
    async dryRun({ signal }) {
      const began = performance.now()
      const { last } = await run(100, 1, { updates: 1, batchSize: 16, made: 1, signal })
      const network = (from: number, to: number) => (from + 1) * units + (units + 1) * (units + to)
      return {
        row: name,
        parameters: network(4, 2),
        batchSize: 16,
        fullBatchSize: settings.batchSize,
        loss: last.generator,
        seconds: (performance.now() - began) / 1000,
      }
    },
  }
}

/** A network with and without MINE on 25 normal distributions. */
export const mineGan: Experiment = {
  name: 'mine-gan',
  title: 'MINE against the collapse of a GAN',
  description:
    'A generative adversarial network on 25 narrow normal distributions in a square: how many of them 2,500 of its samples find, ' +
    'and which share of its samples lies within three deviations of one. MINE raises the mutual information between a code and ' +
    'the sample that is made of it. Belghazi et al. 2018, arXiv 1801.04062, section 5.1.',
  measures: [
    { name: 'modes', title: 'modes of 25', isShare: false, digits: 1 },
    { name: 'near', title: 'near one', isShare: true },
    { name: 'information', title: 'I(code; sample)', isShare: false },
  ],
  async rows(scale) {
    return [0, 0.1, 1].map((weight) => row(weight, scale))
  },
}
