import { describe, expect, it } from 'vitest'
import {
  binnedEntropy,
  binnedMutualInformation,
  edgeMutualInformation,
  kdeEntropy,
  kdeInformation,
  knnMutualInformation,
  linearGaussianInformation,
} from '../../src/information/index.js'
import { finiteInUnit } from '../../src/information/unit.js'

/** Samples of two normal variables of one dimension with this correlation. */
function gaussian(count: number, rho: number) {
  let state = 7
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state + 0.5) / 2 ** 32
  }
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
  const x = Float32Array.from({ length: count }, normal)
  const y = x.map((value) => rho * value + Math.sqrt(1 - rho * rho) * normal())
  const shape = [count, 1]
  return { x: { data: x, shape }, y: { data: y, shape } }
}

describe('estimators of continuous samples', () => {
  const { x, y } = gaussian(1500, 0.8)
  const truth = -0.5 * Math.log(1 - 0.64)

  it('find about the information of normal variables', async () => {
    expect(Math.abs((await knnMutualInformation(x, y)) - truth)).toBeLessThan(0.08)
    expect(Math.abs((await binnedMutualInformation(x, y, { bins: 12 })) - truth)).toBeLessThan(0.12)
    expect(Math.abs((await edgeMutualInformation(x, y)) - truth)).toBeLessThan(0.1)
  })

  it('answer in the unit that is asked for, whatever the number of threads', async () => {
    const nats = await knnMutualInformation(x, y, { threads: 1 })
    expect(await knnMutualInformation(x, y, { unit: 'bits', threads: 2 })).toBeCloseTo(nats / Math.LN2, 12)
    expect(await binnedEntropy(x, { bins: 2, unit: 'bits' })).toBeLessThanOrEqual(1)
  })

  it('enclose the entropy of a normal variable with noise', async () => {
    const { lower, upper } = await kdeEntropy(x, { noiseVariance: 0.5 })
    const expected = 0.5 * Math.log(2 * Math.PI * Math.E * 1.5)
    expect(lower).toBeLessThan(expected)
    expect(upper).toBeGreaterThan(expected - 0.05)
  })

  it('tell what a layer shares with input and labels', async () => {
    const far = { data: Float32Array.from({ length: 8 }, (_, i) => 1000 * i), shape: [8, 1] }
    const { input, labels } = await kdeInformation(far, [0, 0, 0, 0, 1, 1, 1, 1], { unit: 'bits' })
    expect([input.lower, input.upper]).toEqual([expect.closeTo(3, 9), expect.closeTo(3, 9)])
    expect([labels?.lower, labels?.upper]).toEqual([expect.closeTo(1, 9), expect.closeTo(1, 9)])
    expect((await kdeInformation(far)).labels).toBeNull()
  })

  it('give a point mass, of a constant or of one sample, an entropy of 0', async () => {
    const constant = { data: new Float32Array(1500).fill(3), shape: [1500, 1] }
    const one = { data: Float32Array.of(3), shape: [1, 1] }
    expect(await binnedEntropy(constant)).toBe(0)
    expect(await binnedEntropy(one)).toBe(0)
    expect(await binnedMutualInformation(x, constant)).toBe(0)
    expect(await binnedMutualInformation(constant, constant)).toBe(0)
    expect(await binnedMutualInformation(one, one)).toBe(0)
  })

  it('find too much by neighbours where samples repeat, as the documents say', async () => {
    const coin = (mask: number) => ({
      data: Float32Array.from({ length: 400 }, (_, i) => (i & mask ? 1 : 0)),
      shape: [400, 1],
    })
    expect(await knnMutualInformation(coin(1), coin(2))).toBeGreaterThan(8)
    expect(await binnedMutualInformation(coin(1), coin(2), { bins: 2 })).toBeCloseTo(0, 12)
  })

  it.each([
    ['noiseVariance', Number.NaN, 'a finite number above 0, got NaN'],
    ['noiseVariance', Number.POSITIVE_INFINITY, 'a finite number above 0, got Infinity'],
    ['noiseVariance', 'a', 'a finite number above 0, got "a"'],
    ['noiseVariance', null, 'a finite number above 0, got null'],
    ['bins', null, 'a whole number, got null'],
    ['k', null, 'a whole number, got null'],
    ['seed', null, 'a whole number, got null'],
    ['ensemble', Number.NaN, 'a whole number, got NaN'],
    ['projections', -1, 'a whole number, got -1'],
    ['threads', 1025, 'a whole number >= 1 and <= 1024, got 1025'],
    ['threads', 0, 'a whole number >= 1 and <= 1024, got 0'],
    ['threads', null, 'a whole number >= 1 and <= 1024, got null'],
    ['signal', 5, 'an AbortSignal, got 5'],
  ])('name the option that they refuse: %s of %s', async (name, value, expected) => {
    const options = { [name]: value }
    const functions: Record<string, () => Promise<unknown>> = {
      noiseVariance: () => kdeInformation(x, null, options),
      k: () => knnMutualInformation(x, y, options),
      bins: () => binnedMutualInformation(x, y, options),
    }
    const attempt = functions[name] ?? (() => edgeMutualInformation(x, y, options))
    await expect(attempt()).rejects.toMatchObject({
      code: 'AMDIM_INVALID_ARGUMENT',
      message: `${name}: expected ${expected}`,
    })
  })

  it('refuse null for options, and a shape with negative sides', async () => {
    await expect(kdeEntropy(x, null as never)).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
    const shape = [750, -1, -2]
    await expect(binnedEntropy({ data: x.data, shape })).rejects.toMatchObject({ code: 'AMDIM_SHAPE' })
  })

  it.each([
    ['too few bins', () => binnedEntropy(x, { bins: 1 }), 'AMDIM_INVALID_ARGUMENT'],
    ['no variance', () => kdeEntropy(x, { noiseVariance: 0 }), 'AMDIM_INVALID_ARGUMENT'],
    ['a k of all samples', () => knnMutualInformation(x, y, { k: 1500 }), 'AMDIM_INVALID_ARGUMENT'],
    ['too small an ensemble', () => edgeMutualInformation(x, y, { ensemble: 2 }), 'AMDIM_INVALID_ARGUMENT'],
    ['no whole seed', () => edgeMutualInformation(x, y, { seed: 0.5 }), 'AMDIM_INVALID_ARGUMENT'],
    ['an unknown option', () => knnMutualInformation(x, y, { K: 3 } as never), 'AMDIM_INVALID_ARGUMENT'],
    ['a label that is none', () => kdeInformation(x, new Array(1500).fill(-1)), 'AMDIM_INVALID_ARGUMENT'],
    ['another number of labels', () => kdeInformation(x, [1]), 'AMDIM_SHAPE'],
    ['another number of samples', () => knnMutualInformation(x, gaussian(3, 0).y), 'AMDIM_SHAPE'],
    [
      'a constant',
      () => knnMutualInformation(x, { data: new Float32Array(1500), shape: [1500, 1] }),
      'AMDIM_INVALID_ARGUMENT',
    ],
    ['NaN', () => kdeEntropy({ data: Float32Array.of(1, Number.NaN), shape: [2, 1] }), 'AMDIM_NON_FINITE'],
  ])('refuse %s', async (_, attempt, code) => {
    await expect(attempt()).rejects.toMatchObject({ code })
  })

  it('stop when they are told to', async () => {
    const stop = new AbortController()
    stop.abort()
    await expect(knnMutualInformation(x, y, { signal: stop.signal })).rejects.toMatchObject({
      code: 'AMDIM_CANCELLED',
    })
  })
})

