import { invalidArgument } from '../errors.js'
import {
  assertDistribution,
  assertJoint,
  type DiscreteSamples,
  type Distribution,
  type JointDistribution,
  jointDistributionOf,
} from './distribution.js'
import { inUnit, type Unit } from './unit.js'

/**
 * Entropy of a distribution, `H(p) = - sum p log p`: 0 to the logarithm of the number of values.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for what is no distribution
 * @example
 * ```ts
 * import { entropy } from 'amdim/information';
 *
 * console.log(entropy([0.5, 0.5], 'bits')); // 1
 * ```
 */
export function entropy(p: Distribution, unit?: Unit): number {
  assertDistribution('p', p)
  return inUnit(entropyOf(p), unit)
}

/**
 * Cross entropy `- sum p log q`: what samples of p cost in a code made for q; infinite where q excludes what p has.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for what are no distributions over the same values
 */
export function crossEntropy(p: Distribution, q: Distribution, unit?: Unit): number {
  assertBoth(p, q)
  return inUnit(
    p.reduce((sum, value, i) => (value === 0 ? sum : sum - value * Math.log(q[i] ?? 0)), 0),
    unit,
  )
}

/**
 * Relative entropy (Kullback-Leibler divergence) `KL(p || q) = sum p log(p / q)`: 0 where both are equal, infinite where
 * q excludes what p has.
 *
 * @throws {@link AmdimError} as {@link crossEntropy}
 */
export function relativeEntropy(p: Distribution, q: Distribution, unit?: Unit): number {
  assertBoth(p, q)
  const nats = p.reduce(
    (sum, value, i) => (value === 0 ? sum : sum + value * Math.log(value / (q[i] ?? 0))),
    0,
  )
  return inUnit(Math.max(nats, 0), unit)
}

/**
 * Entropy of two variables together, `H(X, Y)`.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for what is no joint distribution
 */
export function jointEntropy(table: JointDistribution, unit?: Unit): number {
  assertJoint('table', table)
  return inUnit(entropyOf(table.flat()), unit)
}

/**
 * What is not known of Y (columns) once X (rows) is, `H(Y | X) = H(X, Y) - H(X)`.
 *
 * @throws {@link AmdimError} as {@link jointEntropy}
 */
export function conditionalEntropy(table: JointDistribution, unit?: Unit): number {
  assertJoint('table', table)
  return inUnit(Math.max(entropyOf(table.flat()) - entropyOf(rowSums(table)), 0), unit)
}

/**
 * What two variables share, `I(X; Y) = H(X) + H(Y) - H(X, Y)`: 0 where they are independent, at most the smaller entropy.
 *
 * @throws {@link AmdimError} as {@link jointEntropy}
 * @example
 * ```ts
 * import { mutualInformation } from 'amdim/information';
 *
 * // A binary channel that errs in one case of ten.
 * console.log(mutualInformation([[0.45, 0.05], [0.05, 0.45]], 'bits')); // 0.531...
 * ```
 */
export function mutualInformation(table: JointDistribution, unit?: Unit): number {
  assertJoint('table', table)
  const [x, y] = [entropyOf(rowSums(table)), entropyOf(columnSums(table))]
  return inUnit(Math.max(x + y - entropyOf(table.flat()), 0), unit)
}

/**
 * What samples of x and y share once z is known, `I(X; Y | Z) = H(X, Z) + H(Y, Z) - H(X, Y, Z) - H(Z)`, by their
 * frequencies.
 *
 * @throws {@link AmdimError} `AMDIM_DATA` without samples, `AMDIM_SHAPE` for different numbers of them
 */
export function conditionalMutualInformation(
  x: DiscreteSamples,
  y: DiscreteSamples,
  z: DiscreteSamples,
  unit?: Unit,
): number {
  const both = (a: DiscreteSamples, b: DiscreteSamples) => entropyOf(jointDistributionOf(a, b).flat())
  const pairs = jointDistributionOf(x, y) && x.map((value, i) => JSON.stringify([value, y[i]]))
  const alone = entropyOf(rowSums(jointDistributionOf(z, x)))
  return inUnit(Math.max(both(x, z) + both(y, z) - both(pairs, z) - alone, 0), unit)
}

function entropyOf(p: readonly number[]): number {
  return p.reduce((sum, value) => (value > 0 ? sum - value * Math.log(value) : sum), 0)
}

function rowSums(table: JointDistribution): number[] {
  return table.map((row) => row.reduce((sum, value) => sum + value, 0))
}

function columnSums(table: JointDistribution): number[] {
  return (table[0] ?? []).map((_, column) => table.reduce((sum, row) => sum + (row[column] ?? 0), 0))
}

function assertBoth(p: Distribution, q: Distribution): void {
  assertDistribution('p', p)
  assertDistribution('q', q)
  if (p.length !== q.length) throw invalidArgument('q', `${p.length} probabilities, as p has`, q.length)
}
