import { describe, expect, it } from 'vitest'
import { AmdimModel, compareModels, evaluate, pairedTest } from '../../src/index.js'
import { colours, TINY } from '../support/tiny.js'

describe('pairedTest', () => {
  it('counts who is right, and how likely that is by chance', async () => {
    const first = [...Array(10).fill(true), ...Array(8).fill(false), true]
    const second = [...Array(10).fill(true), ...Array(8).fill(true), false]
    const found = await pairedTest(first, second, { resamples: 1000 })
    expect(found).toMatchObject({ both: 10, onlyFirst: 1, onlySecond: 8, neither: 0 })
    expect(found.difference).toBeCloseTo(7 / 19, 12)
    // Two-sided: (1 + 9) / 2^9, twice.
    expect(found.pValue).toBeCloseTo(20 / 512, 12)
    expect(found.interval[0]).toBeLessThan(found.difference)
    expect(found.interval[1]).toBeGreaterThan(found.difference)
    expect(await pairedTest(first, second, { resamples: 1000 })).toEqual(found)
  })

  it.each<[unknown, unknown, object, string]>([
    [[true], [], {}, 'AMDIM_SHAPE'],
    [[], [], {}, 'AMDIM_DATA'],
    [[1], [true], {}, 'AMDIM_INVALID_ARGUMENT'],
    [[true], [true], { resamples: 10 }, 'AMDIM_INVALID_ARGUMENT'],
    [[true], [true], { confidence: 1 }, 'AMDIM_INVALID_ARGUMENT'],
    [[true], [true], { seed: -1 }, 'AMDIM_INVALID_ARGUMENT'],
    [[true], [true], { seeds: 1 }, 'AMDIM_INVALID_ARGUMENT'],
  ])('refuses %j, %j, %j', async (first, second, options, code) => {
    await expect(pairedTest(first as boolean[], second as boolean[], options)).rejects.toMatchObject({ code })
  })
})

describe('compareModels', () => {
  it('pairs the pictures of two models', async () => {
    using model = await AmdimModel.create({ config: TINY, device: 'cpu' })
    using train = await colours(40)
    using test = await colours(11)
    const seen = new Set<string>()
    const found = await compareModels('rawPixels', model, {
      train,
      test,
      knn: { k: 5 },
      resamples: 200,
      onProgress: (name) => seen.add(name),
    })
    expect([...seen]).toEqual(['first', 'second'])
    expect(Object.keys(found.heads).sort()).toEqual(['knn', 'linear'])
    for (const head of ['linear', 'knn'] as const) {
      const paired = found.heads[head]
      const difference =
        (found.second.heads[head]?.top1 ?? Number.NaN) - (found.first.heads[head]?.top1 ?? Number.NaN)
      expect(paired?.difference).toBeCloseTo(difference, 12)
      const { both = 0, onlyFirst = 0, onlySecond = 0, neither = 0 } = paired ?? {}
      expect(both + onlyFirst + onlySecond + neither).toBe(11)
    }
  })
})

describe('evaluate with predictions', () => {
  it('lists the class of each test picture', async () => {
    using train = await colours(40)
    using test = await colours(10)
    const report = await evaluate('rawPixels', { train, test, heads: ['knn'], predictions: true })
    expect(report.test?.classes).toEqual(['red', 'green'])
    expect(report.test?.names).toHaveLength(10)
    expect(report.heads.knn?.predictions).toEqual(report.test?.labels)
    const silent = await evaluate('rawPixels', { train, test, heads: ['knn'] })
    expect(silent.test).toBeUndefined()
    expect(silent.heads.knn?.predictions).toBeUndefined()
  })
})
