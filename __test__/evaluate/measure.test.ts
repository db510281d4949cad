import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  AmdimModel,
  fromArrays,
  type MeasureOptions,
  measure,
  type SelectOptions,
  selectModel,
} from '../../src/index.js'
import { temporaryFolder } from '../support/folder.js'
import { colours, TINY } from '../support/tiny.js'

const ALL = ['rankMe', 'spectrum', 'alignment', 'uniformity', 'retrieval', 'clustering'] as const

describe('measure', () => {
  it('tells what raw pixels are like, with and without labels', async () => {
    using data = await colours(40)
    const progress: string[] = []
    const report = await measure('rawPixels', {
      data,
      measures: ALL,
      recallAt: [1],
      onProgress: ({ stage }) => progress.push(stage),
    })
    expect(report).toMatchObject({ pictures: 40, featureDim: 3072, skipped: [] })
    expect(report.retrieval).toMatchObject({ meanAveragePrecision: 1, queries: 40, leftOut: 0 })
    expect(report.retrieval?.recall).toEqual([{ k: 1, recall: 1 }])
    expect(report.clustering).toMatchObject({ clusters: 2, nmi: 1, ari: 1, accuracy: 1 })
    expect(report.spectrum?.eigenvalues).toHaveLength(40)
    expect(report.uniformity).toBeLessThan(0)
    expect(new Set(progress)).toContain('alignment')
  })

  it('takes the Jacobian of a model, which raw pixels have not', async () => {
    const encoder = { kind: 'mlp', baseWidth: 4, blockDepth: 1, embeddingDim: 3 } as const
    using model = await AmdimModel.create({ config: { encoder }, device: 'cpu' })
    using data = await colours(4)
    const options = { data, measures: ['jacobian'], jacobianPictures: 1 } as const
    const { jacobian } = await measure(model, options)
    expect(jacobian).toMatchObject({ pictures: 1 })
    const [largest = 0, , smallest = 0] = jacobian?.singularValues ?? []
    expect(jacobian?.conditionNumber).toBeCloseTo(largest / smallest, 6)
    expect((await measure(model, { ...options, threads: 1 })).jacobian).toEqual(jacobian)
    await expect(measure('rawPixels', options)).rejects.toThrow(/no jacobian of raw pixels/)
  })

  it('looks for classes in a gallery', async () => {
    using data = await colours(6)
    using gallery = await colours(20)
    const { retrieval } = await measure('rawPixels', { data, gallery, measures: ['retrieval'] })
    expect(retrieval).toMatchObject({ meanAveragePrecision: 1, queries: 6, leftOut: 0, gallery: 20 })
    using unlabelled = await fromArrays(new Uint8Array(4 * 3072), [4, 32, 32, 3])
    const refused = (options: Partial<MeasureOptions>) => measure('rawPixels', { data, ...options })
    await expect(refused({ gallery: unlabelled, measures: ['retrieval'] })).rejects.toMatchObject({
      code: 'AMDIM_DATA',
      message: expect.stringContaining('gallery: expected'),
    })
    await expect(refused({ gallery })).rejects.toThrow('gallery: expected none without')
  })

  it('has the same values each time, with any number of threads', async () => {
    using model = await AmdimModel.create({ config: TINY, device: 'cpu' })
    using data = await colours(30)
    const { seconds: _, ...first } = await measure(model, { data, measures: ALL })
    const { seconds: __, ...second } = await measure(model, { data, measures: ALL, threads: 1 })
    expect(first.featureDim).toBe(16)
    expect(second).toEqual(first)
  })

  it('needs labels for two of the measures, and a fitting model', async () => {
    using data = await fromArrays(new Uint8Array(4 * 3072), [4, 32, 32, 3])
    await expect(measure('rawPixels', { data, measures: ['retrieval'] })).rejects.toMatchObject({
      code: 'AMDIM_DATA',
    })
    await expect(measure('pixels' as 'rawPixels', { data })).rejects.toThrow('model: expected an AmdimModel')
  })

  it.each<[Partial<MeasureOptions>, string]>([
    [{ measures: [] }, 'measures: expected a list'],
    [{ maxPictures: 1 }, 'maxPictures: expected a whole number >= 2'],
    [{ clustering: { restarts: 0 } }, 'clustering.restarts: expected a whole number >= 1'],
    [{ measure: ['rankMe'] } as Partial<MeasureOptions>, 'did you mean "measures"?'],
  ])('refuses %j', async (options, message) => {
    using data = await colours(4)
    await expect(measure('rawPixels', { data, ...options })).rejects.toThrow(message)
  })

  it('can be cancelled', async () => {
    using data = await colours(8)
    const work = measure('rawPixels', { data, signal: AbortSignal.abort() })
    await expect(work).rejects.toMatchObject({ code: 'AMDIM_CANCELLED' })
  })
})

describe('selectModel', () => {
  it('chooses the model that has most of what is asked for', async () => {
    const folder = temporaryFolder()
    const paths = await Promise.all(
      [1, 2].map(async (seed) => {
        using model = await AmdimModel.create({ config: { ...TINY, seed }, device: 'cpu' })
        const path = join(folder, `${seed}.safetensors`)
        await model.save(path)
        return path
      }),
    )
    using data = await colours(30)
    const seen: string[] = []
    const found = await selectModel(paths, {
      data,
      measures: ['uniformity'],
      onModel: (path) => seen.push(path),
    })
    expect(seen).toEqual(paths)
    expect(found.by).toBe('rankMe')
    const ranks = found.models.map(({ report }) => report.rankMe ?? Number.NaN)
    expect(found.best).toBe(paths[ranks.indexOf(Math.max(...ranks))])
    const even = await selectModel(paths, { data, by: 'uniformity' })
    const potentials = even.models.map(({ report }) => report.uniformity ?? Number.NaN)
    expect(even.best).toBe(paths[potentials.indexOf(Math.min(...potentials))])
  })

  it('needs a file, and a criterion that exists', async () => {
    const options: SelectOptions = { data: 'nowhere' }
    await expect(selectModel([], options)).rejects.toThrow('paths: expected an array of at least one path')
    const by = 'rank' as 'rankMe'
    await expect(selectModel(['x'], { ...options, by })).rejects.toThrow('by: expected one of rankMe')
    await expect(selectModel(['missing.safetensors'], options)).rejects.toMatchObject({ code: 'AMDIM_IO' })
  })
})
