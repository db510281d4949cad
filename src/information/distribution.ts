import { AmdimError, invalidArgument } from '../errors.js'

/** Probabilities of the values of a variable: not negative, and 1 together. */
export type Distribution = readonly number[]

/** Probabilities of pairs of values, a row for each value of the first variable. */
export type JointDistribution = readonly Distribution[]

/** Samples of a discrete variable; equal ones are one value. */
export type DiscreteSamples = readonly (string | number | boolean)[]

/** How far from 1 a sum of probabilities may be. */
const TOLERANCE = 1e-9

/**
 * The frequencies of the values in samples, in the order in which values first occur.
 *
 * @throws {@link AmdimError} `AMDIM_DATA` without samples, `AMDIM_NON_FINITE` for a number that is none
 * @example
 * ```ts
 * import { distributionOf, entropy } from 'amdim/information';
 *
 * console.log(entropy(distributionOf(['head', 'tail', 'tail', 'head']), 'bits')); // 1
 * ```
 */
export function distributionOf(samples: DiscreteSamples): number[] {
  const places = placesOf('samples', samples)
  const counts = new Array<number>(places.count).fill(0)
  for (const place of places.of) counts[place] = (counts[place] ?? 0) + 1
  return counts.map((count) => count / samples.length)
}

/**
 * The frequencies of pairs of values; rows are values of x, columns values of y, in the order in which they first occur.
 *
 * @throws {@link AmdimError} as {@link distributionOf}; `AMDIM_SHAPE` for different numbers of samples
 */
export function jointDistributionOf(x: DiscreteSamples, y: DiscreteSamples): number[][] {
  const [rows, columns] = [placesOf('x', x), placesOf('y', y)]
  if (x.length !== y.length)
    throw new AmdimError('AMDIM_SHAPE', `y: expected as many samples as x (${x.length}), got ${y.length}`, {
      name: 'y',
      expected: x.length,
      actual: y.length,
    })
  const table = Array.from({ length: rows.count }, () => new Array<number>(columns.count).fill(0))
  for (const [i, row] of rows.of.entries()) {
    const counts = table[row] as number[]
    const column = columns.of[i] as number
    counts[column] = (counts[column] ?? 0) + 1 / x.length
  }
  return table
}

/** The place of each sample's value among the values, and their number. */
function placesOf(name: string, samples: DiscreteSamples): { of: number[]; count: number } {
  if (!Array.isArray(samples) || samples.length === 0)
    throw new AmdimError('AMDIM_DATA', `${name}: expected at least one sample in an array`, { name })
  const known = new Map<string | number | boolean, number>()
  const of = samples.map((sample, i) => {
    if (typeof sample === 'number' && !Number.isFinite(sample))
      throw new AmdimError('AMDIM_NON_FINITE', `${name}: sample ${i} is ${sample}`, { name, index: i })
    if (!['string', 'number', 'boolean'].includes(typeof sample))
      throw invalidArgument(`${name}[${i}]`, 'a string, number or boolean', sample)
    const place = known.get(sample) ?? known.size
    known.set(sample, place)
    return place
  })
  return { of, count: known.size }
}

/** Checks a distribution. */
export function assertDistribution(name: string, p: unknown): asserts p is Distribution {
  if (!Array.isArray(p) || p.length === 0) throw invalidArgument(name, 'an array of probabilities', p)
  for (const [i, value] of p.entries())
    if (!(typeof value === 'number' && value >= 0 && Number.isFinite(value)))
      throw invalidArgument(`${name}[${i}]`, 'a probability of 0 or more', value)
  assertSum(name, p)
}

/** Checks a joint distribution. */
export function assertJoint(name: string, table: unknown): asserts table is JointDistribution {
  if (!Array.isArray(table) || table.length === 0 || !Array.isArray(table[0]))
    throw invalidArgument(name, 'a table of probabilities, an array of rows', table)
  const [first] = table
  for (const [i, row] of table.entries()) {
    if (!Array.isArray(row) || row.length !== first.length || row.length === 0)
      throw invalidArgument(`${name}[${i}]`, `a row of ${first.length} probabilities`, row)
    for (const [j, value] of row.entries())
      if (!(typeof value === 'number' && value >= 0 && Number.isFinite(value)))
        throw invalidArgument(`${name}[${i}][${j}]`, 'a probability of 0 or more', value)
  }
  assertSum(name, table.flat())
}

function assertSum(name: string, values: readonly number[]): void {
  const sum = values.reduce((all, value) => all + value, 0)
  if (Math.abs(sum - 1) > TOLERANCE) throw invalidArgument(name, 'probabilities that sum to 1', sum)
}