describe('finiteInUnit', () => {
  it('refuses what JSON has for infinity, and counts with numbers', () => {
    expect(finiteInUnit('kdeEntropy', Math.LN2, 'bits')).toBe(1)
    for (const value of [null, undefined, Number.NaN])
      expect(() => finiteInUnit('kdeEntropy', value)).toThrow(
        expect.objectContaining({
          code: 'AMDIM_NON_FINITE',
          message: expect.stringMatching(/^kdeEntropy: expected a finite result, got none; /),
        }),
      )
  })
})

describe('linearGaussianInformation', () => {
  it('is that of a noisy line', () => {
    // One output of variance 4 under noise of variance 1: log(5) / 2.
    const one = { weights: [[2]], covariance: [[1]], noiseVariance: 1 }
    expect(linearGaussianInformation(one)).toBeCloseTo(Math.log(5) / 2, 9)
    expect(linearGaussianInformation(one, 'bits')).toBeCloseTo(Math.log2(5) / 2, 9)
  })

  it('takes inputs of any scale that share all they have', () => {
    for (const variance of [1e-6, 1, 1e6]) {
      const covariance = [
        [variance, variance],
        [variance, variance],
      ]
      const found = linearGaussianInformation({ weights: [[1, 0]], covariance, noiseVariance: variance })
      expect(found).toBeCloseTo(Math.log(2) / 2, 9)
    }
  })

  it.each([
    ['weights', { weights: [[1e200]], covariance: [[1]], noiseVariance: 1 }],
    ['noise', { weights: [[1]], covariance: [[1]], noiseVariance: 1e-320 }],
  ])('refuses a ratio that no number holds: %s', (_, network) => {
    expect(() => linearGaussianInformation(network)).toThrow(
      expect.objectContaining({ code: 'AMDIM_NON_FINITE' }),
    )
  })

  it('prefers redundancy in much noise and diversity in little (Linsker 1988)', () => {
    const covariance = [
      [1, 0.5],
      [0.5, 1],
    ]
    const unit = (angle: number) => [Math.cos(angle), Math.sin(angle)]
    /** Angle between the two outputs that tell most together. */
    const best = (noiseVariance: number) => {
      const angles = Array.from({ length: 60 }, (_, i) => (Math.PI * i) / 60)
      let [most, apart] = [-1, 0]
      for (const a of angles)
        for (const b of angles) {
          const weights = [unit(a), unit(b)]
          const found = linearGaussianInformation({ weights, covariance, noiseVariance })
          if (found > most + 1e-12)
            [most, apart] = [found, Math.min(Math.abs(a - b), Math.PI - Math.abs(a - b))]
        }
      return apart
    }
    expect(best(20)).toBe(0)
    expect(best(0.01)).toBeGreaterThan(Math.PI / 3)
  })

  it.each([
    ['no noise', { weights: [[1]], covariance: [[1]], noiseVariance: 0 }],
    ['weights for other inputs', { weights: [[1, 2]], covariance: [[1]], noiseVariance: 1 }],
    [
      'a covariance that is not symmetric',
      {
        weights: [[1, 0]],
        covariance: [
          [1, 0.5],
          [0.2, 1],
        ],
        noiseVariance: 1,
      },
    ],
    [
      'a covariance of negative variance',
      {
        weights: [[1, 0]],
        covariance: [
          [1, 2],
          [2, 1],
        ],
        noiseVariance: 1,
      },
    ],
    ['nothing', undefined],
    ['null', null],
    ['a number', 5],
  ])('refuses %s', (_, network) => {
    expect(() => linearGaussianInformation(network as never)).toThrow(
      expect.objectContaining({ code: 'AMDIM_INVALID_ARGUMENT' }),
    )
  })
})
