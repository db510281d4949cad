import { describe, expect, it } from 'vitest'
import { resolvePlan } from '../../src/evaluate/evaluate.js'
import {
  AmdimModel,
  type EvaluateOptions,
  evaluate,
  findDuplicates,
  fromArrays,
  measure,
  type PresetName,
} from '../../src/index.js'
import { colours, TINY } from '../support/tiny.js'

describe('resolvePlan', () => {
  it('has the documented defaults', async () => {
    const plan = await resolvePlan({})
    expect(plan).toMatchObject({
      heads: ['linear', 'knn'],
      linear: { method: 'lbfgs', l2: 1e-4, maxIterations: 200, tolerance: 1e-5 },
      knn: { k: 20, temperature: 0.1 },
      classifierTask: { protocol: 'corrected', epochs: 120, milestones: [80, 110], augmentTrain: false },
      maxTrain: null,
    })
  })

  it('follows the reference on demand', async () => {
    const plan = await resolvePlan({ protocol: 'reference', preset: 'places205' })
    expect(plan.linear.method).toBe('classifierTask')
    expect(plan.classifierTask).toMatchObject({
      protocol: 'reference',
      epochs: 15,
      milestones: [7, 12],
      augmentTrain: true,
      learningRate: 2e-4,
      hiddenUnits: 1024,
      dropout: 0.2,
    })
  })

  it('scales milestones with the epochs, and keeps given ones', async () => {
    expect((await resolvePlan({ classifierTask: { epochs: 12 } })).classifierTask.milestones).toEqual([8, 11])
    const given = { epochs: 12, milestones: [3] }
    expect((await resolvePlan({ classifierTask: given })).classifierTask).toMatchObject(given)
  })

  it.each<[Omit<EvaluateOptions, 'train'>, string]>([
    [{ heads: [] }, 'heads: expected a list'],
    [{ heads: ['svm' as 'mlp'] }, 'heads.0: expected one of linear, mlp, knn, got "svm"'],
    [{ knn: { k: 0 } }, 'knn.k: expected a whole number >= 1, got 0'],
    [{ linear: { l2: Number.NaN } }, 'linear.l2: expected a number >= 0, got NaN'],
    [{ protocol: 'fixed' as 'corrected' }, 'classifierTask.protocol: expected one of corrected, reference'],
    [{ preset: 'x' as PresetName }, 'preset: expected one of'],
  ])('refuses %j', async (options, message) => {
    await expect(resolvePlan(options)).rejects.toThrow(message)
  })
})

describe('evaluate', () => {
  it('ends with what the listener throws, and so do measuring, embedding and the search for duplicates', async () => {
    using train = await colours(40)
    using model = await AmdimModel.create({ config: TINY, device: 'cpu', threads: 2 })
    const onProgress = () => {
      throw new RangeError('enough')
    }
    for (const work of [
      () => evaluate('rawPixels', { train, test: train, knn: { k: 5 }, onProgress }),
      () => measure(model, { data: train, onProgress }),
      () => findDuplicates({ train, test: train, onProgress }),
      () => model.embed(train, { batchSize: 4, onProgress }),
    ])
      await expect(work()).rejects.toThrow(new RangeError('enough'))
    const listener = { onProgress: 5 as never }
    await expect(model.embed(train, listener)).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })
  })

  it('tells two colours apart by their raw pixels', async () => {
    using train = await colours(40)
    using test = await colours(10)
    const progress: string[] = []
    const report = await evaluate('rawPixels', {
      train,
      test,
      knn: { k: 5 },
      onProgress: ({ stage }) => progress.push(stage),
    })
    expect(Object.keys(report.heads).sort()).toEqual(['knn', 'linear'])
    for (const head of [report.heads.linear, report.heads.knn]) {
      expect(head).toMatchObject({ top1: 1, balancedAccuracy: 1, count: 10 })
      expect(head?.confusion).toEqual([
        [5, 0],
        [0, 5],
      ])
      expect(head?.top1Interval[0]).toBeLessThan(1)
      expect(head?.perClass.map(({ name, accuracy }) => [name, accuracy])).toEqual([
        ['red', 1],
        ['green', 1],
      ])
    }
    expect(report).toMatchObject({ chance: 0.5, trainSize: 40, testSize: 10, featureDim: 3072, skipped: [] })
    expect(progress.length).toBeGreaterThan(0)
  })

  it('fits every head on an encoder, the same way each time', async () => {
    using model = await AmdimModel.create({ config: TINY, device: 'cpu' })
    using train = await colours(40)
    using test = await colours(11)
    const options: EvaluateOptions = {
      train,
      test,
      heads: ['linear', 'mlp', 'knn'],
      classifierTask: { epochs: 4, batchSize: 10, hiddenUnits: 16 },
      knn: { k: 5 },
    }
    const report = await evaluate(model, options)
    expect(report.featureDim).toBe(16)
    // Every test picture is counted, also those of an incomplete batch.
    for (const head of [report.heads.linear, report.heads.mlp, report.heads.knn]) expect(head?.count).toBe(11)
    const { seconds: _, ...first } = report
    const { seconds: __, ...second } = await evaluate(model, { ...options, threads: 1 })
    expect(second).toEqual(first)
  })

  it("drops the last batch with the reference's protocol", async () => {
    using model = await AmdimModel.create({ config: TINY, device: 'cpu' })
    using train = await colours(40)
    using test = await colours(11)
    const report = await evaluate(model, {
      train,
      test,
      heads: ['mlp'],
      protocol: 'reference',
      classifierTask: { epochs: 1, batchSize: 10, hiddenUnits: 16 },
    })
    expect(report.heads.mlp?.count).toBe(10)
  })

  it('uses only as many training pictures as told', async () => {
    using train = await colours(40)
    const report = await evaluate('rawPixels', {
      train,
      test: train,
      heads: ['knn'],
      knn: { k: 1 },
      maxTrain: 12,
    })
    expect(report).toMatchObject({ trainSize: 12, testSize: 40 })
  })

  it('needs labels, a test set, and a model', async () => {
    using train = await colours()
    using unlabelled = await fromArrays(new Uint8Array(4 * 3072), [4, 32, 32, 3])
    await expect(evaluate('rawPixels', { train, test: unlabelled })).rejects.toMatchObject({
      code: 'AMDIM_DATA',
    })
    await expect(evaluate('rawPixels', { train })).rejects.toThrow('test: expected a data set to test on')
    await expect(evaluate('pixels' as 'rawPixels', { train })).rejects.toThrow(
      "model: expected an AmdimModel or 'rawPixels'",
    )
    const misspelt = { train, test: train, head: ['knn'] } as EvaluateOptions
    await expect(evaluate('rawPixels', misspelt)).rejects.toThrow(
      'unknown option "head" of evaluate; did you mean "heads"?',
    )
  })

  it('names a class that is only in the test set', async () => {
    using train = await fromArrays(new Uint8Array(4 * 3072), [4, 32, 32, 3], {
      labels: [0, 0, 1, 1],
      classes: ['a', 'b', 'c'],
    })
    using test = await fromArrays(new Uint8Array(2 * 3072), [2, 32, 32, 3], {
      labels: [0, 2],
      classes: ['a', 'b', 'c'],
    })
    await expect(evaluate('rawPixels', { train, test, knn: { k: 1 } })).rejects.toMatchObject({
      code: 'AMDIM_DATA',
    })
  })

  it('can be cancelled', async () => {
    using train = await colours(64)
    const work = evaluate('rawPixels', { train, test: train, signal: AbortSignal.abort() })
    await expect(work).rejects.toMatchObject({ code: 'AMDIM_CANCELLED' })
  })
})
