import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AmdimModel, type ConfigOverrides, resolveConfig, trainAmdim } from '../src/index.js'
import { temporaryFolder } from './support/folder.js'
import { runProgram } from './support/run-program.js'
import { colours, SHORT, TINY } from './support/tiny.js'

const MIXTURE: ConfigOverrides = { ...TINY, objective: { mixture: { components: 3, entropyWeight: 0.5 } } }
const create = (config = MIXTURE) => AmdimModel.create({ config, device: 'cpu', threads: 2 })

describe('objective.mixture', () => {
  it('is off by default; any part of it switches it on', async () => {
    expect((await resolveConfig()).objective.mixture).toBeNull()
    const { objective } = await resolveConfig({ config: { objective: { mixture: { components: 4 } } } })
    expect(objective.mixture).toEqual({
      components: 4,
      hiddenUnits: null,
      entropyWeight: 1,
      temperature: null,
      stopPosterior: true,
    })
  })

  it.each([
    [{ mixture: { components: 0 } }, 'objective.mixture.components'],
    [{ mixture: { components: 257 } }, 'objective.mixture.components'],
    [{ mixture: { temperature: 0 } }, 'objective.mixture.temperature'],
    [{ mixture: { entropyWeight: -1 } }, 'objective.mixture.entropyWeight'],
    [{ mixture: { entropyWeight: 0 } }, 'objective.mixture.entropyWeight'],
    [{ mixture: {}, terms: ['5->5'] }, 'objective.mixture'],
  ])('refuses %j', async (objective, name) => {
    await expect(resolveConfig({ config: { objective } })).rejects.toMatchObject({
      code: 'AMDIM_INVALID_ARGUMENT',
      message: expect.stringContaining(name),
    })
  })

  it('trains, says how sure the posteriors are, and lowers the chance level', async () => {
    using data = await colours()
    const output = join(temporaryFolder(), 'run')
    const run = trainAmdim({ data: { train: data }, ...SHORT, config: MIXTURE, output })
    const events = []
    for await (const event of run) events.push(event)
    const { model } = await run
    const [start] = events.filter((event) => event.type === 'start')
    const chance = Math.log(1 + 7 * 49)
    expect(start?.chanceLevel['1->7']).toBeCloseTo(chance - 0.5 * Math.log(3), 10)
    expect(start?.chanceLevel['5->5']).toBeCloseTo(Math.log(1 + 7 * 25), 10)
    for (const event of events)
      if (event.type === 'step') {
        expect(event.posteriorEntropy).toBeGreaterThan(0)
        expect(event.posteriorEntropy).toBeLessThanOrEqual(Math.log(3) + 1e-6)
      }
    expect(model.info().tensors.map(({ name }) => name)).toContain('encoder.module.mixture.output.weight')
    model.dispose()
  })

  it('says nothing of posteriors without one', async () => {
    using data = await colours()
    const run = trainAmdim({ data: { train: data }, ...SHORT, output: join(temporaryFolder(), 'run') })
    for await (const event of run) if (event.type === 'step') expect(event.posteriorEntropy).toBeNull()
    ;(await run).model.dispose()
  })
})

describe('embed', () => {
  it('returns mixture features and posteriors that sum to 1, whatever the batch', async () => {
    using model = await create()
    using pictures = await colours(5)
    expect((await model.embed(pictures, { layer: 'mixture' })).shape).toEqual([5, 3, 16])
    const posterior = await model.embed(pictures, { layer: 'posterior7' })
    expect(posterior.shape).toEqual([5, 3, 7, 7])
    for (let picture = 0; picture < 5; picture++) {
      const row = posterior.row(picture)
      for (let at = 0; at < 49; at++)
        expect((row[at] ?? 0) + (row[49 + at] ?? 0) + (row[98 + at] ?? 0)).toBeCloseTo(1, 5)
    }
    const alone = await model.embed(pictures, { layer: 'posterior7', batchSize: 1 })
    for (const [i, value] of alone.data.entries()) expect(value).toBeCloseTo(posterior.data[i] ?? 0, 4)
  })

  it('draws a picture of each posterior', async () => {
    using model = await create()
    using pictures = await colours(3)
    const posteriorMaps = join(temporaryFolder(), 'deep', 'maps')
    const drawn = await model.embed(pictures, { posteriorMaps })
    expect(drawn.shape).toEqual([3, 3, 7, 7])
    expect(drawn.data).toEqual((await model.embed(pictures, { layer: 'posterior7' })).data)
    const files = readdirSync(posteriorMaps).sort()
    expect(files).toHaveLength(3)
    for (const [i, file] of files.entries()) {
      expect(file).toMatch(new RegExp(`^00000${i}-.*\\.png$`))
      const png = readFileSync(join(posteriorMaps, file))
      expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([3 * 256 + 16, 256])
    }
  })

  it('refuses what a model does not have', async () => {
    using plain = await create(TINY)
    using mixed = await create()
    using pictures = await colours(2)
    const invalid = (part: string) => ({
      code: 'AMDIM_INVALID_ARGUMENT',
      message: expect.stringContaining(part),
    })
    await expect(plain.embed(pictures, { layer: 'mixture' })).rejects.toMatchObject(invalid('layer'))
    await expect(plain.embed(pictures, { posteriorMaps: 'maps' })).rejects.toMatchObject(
      invalid('a model with mixture features'),
    )
    await expect(mixed.embed(pictures, { layer: 'posterior6' })).rejects.toMatchObject(invalid('layer'))
    await expect(mixed.embed(pictures, { layer: 'global', posteriorMaps: 'maps' })).rejects.toMatchObject(
      invalid('posteriorN'),
    )
  })
})

describe('amdim embed', () => {
  it('draws posteriors, and writes them where it is told to', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'model.safetensors')
    using model = await create()
    await model.save(path)
    const sample = join(import.meta.dirname, '..', 'crates/amdim-data/tests/pictures/baseline.jpg')
    const maps = join(folder, 'maps')
    const drawn = await runProgram(['embed', path, sample, '--posterior-maps', maps])
    expect(drawn).toMatchObject({ code: 0, out: '', err: expect.stringContaining(`drawings in ${maps}: 1`) })
    expect(readdirSync(maps)).toHaveLength(1)
    const written = await runProgram(['embed', path, sample, '--posterior-maps', maps, '--json'])
    expect(written.code, written.err).toBe(0)
    expect(JSON.parse(written.out)).toMatchObject({ shape: [3, 7, 7] })
    const layer = await runProgram(['embed', path, sample, '--layer', 'mixture', '--json'])
    expect(JSON.parse(layer.out)).toMatchObject({ shape: [3, 16] })
  })
})
