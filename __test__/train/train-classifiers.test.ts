import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AmdimModel, exportModel, inspect, trainAmdim, trainClassifiers } from '../../src/index.js'
import { temporaryFolder } from '../support/folder.js'
import { colours, SHORT, TINY } from '../support/tiny.js'

const settings = { device: 'cpu', threads: 2, logEverySteps: 1 } as const

/** A trained encoder without labels, as a file. */
async function encoder(folder: string): Promise<string> {
  using data = await colours(32)
  const { model, paths } = await trainAmdim({
    data: { train: data, test: null },
    ...SHORT,
    config: { ...TINY, classifiers: { enabled: false } },
    output: join(folder, 'encoder'),
  })
  model.dispose()
  return paths.model as string
}

describe('trainClassifiers', () => {
  it('teaches heads on the encoder as it is, by the schedule of the reference', async () => {
    const folder = temporaryFolder()
    const file = await encoder(folder)
    using data = await colours(32)
    const run = trainClassifiers({
      ...settings,
      model: file,
      data: { train: data, test: data },
      epochs: 12,
      learningRate: 0.01,
      output: join(folder, 'heads'),
    })
    const losses: number[] = []
    for await (const event of run) if (event.type === 'step') losses.push(event.loss)
    const { model, metrics, paths } = await run

    const { config } = await inspect(paths.model as string)
    // 80 and 110 of 120 epochs.
    expect(config.schedule).toMatchObject({ kind: 'multistep', milestones: [8, 11], decay: 0.2 })
    expect(config).toMatchObject({ encoderFrozen: true, length: { epochs: 12 } })
    expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0)
    expect(metrics.evaluation?.linearTop1).toBe(1)

    using before = await AmdimModel.load(file)
    expect((await model.embed(data)).data).toEqual((await before.embed(data)).data)

    const found = await model.classify(data)
    expect(found.classes).toEqual(['red', 'green'])
    for (const [i, label] of found.labels.entries()) {
      const [first, second] = found.top(i, 5)
      expect(first?.name).toBe(found.classes[label])
      expect((first?.probability ?? 0) + (second?.probability ?? 0)).toBeCloseTo(1, 5)
    }
    expect(await model.classify(data, { head: 'mlp' })).toMatchObject({
      classes: ['red', 'green'],
      length: 32,
    })
    await expect(before.classify(data)).rejects.toThrow(/model: expected one with classifiers/)
    model.dispose()
  })

  it.each([
    ['cifar10', 120, [80, 110]],
    ['imagenet128', 30, [15, 25]],
    ['places205', 15, [7, 12]],
  ] as const)(
    'follows the schedule of the reference for %s: %i epochs',
    async (preset, epochs, milestones) => {
      const folder = temporaryFolder()
      const model = await encoder(folder)
      using train = await colours(8)
      const run = trainClassifiers({
        ...settings,
        model,
        data: { train, test: null },
        preset,
        output: join(folder, 'heads'),
      })
      // One update an epoch.
      const rates: number[] = []
      for await (const event of run) if (event.type === 'step') rates.push(event.learningRate)
      const { model: heads, update } = await run
      heads.dispose()
      expect([update, rates.length]).toEqual([epochs, epochs])
      const expected = (epoch: number) => 2e-4 * 0.2 ** milestones.filter((end) => epoch >= end).length
      for (const [epoch, rate] of rates.entries()) expect(rate).toBeCloseTo(expected(epoch), 12)
    },
  )

  it('is gone on with exactly', async () => {
    const folder = temporaryFolder()
    const model = await encoder(folder)
    using train = await colours(32)
    const data = { train, test: null }
    const options = { ...settings, model, data, epochs: 4 }
    const whole = await trainClassifiers({ ...options, output: join(folder, 'whole') })

    const abort = new AbortController()
    const run = trainClassifiers({ ...options, output: join(folder, 'parts'), signal: abort.signal })
    for await (const event of run) if (event.type === 'step' && event.update === 5) abort.abort()
    const part = await run
    expect(part.cancelled).toBe(true)
    const rest = await trainAmdim({ ...settings, data, resume: part.paths.runFolder })
    const classes = async (outcome: typeof rest) => (await outcome.model.classify(train)).probabilities
    expect(await classes(rest)).toEqual(await classes(whole))
    for (const { model } of [whole, part, rest]) model.dispose()
  })

  it('refuses what the task fixes', async () => {
    const options = { model: 'none.safetensors', data: 'none', resume: 'runs/first' }
    await expect(trainClassifiers(options as never)).rejects.toThrow(/resume: .*trainClassifiers/)
    for (const nothing of [undefined, null, 5])
      await expect(trainClassifiers(nothing as never)).rejects.toMatchObject({
        code: 'AMDIM_INVALID_ARGUMENT',
        message: `options of trainClassifiers: expected an object, got ${nothing}`,
      })
    await expect(trainClassifiers({ model: 'none.safetensors', data: 'none' })).rejects.toMatchObject({
      code: 'AMDIM_IO',
    })
  })
})

