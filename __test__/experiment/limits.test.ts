import { describe, expect, it } from 'vitest'
import { informationOfSigns } from '../../src/experiment/negatives-row.js'
import { normals } from '../../src/experiment/normals.js'
import { dryRunExperiment } from '../../src/index.js'
import { knnMutualInformation } from '../../src/information/index.js'

describe('informationOfSigns', () => {
  it('is what nearest neighbours find', async () => {
    const count = 4000
    const next = normals(5)
    const draw = () => Float32Array.from({ length: count }, (_, i) => (i % 2 === 0 ? 1 : -1) + next())
    const shape = [count, 1]
    const found = await knnMutualInformation({ data: draw(), shape }, { data: draw(), shape }, { k: 10 })
    expect(Math.abs(informationOfSigns() - found)).toBeLessThan(0.04)
  })
})

describe('normals', () => {
  it('are of mean 0 and variance 1, and the same of a seed', () => {
    const [a, b] = [normals(1), normals(1)]
    const values = Array.from({ length: 20_000 }, a)
    expect(Array.from({ length: 20_000 }, b)).toEqual(values)
    const mean = values.reduce((sum, value) => sum + value) / values.length
    const square = values.reduce((sum, value) => sum + value * value) / values.length
    expect(Math.abs(mean)).toBeLessThan(0.03)
    expect(Math.abs(square - 1)).toBeLessThan(0.05)
  })
})

describe('the experiments of the family', () => {
  // Those of encoders as large as the paper's take a gigabyte and ten seconds each.
  it.each([
    ['vib', 'deterministic'],
    ['negatives', 'info-nce-1'],
    ['mine', '20d-0.5'],
    ['limits', 'conv-nwj-bilinear'],
  ] as const)('make a step at the scale of the paper: %s', async (name, row) => {
    const at = async (scale: 'tiny' | 'paper') =>
      (await dryRunExperiment(name, { scale, rows: [row], threads: 2, device: 'cpu' }))[0]
    const [small, large] = [await at('tiny'), await at('paper')]
    expect(Number.isFinite(large?.loss)).toBe(true)
    expect(large?.parameters).toBeGreaterThan(small?.parameters ?? Number.NaN)
  })

  it.each(['vib', 'information-plane', 'limits', 'mine-gan', 'negatives', 'moco', 'deep-infomax'] as const)(
    'make a step of every row of %s',
    async (name) => {
      const results = await dryRunExperiment(name, { threads: 2, device: 'cpu' })
      expect(results.length).toBeGreaterThan(2)
      for (const { loss, parameters } of results) {
        expect(Number.isFinite(loss)).toBe(true)
        expect(parameters).toBeGreaterThan(100)
      }
    },
  )
})
