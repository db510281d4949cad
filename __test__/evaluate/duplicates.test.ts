import { describe, expect, it } from 'vitest'
import { type DuplicateOptions, findDuplicates, fromArrays } from '../../src/index.js'
import { SAMPLE } from '../support/sample.js'
import { colours } from '../support/tiny.js'

const SIDE = 32

/** A gray picture of 8 x 8 fields without symmetry. */
function fields(salt: number): Uint8Array {
  const level = (x: number, y: number) => 60 + ((x * 31 + y * 17 + salt * 101 + x * y * (salt + 3)) % 127)
  return Uint8Array.from({ length: SIDE * SIDE }, (_, i) =>
    level(Math.floor((i % SIDE) / 4), Math.floor(i / SIDE / 4)),
  )
}

const pictures = (list: Uint8Array[]) =>
  fromArrays(Uint8Array.from(list.flatMap((picture) => [...picture])), [list.length, SIDE, SIDE, 1])

describe('findDuplicates', () => {
  it('finds equal, brighter and mirrored pictures', async () => {
    using train = await pictures([1, 2, 3, 4].map(fields))
    const brighter = fields(2).map((level) => level / 2 + 100)
    const mirrored = fields(3).map((_, i, all) => all[i - (i % SIDE) + SIDE - 1 - (i % SIDE)] ?? 0)
    using test = await pictures([fields(4), brighter, mirrored, fields(50)])
    const found = await findDuplicates({ train, test, similarity: 0.95 })
    expect(found).toMatchObject({ exact: 1, near: 2, trainSize: 4, testSize: 4, skipped: [] })
    expect(found.pairs[0]).toMatchObject({ testIndex: 0, trainIndex: 3, exact: true, similarity: 1 })
    const near = found.pairs
      .slice(1)
      .map(({ testIndex, trainIndex, mirrored }) => [testIndex, trainIndex, mirrored])
    expect(near).toContainEqual([1, 1, false])
    expect(near).toContainEqual([2, 2, true])
    expect((await findDuplicates({ train, test, similarity: 0.95, mirrored: false })).near).toBe(1)
  })

  it('takes the splits of a path', async () => {
    const stages = new Set<string>()
    const found = await findDuplicates({ train: SAMPLE, onProgress: ({ stage }) => stages.add(stage) })
    expect([...stages]).toEqual(['read train', 'read test', 'compare'])
    expect(found.pairs).toHaveLength(found.exact + found.near)
    for (const { similarity } of found.pairs) expect(similarity).toBeGreaterThanOrEqual(0.9)
  })

  it.each<[Partial<DuplicateOptions>, string]>([
    [{ similarity: 0 }, 'similarity: expected a number > 0 and <= 1'],
    [{ mirored: true } as Partial<DuplicateOptions>, 'did you mean "mirrored"?'],
    [{}, 'test: expected a data set'],
  ])('refuses %j', async (options, message) => {
    using train = await colours(4)
    await expect(findDuplicates({ train, ...options })).rejects.toThrow(message)
  })

  it('can be cancelled', async () => {
    using train = await colours(4)
    const work = findDuplicates({ train, test: train, signal: AbortSignal.abort() })
    await expect(work).rejects.toMatchObject({ code: 'AMDIM_CANCELLED' })
  })
})
