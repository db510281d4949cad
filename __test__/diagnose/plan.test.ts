import { describe, expect, it } from 'vitest'
import { type PlanOptions, plan } from '../../src/index.js'
import { TINY } from '../support/tiny.js'

const SMALL = { config: TINY, device: 'cpu', threads: 2 } as const
// No number here depends on how fast the machine is.

describe('plan', () => {
  it('has time, length and memory of a run', async () => {
    const found = await plan({ ...SMALL, precision: 'f32', epochs: 3, pictures: 84 })
    const { secondsPerUpdate, pairsPerSecond, seconds, memory, calibration } = found
    expect(found).toMatchObject({
      batchSize: 8,
      updatesPerEpoch: 10,
      updates: 30,
      epochs: 3,
      device: 'cpu',
      executor: 'cpu',
      precision: 'f32',
      threads: 2,
    })
    expect(secondsPerUpdate).toBeGreaterThan(0)
    expect(pairsPerSecond).toBeCloseTo(8 / secondsPerUpdate, 6)
    expect(seconds).toBeCloseTo(30 * secondsPerUpdate, 6)
    expect(calibration).toEqual({ batchSizes: [8], seconds: expect.any(Number) })
    const { total, ...parts } = memory ?? { total: 0 }
    expect(Object.keys(parts).sort()).toEqual(
      ['base', 'checkpoint', 'input', 'loss', 'maps', 'parameters', 'scratch'].sort(),
    )
    expect(Object.values(parts).every((bytes) => Number.isInteger(bytes) && bytes > 0)).toBe(true)
    expect(total).toBe(Object.values(parts).reduce((sum, bytes) => sum + bytes, 0))
  })

  it('times smaller batches where the batch is large, and needs more memory for it', async () => {
    const [small, large] = [
      await plan({ ...SMALL, updates: 1 }),
      await plan({ ...SMALL, updates: 1, config: { ...TINY, batchSize: 64 } }),
    ]
    expect(large.calibration.batchSizes).toEqual([16, 32])
    expect(large.memory?.parameters).toBe(small.memory?.parameters)
    expect(large.memory?.maps).toBe(8 * (small.memory?.maps ?? 0))
    expect(large.memory?.input).toBe(8 * (small.memory?.input ?? 0))
  })

  it('leaves out what the number of pictures would tell', async () => {
    const epochs = await plan({ ...SMALL, epochs: 3 })
    expect(epochs).toMatchObject({ updatesPerEpoch: null, updates: null, epochs: 3, seconds: null })
    const updates = await plan({ ...SMALL, updates: 5, pictures: null })
    expect(updates).toMatchObject({ updates: 5, epochs: null, seconds: 5 * updates.secondsPerUpdate })
    const minutes = await plan({ ...SMALL, minutes: 2 })
    expect(minutes).toMatchObject({
      updates: Math.ceil(120 / minutes.secondsPerUpdate),
      epochs: null,
      seconds: 120,
    })
  })

  it('knows no memory on candle', async () => {
    const found = await plan({ ...SMALL, executor: 'candle', updates: 1 })
    expect(found).toMatchObject({ executor: 'candle', precision: 'f32', memory: null })
  })

  it('takes the classes of the preset unless told otherwise', async () => {
    const bytes = async (options: PlanOptions) =>
      (await plan({ ...SMALL, preset: 'cifar100', updates: 1, ...options })).memory?.parameters ?? 0
    const [preset, hundred, ten, none] = [
      await bytes({}),
      await bytes({ classes: 100 }),
      await bytes({ classes: 10 }),
      await bytes({ classes: 0 }),
    ]
    expect(preset).toBe(hundred)
    expect(ten).toBeLessThan(hundred)
    expect(none).toBeLessThan(ten)
  })

  it.each([
    [{ picturs: 3 }, 'unknown option "picturs" of plan; did you mean "pictures"?'],
    [{ data: 'photos' }, 'unknown option "data" of plan'],
    [{ pictures: 0 }, 'pictures: expected a whole number >= 1'],
    [{ pictures: 7 }, 'pictures: expected at least a batch (8), got 7'],
    [{ classes: -1 }, 'classes: expected a whole number >= 0'],
    [{ preset: 'tinny' }, 'preset: expected one of tiny, cifar10'],
    [{ epochs: 1, updates: 1 }, 'epochs and updates cannot be given together'],
    [{ config: { batchsize: 2 } }, 'unknown option "batchsize"; did you mean "batchSize"?'],
    [{ signal: true }, 'signal: expected an AbortSignal'],
  ])('refuses %j', async (options, message) => {
    await expect(plan({ ...SMALL, ...options } as PlanOptions)).rejects.toMatchObject({
      code: 'AMDIM_INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    })
  })

  it('stops when its signal aborts', async () => {
    await expect(plan({ ...SMALL, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'AMDIM_CANCELLED',
    })
  })
})
