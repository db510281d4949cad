import { describe, expect, it } from 'vitest'
import {
  conditionalEntropy,
  conditionalMutualInformation,
  crossEntropy,
  type DiscreteSamples,
  distributionOf,
  entropy,
  jointDistributionOf,
  jointEntropy,
  mutualInformation,
  relativeEntropy,
} from '../../src/information/index.js'

/** A binary channel that errs with probability `e`, with even inputs. */
const channel = (e: number) => [
  [(1 - e) / 2, e / 2],
  [e / 2, (1 - e) / 2],
]

/** Entropy of a coin in bits. */
const coin = (p: number) => -p * Math.log2(p) - (1 - p) * Math.log2(1 - p)

/** A reproducible table of probabilities. */
function table(rows: number, columns: number, seed: number): number[][] {
  const value = (i: number) => 0.1 + Math.abs(Math.sin(seed * 12.9898 + i * 78.233))
  const raw = Array.from({ length: rows }, (_, r) =>
    Array.from({ length: columns }, (_, c) => value(r * columns + c)),
  )
  const sum = raw.flat().reduce((all, v) => all + v, 0)
  return raw.map((row) => row.map((v) => v / sum))
}

const sums = (joint: number[][]) => ({
  x: joint.map((row) => row.reduce((sum, v) => sum + v, 0)),
  y: (joint[0] ?? []).map((_, c) => joint.reduce((sum, row) => sum + (row[c] ?? 0), 0)),
})
const transposed = (joint: number[][]) => (joint[0] ?? []).map((_, c) => joint.map((row) => row[c] ?? 0))

describe('known answers', () => {
  it('of coins and dice', () => {
    expect(entropy([0.5, 0.5], 'bits')).toBeCloseTo(1, 12)
    expect(entropy([0.9, 0.1], 'bits')).toBeCloseTo(0.4689955935892812, 12)
    expect(entropy([1, 0])).toBe(0)
    expect(entropy(new Array(6).fill(1 / 6), 'bits')).toBeCloseTo(Math.log2(6), 12)
    expect(entropy(new Array(10).fill(0.1), 'bans')).toBeCloseTo(1, 12)
    expect(entropy([0.5, 0.5])).toBeCloseTo(Math.LN2, 12)
  })

  it('of channels: an ideal one, one that errs, one that is fully disturbed', () => {
    expect(mutualInformation(channel(0), 'bits')).toBeCloseTo(1, 12)
    expect(mutualInformation(channel(0.5), 'bits')).toBeCloseTo(0, 12)
    for (const e of [0.01, 0.1, 0.3])
      expect(mutualInformation(channel(e), 'bits')).toBeCloseTo(1 - coin(e), 12)
    expect(conditionalEntropy(channel(0.1), 'bits')).toBeCloseTo(coin(0.1), 12)
  })

  it('of divergences', () => {
    expect(relativeEntropy([0.5, 0.5], [0.25, 0.75], 'bits')).toBeCloseTo(0.20751874963942185, 12)
    expect(relativeEntropy([0.5, 0.5], [1, 0])).toBe(Number.POSITIVE_INFINITY)
    expect(relativeEntropy([1, 0], [0.5, 0.5], 'bits')).toBeCloseTo(1, 12)
    expect(crossEntropy([0.5, 0.5], [0.25, 0.75], 'bits')).toBeCloseTo(1.207518749639422, 12)
  })

  it('of the exclusive or, which two inputs tell and one does not', () => {
    const x = [0, 0, 1, 1]
    const y = [0, 1, 0, 1]
    const z = x.map((value, i) => value ^ (y[i] ?? 0))
    expect(mutualInformation(jointDistributionOf(x, z))).toBeCloseTo(0, 12)
    expect(conditionalMutualInformation(x, z, y, 'bits')).toBeCloseTo(1, 12)
    expect(conditionalMutualInformation(x, y, new Array(4).fill('same'), 'bits')).toBeCloseTo(0, 12)
  })
})

