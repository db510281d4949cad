import { describe, expect, it } from 'vitest'
import { type Features, searchNeighbours } from '../../src/index.js'

const features = (rows: number[][]): Features => ({
  data: Float32Array.from(rows.flat()),
  shape: [rows.length, rows[0]?.length ?? 0],
})

describe('searchNeighbours', () => {
  const base = features([
    [1, 0],
    [0, 1],
    [-1, 0],
    [1, 1],
  ])

  it('finds the nearest by cosine, nearest first', async () => {
    const { k, indices, similarities } = await searchNeighbours(
      features([
        [2, 0],
        [0, -3],
      ]),
      base,
      { k: 2 },
    )
    expect(k).toBe(2)
    expect([...indices]).toEqual([0, 3, 0, 2])
    const expected = [1, Math.SQRT1_2, 0, 0]
    for (const [i, value] of similarities.entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 6)
  })

  it('has as many neighbours as there are candidates', async () => {
    const { k, indices } = await searchNeighbours(features([[1, 0]]), base)
    expect(k).toBe(4)
    expect([...indices]).toEqual([0, 3, 1, 2])
  })

  it.each<[Features, Features, object, string]>([
    [features([[1, 0, 0]]), base, {}, 'AMDIM_SHAPE'],
    [{ data: new Float32Array(3), shape: [2, 2] }, base, {}, 'AMDIM_SHAPE'],
    [{ data: new Float32Array(0), shape: [0, 2] }, base, {}, 'AMDIM_SHAPE'],
    [{ data: new Float32Array(4), shape: [2, -1, -2] }, base, {}, 'AMDIM_SHAPE'],
    [{ data: new Float32Array(3), shape: [2, 1.5] }, base, {}, 'AMDIM_SHAPE'],
    [features([[Number.NaN, 0]]), base, {}, 'AMDIM_NON_FINITE'],
    [features([[1, 0]]), base, { k: 0 }, 'AMDIM_INVALID_ARGUMENT'],
    [features([[1, 0]]), base, { neighbours: 3 }, 'AMDIM_INVALID_ARGUMENT'],
  ])('refuses bad input %#', async (queries, candidates, options, code) => {
    await expect(searchNeighbours(queries, candidates, options)).rejects.toMatchObject({ code })
  })
})
