import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AmdimModel, fromPictures, type PixelImage, type TrainEvent, trainAmdim } from '../../src/index.js'
import { noisyPixels, temporaryFolder, writePictures } from '../support/folder.js'
import { colours, SHORT, TINY } from '../support/tiny.js'

const output = () => join(temporaryFolder(), 'run')

async function eventsOf(run: AsyncIterable<TrainEvent>): Promise<TrainEvent[]> {
  const events = []
  for await (const event of run) events.push(event)
  return events
}

/** Embedding of fixed pictures: equal only when every weight of the encoder is. */
async function fingerprint(model: AmdimModel): Promise<Float32Array> {
  using pictures = await colours(4)
  return (await model.embed(pictures)).data
}

describe('trainAmdim', () => {
  it('tells what happens, and writes it into the run folder', async () => {
    using data = await colours()
    const folder = output()
    const run = trainAmdim({ data: { train: data, test: data }, ...SHORT, output: folder })
    const events = await eventsOf(run)
    const { model, metrics, paths, ...rest } = await run

    expect(events[0]).toMatchObject({
      type: 'start',
      trainSize: 16,
      testSize: 16,
      classes: 2,
      updatesPerEpoch: 2,
    })
    const steps = events.filter((event) => event.type === 'step')
    expect(steps.map(({ update }) => update)).toEqual([1, 2, 3, 4])
    expect(rest).toMatchObject({ cancelled: false, update: 4, pairs: 32, skipped: [] })
    expect(metrics.step).toEqual(steps.at(-1))
    expect(metrics.evaluation).toEqual(events.findLast((event) => event.type === 'evaluation'))
    for (const { loss, terms, classifier } of steps) {
      expect(Number.isFinite(loss)).toBe(true)
      expect(Object.keys(terms).sort()).toEqual(['1->5', '1->7', '5->5'])
      expect(classifier?.linearTop1).toBeGreaterThanOrEqual(0)
    }

    expect(paths.runFolder).toBe(folder)
    for (const path of [paths.model, paths.checkpoint, paths.metrics])
      expect(existsSync(path ?? '')).toBe(true)
    const lines = readFileSync(paths.metrics, 'utf8').trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(events)
    const request = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))
    expect(request.config).toEqual(model.config)
    model.dispose()
  })

  it('states the chance levels log(1 + (B - 1) * locations)', async () => {
    using data = await colours()
    const run = trainAmdim({ data, ...SHORT, updates: 1, output: output() })
    const [start] = await eventsOf(run)
    const chance = start?.type === 'start' ? start.chanceLevel : {}
    expect(chance['1->5']).toBeCloseTo(Math.log(1 + 7 * 25), 5)
    expect(chance['1->7']).toBeCloseTo(Math.log(1 + 7 * 49), 5)
    expect(chance['5->5']).toBeCloseTo(Math.log(1 + 7 * 25), 5)
  })

  it('gives the same weights for the same seed on any number of threads, others for another seed', async () => {
    using data = await colours()
    const train = async (seed: number, threads: number) => {
      const { model } = await trainAmdim({ data, ...SHORT, seed, threads, output: output() })
      return fingerprint(model)
    }
    const first = await train(1, 1)
    expect(await train(1, 2)).toEqual(first)
    expect(await train(2, 1)).not.toEqual(first)
  })

  it('resumes exactly after being cancelled', async () => {
    using data = await colours()
    const whole = await trainAmdim({ data, ...SHORT, updates: 7, output: output() })
    const abort = new AbortController()
    const run = trainAmdim({ data, ...SHORT, updates: 7, output: output(), signal: abort.signal })
    for await (const event of run) if (event.type === 'step' && event.update === 3) abort.abort()
    const part = await run
    expect(part.cancelled).toBe(true)
    expect(part.update).toBeLessThan(7)
    expect(part.update).toBeGreaterThanOrEqual(3)

    const rest = await trainAmdim({ data, resume: part.paths.runFolder, device: 'cpu', threads: 1 })
    expect(rest).toMatchObject({ cancelled: false, update: 7, pairs: whole.pairs })
    expect(await fingerprint(rest.model)).toEqual(await fingerprint(whole.model))
  })

  it('goes on for longer when resumed with another length, and refuses any other change', async () => {
    using data = await colours()
    // Without a warm-up, which is a share of the whole run, the longer run is the same from its start.
    const config = { ...TINY, schedule: { warmupUpdates: 0 } }
    const first = await trainAmdim({ data, ...SHORT, config, updates: 2, output: output() })
    const longer = await trainAmdim({ data, resume: first.paths.checkpoint ?? '', updates: 5 })
    const whole = await trainAmdim({ data, ...SHORT, config, updates: 5, output: output() })
    expect(longer.update).toBe(5)
    expect(await fingerprint(longer.model)).toEqual(await fingerprint(whole.model))
    const other = { data, resume: first.paths.runFolder, config: { batchSize: 4 } }
    await expect(trainAmdim(other)).rejects.toThrow('batchSize: a resumed run keeps')
  })

  it('stops at once for a signal that has aborted before', async () => {
    using data = await colours()
    const run = trainAmdim({ data, ...SHORT, updates: 1000, output: output(), signal: AbortSignal.abort() })
    const { cancelled, update } = await run
    expect(cancelled).toBe(true)
    expect(update).toBeLessThan(1000)
  })

  it('stops when the run is cancelled', async () => {
    using data = await colours()
    const run = trainAmdim({ data, ...SHORT, updates: 100_000, output: output() })
    for await (const event of run) if (event.type === 'step') run.cancel()
    expect((await run).cancelled).toBe(true)
  })

  it('learns in epochs and in minutes', async () => {
    using data = await colours()
    const { config: _, updates: __, ...place } = SHORT
    const epochs = await trainAmdim({ data, ...place, config: TINY, epochs: 2, output: output() })
    expect(epochs).toMatchObject({ update: 4, pairs: 32 })
    const minutes = await trainAmdim({ data, ...place, config: TINY, minutes: 0.01, output: output() })
    expect(minutes.cancelled).toBe(false)
    expect(minutes.update).toBeGreaterThan(0)
  })

  it('needs no labels', async () => {
    const pictures = Array.from({ length: 8 }, (_, i) => ({
      data: noisyPixels(32, 0, i),
      width: 32,
      height: 32,
      channels: 3,
    }))
    using data = await fromPictures(pictures)
    const run = trainAmdim({ data, ...SHORT, output: output() })
    const steps = (await eventsOf(run)).filter((event) => event.type === 'step')
    expect(steps.map(({ classifier }) => classifier)).toEqual([null, null, null, null])
    expect((await run).model.info().classes).toEqual([])
  })

  it('takes the test split of a folder', async () => {
    const root = temporaryFolder()
    writePictures(join(root, 'train'), { perClass: 6 })
    writePictures(join(root, 'test'), { perClass: 2 })
    const run = trainAmdim({ data: root, ...SHORT, output: output() })
    const events = await eventsOf(run)
    expect(events[0]).toMatchObject({ type: 'start', trainSize: 12, testSize: 4 })
    expect(events.some((event) => event.type === 'evaluation')).toBe(true)
  })

  it('passes pictures through a transform', async () => {
    using data = await colours()
    const seen: PixelImage[] = []
    const transform = (image: PixelImage) => {
      seen.push({ ...image, data: image.data.slice(0, 1) })
      return { ...image, data: image.data.map((value) => 255 - value) }
    }
    const plain = await trainAmdim({ data, ...SHORT, output: output() })
    const inverted = await trainAmdim({ data, ...SHORT, output: output(), transform })
    expect(seen.length).toBeGreaterThanOrEqual(32)
    expect(seen[0]).toMatchObject({ width: 32, height: 32, channels: 3 })
    expect(await fingerprint(inverted.model)).not.toEqual(await fingerprint(plain.model))
  })

  it('fails with the error of a transform', async () => {
    using data = await colours()
    const transform = () => {
      throw new Error('not this one')
    }
    await expect(
      trainAmdim({ data, ...SHORT, updates: 1000, output: output(), transform }),
    ).rejects.toMatchObject({
      code: 'AMDIM_INVALID_ARGUMENT',
      message: expect.stringContaining('not this one'),
    })
  })
})