describe.each([1, 2, 3, 4])('properties, table %i', (seed) => {
  const joint = table(3, 4, seed)
  const { x, y } = sums(joint)

  it('chain rules', () => {
    expect(jointEntropy(joint)).toBeCloseTo(entropy(x) + conditionalEntropy(joint), 12)
    expect(jointEntropy(joint)).toBeCloseTo(entropy(y) + conditionalEntropy(transposed(joint)), 12)
    expect(mutualInformation(joint)).toBeCloseTo(entropy(y) - conditionalEntropy(joint), 12)
    expect(crossEntropy(x, [0.2, 0.3, 0.5])).toBeCloseTo(entropy(x) + relativeEntropy(x, [0.2, 0.3, 0.5]), 12)
  })

  it('the chain rule of mutual information: I(X; Y, Z) = I(X; Z) + I(X; Y | Z)', () => {
    // Samples of three dependent variables, as often as a random table says.
    const counts = joint
      .flat()
      .flatMap((p, i) => [Math.ceil(60 * p), Math.ceil(90 * p * Math.abs(Math.sin(i)))])
    const of = counts.flatMap((count, i) => new Array<number>(count).fill(i))
    const [x, y, z] = [of.map((i) => i >> 3), of.map((i) => (i >> 1) & 3), of.map((i) => i & 1)]
    const shared = (a: DiscreteSamples, b: DiscreteSamples) => mutualInformation(jointDistributionOf(a, b))
    const pairs = y.map((value, i) => `${value} ${z[i]}`)
    const given = conditionalMutualInformation(x, y, z)
    expect(given).toBeGreaterThan(1e-3)
    expect(shared(x, z)).toBeGreaterThan(1e-4)
    expect(shared(x, pairs)).toBeCloseTo(shared(x, z) + given, 12)
    expect(shared(x, pairs)).toBeCloseTo(shared(x, y) + conditionalMutualInformation(x, z, y), 12)
  })

  it('mutual information is symmetric, not negative, and a relative entropy', () => {
    expect(mutualInformation(joint)).toBeCloseTo(mutualInformation(transposed(joint)), 12)
    expect(mutualInformation(joint)).toBeGreaterThan(0)
    const product = x.flatMap((p) => y.map((q) => p * q))
    expect(mutualInformation(joint)).toBeCloseTo(relativeEntropy(joint.flat(), product), 12)
    expect(mutualInformation(joint)).toBeLessThanOrEqual(Math.min(entropy(x), entropy(y)))
  })

  it('entropies of independent variables add up, and they share nothing', () => {
    const product = x.map((p) => y.map((q) => p * q))
    expect(jointEntropy(product)).toBeCloseTo(entropy(x) + entropy(y), 12)
    expect(mutualInformation(product)).toBeCloseTo(0, 12)
  })

  it('what is made of a variable tells no more than the variable', () => {
    // The first two values of y become one.
    const coarser = joint.map(([a = 0, b = 0, ...rest]) => [a + b, ...rest])
    expect(mutualInformation(coarser)).toBeLessThanOrEqual(mutualInformation(joint) + 1e-12)
  })
})

describe('samples', () => {
  it('become their frequencies', () => {
    expect(distributionOf(['b', 'a', 'b', 'b'])).toEqual([0.75, 0.25])
    expect(jointDistributionOf(['u', 'v', 'u', 'u'], [1, 2, 1, 2])).toEqual([
      [0.5, 0.25],
      [0, 0.25],
    ])
  })

  it.each([
    ['no samples', () => distributionOf([]), 'AMDIM_DATA'],
    ['NaN', () => distributionOf([1, Number.NaN]), 'AMDIM_NON_FINITE'],
    ['objects', () => distributionOf([{}] as never), 'AMDIM_INVALID_ARGUMENT'],
    ['different numbers of samples', () => jointDistributionOf([1, 2], [1]), 'AMDIM_SHAPE'],
    ['probabilities that do not sum to 1', () => entropy([0.5, 0.4]), 'AMDIM_INVALID_ARGUMENT'],
    ['negative ones', () => entropy([1.5, -0.5]), 'AMDIM_INVALID_ARGUMENT'],
    ['an empty distribution', () => entropy([]), 'AMDIM_INVALID_ARGUMENT'],
    ['rows of different lengths', () => mutualInformation([[0.5], [0.25, 0.25]]), 'AMDIM_INVALID_ARGUMENT'],
    ['distributions over different values', () => relativeEntropy([1], [0.5, 0.5]), 'AMDIM_INVALID_ARGUMENT'],
    ['an unknown unit', () => entropy([1], 'bytes' as never), 'AMDIM_INVALID_ARGUMENT'],
  ])('%s are refused', (_, attempt, code) => {
    expect(attempt).toThrow(expect.objectContaining({ code }))
  })
})
