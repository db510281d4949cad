import { assertKnownKeys } from '../config/validate-keys.js'
import { AmdimError, describeValue, invalidArgument } from '../errors.js'
import { addon, unwrap } from '../native.js'

/** Features of pictures: an `Embedding`, or values with their shape. */
export interface Features {
  /** All values, row-major. */
  data: Float32Array
  /** `[pictures, ...]`. */
  shape: readonly number[]
}

/** Options of {@link searchNeighbours}. */
export interface SearchOptions {
  /**
   * Neighbours a query.
   *
   * @default 10
   */
  k?: number
}

/** Neighbours of queries, nearest first. */
export interface Neighbours {
  /** Neighbours a query: `k`, or the number of candidates when that is smaller. */
  k: number
  /** Which candidates: `[queries, k]`, row-major. */
  indices: Uint32Array
  /** Their cosine similarities, -1..1: `[queries, k]`, row-major. */
  similarities: Float32Array
}

/**
 * The nearest candidates of each query by cosine similarity, by exact search.
 *
 * @param queries - features to search with
 * @param base - features to search in, of the same dimension
 * @throws {@link AmdimError} `AMDIM_SHAPE` when the dimensions differ, `AMDIM_NON_FINITE` for features with NaN
 * @example
 * ```ts
 * import { AmdimModel, searchNeighbours } from 'amdim';
 *
 * const model = await AmdimModel.load('runs/first/model.safetensors');
 * const album = await model.embed('photos');
 * const query = await model.embed(['cat.jpg']);
 * const { indices } = await searchNeighbours(query, album, { k: 5 });
 * console.log([...indices].map((index) => album.names[index]));
 * ```
 */
export async function searchNeighbours(
  queries: Features,
  base: Features,
  options: SearchOptions = {},
): Promise<Neighbours> {
  assertKnownKeys(options, ['k'], 'searchNeighbours')
  const dimension = dimensionOf('queries', queries)
  const baseDimension = dimensionOf('base', base)
  if (dimension !== baseDimension)
    throw new AmdimError(
      'AMDIM_SHAPE',
      `base: expected ${dimension} values a picture as in queries, got ${baseDimension}`,
      { name: 'base', expected: dimension, actual: baseDimension },
    )
  const { k = 10 } = options
  if (!Number.isInteger(k) || k < 1) throw invalidArgument('k', 'a whole number >= 1', k)
  const nearest = Math.min(k, base.shape[0] ?? 0)
  const found = unwrap(await addon().searchNeighbours(queries.data, base.data, dimension, nearest))
  return { k: nearest, ...found }
}

/**
 * Values a row, checked against the shape.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for what are no features, `AMDIM_SHAPE` for a shape that is none or
 *   of another number of values
 */
export function dimensionOf(name: string, features: Features): number {
  if (!(features?.data instanceof Float32Array) || !Array.isArray(features.shape))
    throw invalidArgument(name, 'an Embedding or { data: Float32Array, shape }', features)
  const shape: readonly number[] = features.shape
  // Two negative sides would multiply to as many values as there are.
  if (!shape.every((side) => Number.isSafeInteger(side) && side >= 0))
    throw new AmdimError(
      'AMDIM_SHAPE',
      `${name}: expected a shape of whole numbers, got ${describeValue(shape)}; it is [samples, ...], and its product the number of values`,
      { name, expected: 'whole numbers', actual: describeValue(shape) },
    )
  const [count = 0, ...rest] = shape
  const dimension = rest.reduce((product, n) => product * n, 1)
  if (count < 1 || count * dimension !== features.data.length)
    throw new AmdimError(
      'AMDIM_SHAPE',
      `${name}: expected at least one row and values for shape [${features.shape.join(', ')}], got ${features.data.length} values`,
      { name, expected: count * dimension, actual: features.data.length },
    )
  return dimension
}