describe('continueFrom', () => {
  it('starts from the weights of a model; a frozen encoder stays as it is', async () => {
    using data = await colours()
    const first = await trainAmdim({ data, ...SHORT, output: output() })
    const continueFrom = first.paths.model ?? ''
    const before = await fingerprint(first.model)
    const { config: _, ...place } = SHORT
    const frozen = await trainAmdim({ data, ...place, continueFrom, freezeEncoder: true, output: output() })
    expect(await fingerprint(frozen.model)).toEqual(before)
    expect(frozen.model.config.encoder).toEqual(first.model.config.encoder)
    const free = await trainAmdim({ data, ...place, continueFrom, output: output() })
    expect(await fingerprint(free.model)).not.toEqual(before)
  })

  it('keeps the head only for the same classes', async () => {
    using data = await colours()
    const first = await trainAmdim({ data, ...SHORT, output: output() })
    const continueFrom = first.paths.model ?? ''
    const { config: _, ...place } = SHORT
    const again = await trainAmdim({ data, ...place, continueFrom, keepHead: true, output: output() })
    expect(again.model.info().classes).toEqual(['red', 'green'])
    const other = writePictures(temporaryFolder(), { classes: ['a', 'b', 'c'], perClass: 4 })
    const fresh = await trainAmdim({ data: other, ...place, continueFrom, output: output() })
    expect(fresh.model.info().classes).toEqual(['a', 'b', 'c'])
    await expect(
      trainAmdim({ data: other, ...place, continueFrom, keepHead: true, output: output() }),
    ).rejects.toMatchObject({
      code: expect.stringMatching(/^AMDIM_(CHECKPOINT|SHAPE|INVALID_ARGUMENT)$/),
    })
  })

  it('refuses weights of another shape', async () => {
    using data = await colours()
    const first = await trainAmdim({ data, ...SHORT, output: output() })
    const options = {
      data,
      ...SHORT,
      config: { ...TINY, encoder: { baseWidth: 2 } },
      preset: 'tiny',
    } as const
    await expect(
      trainAmdim({ ...options, continueFrom: first.paths.model ?? '', output: output() }),
    ).rejects.toMatchObject({
      code: 'AMDIM_CHECKPOINT',
    })
    await expect(AmdimModel.load(first.paths.metrics)).rejects.toMatchObject({ code: 'AMDIM_CHECKPOINT' })
  })
})
