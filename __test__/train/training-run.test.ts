import { describe, expect, it } from 'vitest'
import type { EpochEvent, TrainOutcome } from '../../src/index.js'
import { TrainingRun } from '../../src/train/training-run.js'

const event = (epoch: number): EpochEvent => ({ type: 'epoch', epoch, update: epoch, seconds: 0 })
const outcome = { cancelled: false } as TrainOutcome

describe('TrainingRun', () => {
  it('can be awaited and iterated over, more than once', async () => {
    const run = new TrainingRun(async (emit) => {
      await Promise.resolve()
      emit(event(1))
      emit(event(2))
      return outcome
    })
    const epochs: number[] = []
    const read = async () => {
      for await (const value of run) if (value.type === 'epoch') epochs.push(value.epoch)
    }
    await Promise.all([read(), read()])
    expect(epochs.sort()).toEqual([1, 1, 2, 2])
    expect(await run).toBe(outcome)
    expect(await run).toBe(outcome)
  })

  it('tells its work to stop', async () => {
    const run = new TrainingRun(async (_, cancellation) => {
      await new Promise((resolve) => cancellation.addEventListener('abort', resolve))
      return { ...outcome, cancelled: true }
    })
    run.cancel()
    expect((await run).cancelled).toBe(true)
  })

  it('fails for those who await and for those who iterate', async () => {
    const run = new TrainingRun(async () => {
      await Promise.resolve()
      throw new Error('broke')
    })
    const reading = (async () => {
      for await (const _ of run);
    })()
    await expect(reading).rejects.toThrow('broke')
    await expect(run).rejects.toThrow('broke')
  })
})