describe('a supervised run', () => {
  const config = (more: object = {}) => ({
    ...TINY,
    supervised: true,
    optimizer: { learningRate: 0.01 },
    ...more,
  })

  it('moves the encoder by labels alone', async () => {
    const output = join(temporaryFolder(), 'run')
    using train = await colours(32)
    const run = trainAmdim({ data: { train, test: train }, ...SHORT, updates: 24, config: config(), output })
    const steps = []
    for await (const event of run) if (event.type === 'step') steps.push(event)
    const { model, metrics } = await run
    expect(steps[0]).toMatchObject({ terms: {}, penalty: 0 })
    expect(steps[0]?.gradientNorm).toBeGreaterThan(0)
    const { linearLoss = 0, mlpLoss = 0 } = steps[0]?.classifier ?? {}
    expect(steps[0]?.loss).toBeCloseTo(linearLoss + mlpLoss, 6)
    expect(steps.at(-1)?.loss).toBeLessThan(steps[0]?.loss ?? 0)
    expect(metrics.evaluation?.linearTop1).toBe(1)
    model.dispose()
  })

  it('sees the pictures whose labels it may use and no other', async () => {
    const output = join(temporaryFolder(), 'run')
    using train = await colours(64)
    const { updates: _updates, ...short } = SHORT
    const few = { data: { train, test: null }, ...short, config: config({ labelFraction: 0.25 }), output }
    const run = trainAmdim({ ...few, epochs: 2 })
    for await (const event of run) if (event.type === 'start') expect(event).toMatchObject({ trainSize: 16 })
    const { model, update } = await run
    // Two epochs of 16 pictures: that is the whole run, which an export is allowed of.
    expect(update).toBe(4)
    const written = await exportModel(output, join(output, 'encoder.onnx'))
    expect(written.bytes).toBeGreaterThan(1000)
    expect(model.config).toMatchObject({ supervised: true, labelFraction: 0.25 })
    model.dispose()
  })

  it('starts from a trained encoder: fine-tuning, with a part of the labels', async () => {
    const folder = temporaryFolder()
    const continueFrom = await encoder(folder)
    using train = await colours(32)
    using trained = await AmdimModel.load(continueFrom)
    const before = (await trained.embed(train)).data
    const largest = before.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    /** How far features are from those that fine-tuning begins with, as a share of the largest. */
    const moved = async (name: string, learningRate: number) => {
      const run = trainAmdim({
        data: { train, test: null },
        ...SHORT,
        config: config({
          classifiers: { enabled: true },
          statisticsFrozen: true,
          labelFraction: 0.5,
          optimizer: { learningRate },
        }),
        continueFrom,
        output: join(folder, name),
      })
      for await (const event of run)
        if (event.type === 'start') expect(event).toMatchObject({ trainSize: 16 })
      const { model, update } = await run
      expect(update).toBe(4)
      expect((await model.classify(train)).classes).toEqual(['red', 'green'])
      const after = (await model.embed(train)).data
      model.dispose()
      return after.reduce((most, v, i) => Math.max(most, Math.abs(v - (before[i] ?? NaN))), 0) / largest
    }
    // At hardly any rate the encoder is still the trained one, at a usual one it follows the labels.
    expect(await moved('still', 1e-9)).toBeLessThan(1e-4)
    expect(await moved('fine', 0.01)).toBeGreaterThan(1e-2)
  })

  it('wants labels, classifiers and an encoder that is not frozen', async () => {
    using train = await colours(16)
    const refused = (more: object) =>
      trainAmdim({
        data: { train, test: null },
        ...SHORT,
        config: config(more),
        output: join(temporaryFolder(), 'run'),
      })
    await expect(refused({ encoderFrozen: true })).rejects.toThrow(/supervised/)
    await expect(refused({ classifiers: { enabled: false } })).rejects.toThrow(/classifiers\.enabled/)
    await expect(refused({ labelFraction: 0 })).rejects.toThrow(/labelFraction/)
  })
})
