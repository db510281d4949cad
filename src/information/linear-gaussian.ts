import { isPlainObject } from '../config/merge.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { inUnit, type Unit } from './unit.js'
import { assertVariance } from './variance.js'

/** A matrix as an array of rows. */
export type Matrix = readonly (readonly number[])[]

/** A linear network with normal inputs and normal noise at its outputs. */
export interface LinearGaussianNetwork {
  /** `[outputs, inputs]` */
  weights: Matrix
  /** Covariance of the inputs, `[inputs, inputs]`, symmetric and positive. */
  covariance: Matrix
  /** Variance of the noise that is added to each output, above 0. */
  noiseVariance: number
}

/**
 * What the outputs of a linear network tell of its inputs, `I = 1/2 log det(I + W C W^T / v)`.
 *
 * Two outputs of weights of length 1 show Linsker's finding: where there is much noise they tell most by both having the
 * direction of largest variance (redundancy averages noise out), where there is little by different directions.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for what is no network, matrices that do not fit, a covariance that
 *   is none, or no noise; `AMDIM_NON_FINITE` for a ratio of signal to noise that no number can hold
 *
 * Source: Linsker 1988, "Self-organization in a perceptual network", IEEE Computer 21(3).
 *
 * @example
 * ```ts
 * import { linearGaussianInformation } from 'amdim/information';
 *
 * const covariance = [[1, 0.5], [0.5, 1]];
 * const same = [[Math.SQRT1_2, Math.SQRT1_2], [Math.SQRT1_2, Math.SQRT1_2]];
 * const different = [[Math.SQRT1_2, Math.SQRT1_2], [Math.SQRT1_2, -Math.SQRT1_2]];
 * for (const noiseVariance of [10, 0.01])
 *   console.log(
 *     linearGaussianInformation({ weights: same, covariance, noiseVariance }) >
 *       linearGaussianInformation({ weights: different, covariance, noiseVariance }),
 *   ); // true, then false
 * ```
 */
export function linearGaussianInformation(network: LinearGaussianNetwork, unit?: Unit): number {
  if (!isPlainObject(network))
    throw invalidArgument('network', 'an object with weights, covariance and noiseVariance', network)
  const { weights, covariance, noiseVariance } = network
  const inputs = covariance?.length ?? 0
  assertMatrix('covariance', covariance, inputs)
  assertMatrix('weights', weights, inputs)
  assertVariance('noiseVariance', noiseVariance)
  for (const [i, row] of covariance.entries())
    for (const [j, value] of row.entries())
      if (Math.abs(value - at(covariance, j, i)) > 1e-9 * (1 + Math.abs(value)))
        throw invalidArgument('covariance', 'a symmetric matrix', `[${i}][${j}] other than [${j}][${i}]`)
  // A direction without variance is allowed, and rounding may make it a little less than none.
  const rounding = 1e-12 * (1 + Math.max(...covariance.map((row, i) => Math.abs(row[i] ?? 0))))
  if (logDeterminant(covariance.map((row, i) => row.map((v, j) => v + (i === j ? rounding : 0)))) === null)
    throw invalidArgument('covariance', 'a positive matrix (no direction of negative variance)', 'another')
  const signal = multiply(multiply(weights, covariance), transposed(weights))
  const ratio = signal.map((row, i) => row.map((value, j) => value / noiseVariance + (i === j ? 1 : 0)))
  const nats = (logDeterminant(ratio) ?? Number.NaN) / 2
  if (!Number.isFinite(nats))
    throw new AmdimError(
      'AMDIM_NON_FINITE',
      'network: the ratio of signal to noise is beyond what a number can hold; scale weights or noiseVariance',
    )
  return inUnit(nats, unit)
}

function assertMatrix(name: string, matrix: unknown, columns: number): asserts matrix is Matrix {
  const isRow = (row: unknown) =>
    Array.isArray(row) && row.length === columns && row.every((value) => Number.isFinite(value))
  if (!Array.isArray(matrix) || matrix.length === 0 || columns === 0 || !matrix.every(isRow))
    throw invalidArgument(name, `rows of ${columns || 'as many'} finite numbers`, matrix)
}

function at(matrix: Matrix, row: number, column: number): number {
  return matrix[row]?.[column] ?? 0
}

function transposed(matrix: Matrix): number[][] {
  return (matrix[0] ?? []).map((_, column) => matrix.map((row) => row[column] ?? 0))
}

function multiply(a: Matrix, b: Matrix): number[][] {
  const columns = transposed(b)
  return a.map((row) => columns.map((column) => row.reduce((sum, v, i) => sum + v * (column[i] ?? 0), 0)))
}

/** Logarithm of the determinant of a symmetric positive matrix, by its Cholesky factor; null where it is not positive. */
function logDeterminant(matrix: Matrix): number | null {
  const factor: number[][] = []
  let sum = 0
  for (const [i, row] of matrix.entries()) {
    const own: number[] = []
    for (let j = 0; j <= i; j++) {
      const other = j === i ? own : (factor[j] ?? [])
      const rest = own.slice(0, j).reduce((all, v, k) => all + v * (other[k] ?? 0), 0)
      const value = (row[j] ?? 0) - rest
      if (j < i) own.push(value / (other[j] ?? 1))
      else if (value <= 0) return null
      else {
        own.push(Math.sqrt(value))
        sum += Math.log(value)
      }
    }
    factor.push(own)
  }
  return sum
}
