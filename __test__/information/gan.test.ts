import { describe, expect, it } from 'vitest'
import { modesOf } from '../../src/experiment/mine-gan.js'
import { trainGan } from '../../src/index.js'

/** Points on two places of a line. */
const data = Float32Array.from({ length: 400 }, (_, i) => (i % 2) * 2 - 1 + 0.05 * Math.sin(i))
const small = { noise: 1, code: 1, units: 8, batchSize: 32, updates: 250, made: 50, threads: 1 }

describe('trainGan', () => {
  it('makes as many samples as are asked for, the same each time, and tells how it goes', async () => {
    const updates: number[] = []
    const samples = { data, shape: [400, 1] }
    const first = await trainGan(samples, { ...small, onProgress: ({ update }) => updates.push(update) })
    expect(first.samples.shape).toEqual([50, 1])
    expect(first.samples.data.every(Number.isFinite)).toBe(true)
    expect(updates).toEqual([100, 200, 250])
    expect(first.last.information).toBeGreaterThan(0)
    expect(await trainGan(samples, { ...small, threads: 2 })).toEqual(first)
    expect((await trainGan(samples, { ...small, seed: 2 })).samples).not.toEqual(first.samples)
  })

  it('can be stopped, and refuses what it cannot use', async () => {
    const samples = { data, shape: [400, 1] }
    const abort = new AbortController()
    const stopped = trainGan(samples, { ...small, updates: 1_000_000, signal: abort.signal })
    abort.abort()
    await expect(stopped).rejects.toMatchObject({ code: 'AMDIM_CANCELLED' })
    await expect(trainGan(samples, { ...small, batchSize: 500 })).rejects.toThrow(/batchSize: .*400/)
    await expect(trainGan(samples, { ...small, informationWeight: -1 })).rejects.toThrow(/informationWeight/)
    await expect(
      trainGan({ data: data.map(() => Number.NaN), shape: [400, 1] }, small),
    ).rejects.toMatchObject({
      code: 'AMDIM_NON_FINITE',
      message: expect.stringContaining('samples: expected finite values, got'),
    })
    // biome-ignore lint/suspicious/noExplicitAny: wrong on purpose
    await expect(trainGan(samples, { wieght: 1 } as any)).rejects.toThrow(/wieght/)
    for (const options of [null, { signal: 5 }, { onProgress: 5 }])
      await expect(trainGan(samples, options as never)).rejects.toMatchObject({
        code: 'AMDIM_INVALID_ARGUMENT',
      })
    const thrown = new RangeError('enough')
    const onProgress = () => {
      throw thrown
    }
    await expect(trainGan(samples, { ...small, onProgress })).rejects.toBe(thrown)
  })
})

describe('modesOf', () => {
  it('counts the places that have a sample near them', () => {
    const step = 1 / Math.SQRT2
    expect(modesOf(Float32Array.from([0, 0, 0.01, 0, step, 0, 0.3, 0.3]))).toEqual({ modes: 2, near: 0.75 })
    expect(modesOf(Float32Array.from([-2 * step, 2 * step, 9, 9]))).toEqual({ modes: 1, near: 0.5 })
  })
})
