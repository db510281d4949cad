import { describe, expect, it } from 'vitest'
import { type EstimatePoint, estimateMutualInformation } from '../../src/index.js'

const COUNT = 1500

/** Pairs of numbers, the second the first plus noise of a quarter of its range. */
function pairs() {
  let state = 1
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return state / 0x8000_0000 - 0.5
  }
  const x = Float32Array.from({ length: COUNT }, next)
  const y = x.map((value) => value + next() / 4)
  const shape = [COUNT, 1]
  return { x: { data: x, shape }, y: { data: y, shape } }
}

const QUICK = { updates: 200, units: 16, batchSize: 64, learningRate: 5e-3 } as const

describe('estimateMutualInformation', () => {
  it('finds what two variables share, and tells how it went', async () => {
    const { x, y } = pairs()
    const points: EstimatePoint[] = []
    const found = await estimateMutualInformation(x, y, {
      ...QUICK,
      onEvaluation: (point) => points.push(point),
    })
    // h(y) - h(y | x) of the sum of a uniform number and one of a quarter of its range: log 4 + 1/8.
    expect(found.nats).toBeGreaterThan(1.1)
    expect(found.nats).toBeLessThan(Math.log(4) + 1 / 8 + 0.1)
    expect(found).toMatchObject({
      bound: 'info-nce',
      critic: 'separable',
      trainSize: 1125,
      validationSize: 375,
    })
    expect(found.limit).toBeCloseTo(Math.log(64), 6)
    expect(points).toEqual(found.curve)
    expect(points.map(({ update }) => update)).toEqual([50, 100, 150, 200])
  })

  it('takes few negatives where the critic costs a pass for every pair', async () => {
    const { x, y } = pairs()
    const options = { ...QUICK, updates: 20, critic: 'concatenated' } as const
    expect((await estimateMutualInformation(x, y, options)).limit).toBeCloseTo(Math.log(9), 6)
    const all = await estimateMutualInformation(x, y, { ...options, negatives: 63 })
    expect(all.limit).toBeCloseTo(Math.log(64), 6)
  })

  it.each(['jsd', 'gan', 'rkl', 'h2', 'x2', 'w1'])(
    'refuses %s, which bounds something else',
    async (bound) => {
      const { x, y } = pairs()
      const options = { bound } as unknown as { bound: 'dv' }
      await expect(estimateMutualInformation(x, y, options)).rejects.toMatchObject({
        code: 'AMDIM_INVALID_ARGUMENT',
        message: expect.stringMatching(
          /^bound: expected a bound on mutual information .*not mutual information/,
        ),
      })
    },
  )

  it.each([
    ['an unknown option', { rate: 1 }, 'AMDIM_INVALID_ARGUMENT', 'rate'],
    ['a batch of one', { batchSize: 1 }, 'AMDIM_INVALID_ARGUMENT', 'batchSize'],
    ['a batch larger than the samples', { batchSize: 5000 }, 'AMDIM_INVALID_ARGUMENT', 'batchSize'],
    ['an unknown critic', { critic: 'cubic' }, 'AMDIM_INVALID_ARGUMENT', 'critic'],
    [
      'null for options',
      null,
      'AMDIM_INVALID_ARGUMENT',
      'options of estimateMutualInformation: expected an obj',
    ],
    [
      'a signal that is none',
      { signal: 5 },
      'AMDIM_INVALID_ARGUMENT',
      'signal: expected an AbortSignal, got 5',
    ],
    [
      'a listener that is none',
      { onEvaluation: 5 },
      'AMDIM_INVALID_ARGUMENT',
      'onEvaluation: expected a function',
    ],
    ['too many threads', { threads: 1025 }, 'AMDIM_INVALID_ARGUMENT', 'threads: expected a whole number'],
  ])('refuses %s', async (_, options, code, name) => {
    const { x, y } = pairs()
    await expect(estimateMutualInformation(x, y, options as object)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(name),
    })
  })

  it('refuses samples that do not pair, do not vary or are no numbers', async () => {
    const { x, y } = pairs()
    const fewer = { data: y.data.slice(1), shape: [COUNT - 1, 1] }
    await expect(estimateMutualInformation(x, fewer)).rejects.toMatchObject({ code: 'AMDIM_SHAPE' })
    const constant = { data: new Float32Array(COUNT).fill(2), shape: y.shape }
    await expect(estimateMutualInformation(x, constant)).rejects.toMatchObject({
      code: 'AMDIM_INVALID_ARGUMENT',
    })
    const broken = { data: y.data.slice().fill(Number.NaN, 3, 4), shape: y.shape }
    await expect(estimateMutualInformation(x, broken)).rejects.toMatchObject({
      code: 'AMDIM_NON_FINITE',
      message: 'y: expected finite values, got an infinite one or NaN in row 3',
      details: { name: 'y', row: 3 },
    })
  })

  it.each([[[COUNT / 2, -1, -2]], [[COUNT / 1.5, 1.5]], [[-COUNT, -1]], [[Number.NaN]], [['1500', 1]]])(
    'refuses the shape %j',
    async (shape) => {
      const { x, y } = pairs()
      await expect(
        estimateMutualInformation({ data: x.data, shape: shape as number[] }, y),
      ).rejects.toMatchObject({
        code: 'AMDIM_SHAPE',
        message: expect.stringMatching(/^x: expected a shape of whole numbers, got \[/),
      })
    },
  )

  it('ends with what the listener throws', async () => {
    const { x, y } = pairs()
    const thrown = new RangeError('enough')
    let calls = 0
    const onEvaluation = () => {
      calls++
      throw thrown
    }
    const options = { ...QUICK, updates: 1_000_000, onEvaluation }
    await expect(estimateMutualInformation(x, y, options)).rejects.toBe(thrown)
    expect(calls).toBe(1)
    // At the last evaluation there is nothing left to stop.
    const last = { ...QUICK, updates: 50, onEvaluation }
    await expect(estimateMutualInformation(x, y, last)).rejects.toBe(thrown)
  })

  it('stops when it is told to', async () => {
    const { x, y } = pairs()
    const stop = new AbortController()
    const run = estimateMutualInformation(x, y, { updates: 1_000_000, signal: stop.signal })
    stop.abort()
    await expect(run).rejects.toMatchObject({ code: 'AMDIM_CANCELLED' })
  })
})
