import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { resolveConfig, type TrainOptions } from '../../src/index.js'
import { resolveRequest } from '../../src/train/request.js'
import { temporaryFolder } from '../support/folder.js'

const resolve = (options: object) => resolveRequest({ data: 'pictures', ...options } as TrainOptions)

describe('resolveRequest', () => {
  it('fills in every field that the addon takes', async () => {
    const request = await resolve({ output: 'runs/a', threads: 3 })
    expect(request).toMatchObject({
      config: await resolveConfig(),
      preset: 'tiny',
      device: 'auto',
      executor: 'auto',
      precision: 'auto',
      threads: 3,
      prefetch: 4,
      onBadImage: 'error',
      output: 'runs/a',
      resume: null,
      initialWeights: null,
      keepHead: false,
      checkpointMinutes: 5,
      keepCheckpoints: 0,
      logEverySteps: 20,
      onlineEvaluateEpochs: 1,
    })
    expect(Object.values(request)).not.toContain(undefined)
    expect(request.loaderThreads).toBeGreaterThanOrEqual(1)
  })

  it('puts length, seed and freezing into the configuration', async () => {
    const { config, preset } = await resolve({
      preset: 'cifar10',
      config: { batchSize: 10, length: { minutes: 1 } },
      epochs: 3,
      seed: 7,
      freezeEncoder: true,
    })
    expect(config).toMatchObject({ batchSize: 10, length: { epochs: 3 }, seed: 7, encoderFrozen: true })
    expect(preset).toBe('cifar10')
  })

  it('names its folder by date and preset', async () => {
    expect((await resolve({ preset: 'stl10' })).output).toMatch(
      /^runs[\\/]\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-stl10$/,
    )
  })

  it.each([
    [{ epochs: 1, minutes: 1 }, 'epochs and minutes cannot be given together'],
    [{ minutes: 0 }, 'length.minutes: expected a number > 0, got 0'],
    [{ epochs: 1.5 }, 'length.epochs: expected a whole number >= 1, got 1.5'],
    [{ epocs: 1 }, 'unknown option "epocs" of trainAmdim; did you mean "epochs"?'],
    [{ learningRate: 1 }, 'unknown option "learningRate" of trainAmdim'],
    [{ device: 'gpu' }, 'device: expected auto, cpu, cuda, cuda:N or metal, got "gpu"'],
    [{ threads: 0 }, 'threads: expected a whole number >= 1'],
    [{ seed: -1 }, 'seed: expected a whole number >= 0'],
    [{ onBadImage: 'ignore' }, 'onBadImage: expected one of error, skip, got "ignore"'],
    [{ keepHead: true }, 'keepHead: expected continueFrom beside it'],
    [{ resume: 'a', continueFrom: 'b' }, 'resume and continueFrom cannot be given together'],
    [{ resume: 'a', preset: 'tiny' }, 'resume and preset cannot be given together'],
    [{ transform: 'flip' }, 'transform: expected a function'],
    [{ signal: {} }, 'signal: expected an AbortSignal'],
    [{ output: '' }, 'output: expected a path'],
    [
      { config: { optimizer: { learningRate: Number.NaN } } },
      'optimizer.learningRate: expected a number > 0',
    ],
  ])('refuses %j', async (options, message) => {
    await expect(resolve(options)).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
    await expect(resolve(options)).rejects.toThrow(message)
  })

  it('says when there is nothing to resume', async () => {
    await expect(resolve({ resume: join(temporaryFolder(), 'none') })).rejects.toMatchObject({
      code: 'AMDIM_IO',
    })
  })
})
