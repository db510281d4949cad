import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encoderRow } from '../../src/experiment/encoder-row.js'
import type { Experiment } from '../../src/experiment/experiment.js'
import { dryRunRows, runRows } from '../../src/experiment/run-rows.js'
import { type ExperimentEvent, runExperiment } from '../../src/index.js'
import { temporaryFolder, writePictures } from '../support/folder.js'
import { TINY } from '../support/tiny.js'

/** Two rows of four updates each. */
function experiment(baseWidth = 4): Experiment {
  const row = (name: string, terms: ('1->5' | '1->7')[]) =>
    encoderRow({
      name,
      title: `only ${terms}`,
      data: 'cifar10',
      config: [
        TINY,
        { encoder: { baseWidth, embeddingDim: 16 }, objective: { terms }, length: { updates: 4 } },
      ],
      heads: [{ data: 'cifar10', measures: { linear: 'linear', knn: 'knn' }, options: { knn: { k: 3 } } }],
    })
  return {
    name: 'small',
    title: 'Small & quick',
    description: 'Whether it runs.',
    measures: [
      { name: 'linear', title: 'linear', isShare: true },
      { name: 'knn', title: 'kNN', isShare: true },
    ],
    rows: async () => [row('five', ['1->5']), row('seven', ['1->7'])],
  }
}

function dataFolder(): string {
  const data = temporaryFolder()
  for (const split of ['train', 'test']) writePictures(join(data, 'cifar10', split), { perClass: 8 })
  return data
}

const settings = { device: 'cpu', precision: 'f32', threads: 1 } as const

describe('runExperiment', () => {
  it('runs every row under every seed and writes table, plot and figures', async () => {
    const [data, output] = [dataFolder(), join(temporaryFolder(), 'out')]
    const events: ExperimentEvent[] = []
    const record = await runRows(experiment(), {
      ...settings,
      data,
      output,
      seeds: 2,
      command: 'amdim experiment small',
      onEvent: (event) => events.push(event),
    })

    expect(record.rows.map(({ name, seeds }) => [name, seeds.map(({ seed }) => seed)])).toEqual([
      ['five', [1, 2]],
      ['seven', [1, 2]],
    ])
    for (const { summary, seeds } of record.rows) {
      expect(seeds.every(({ pairs }) => pairs === 32)).toBe(true)
      // The classes differ in colour: both heads tell them apart.
      expect(summary.linear?.mean).toBeGreaterThan(0.8)
      expect(summary.knn?.mean).toBeGreaterThan(0.8)
    }
    const order = events.filter((event) => event.type === 'row').map(({ row, seed }) => `${row} ${seed}`)
    expect(order).toEqual(['five 1', 'seven 1', 'five 2', 'seven 2'])
    expect(events.some((event) => event.type === 'within' && event.event.type === 'step')).toBe(true)
    expect(JSON.parse(readFileSync(join(output, 'small.json'), 'utf8'))).toEqual(record)
    expect(readFileSync(join(output, 'small.md'), 'utf8')).toMatch(/\| only 1->5 \| \d+\.\d ± \d+\.\d % \|/)
    expect(readFileSync(join(output, 'small.svg'), 'utf8')).toContain('Small &amp; quick')
  })

  it('goes on after it was stopped, and comes to the same results', async () => {
    const data = dataFolder()
    const whole = await runRows(experiment(), { ...settings, data, output: temporaryFolder(), seeds: 1 })

    const output = temporaryFolder()
    const abort = new AbortController()
    const stopped = runRows(experiment(), {
      ...settings,
      data,
      output,
      seeds: 1,
      signal: abort.signal,
      // In the middle of the second row.
      onEvent: (event) => {
        if (event.type === 'within' && event.row === 'seven' && event.event.type === 'start') abort.abort()
      },
    })
    await expect(stopped).rejects.toMatchObject({ code: 'AMDIM_CANCELLED' })
    const again = { ...settings, data, output, seeds: 1 }
    await expect(runRows(experiment(), again)).rejects.toMatchObject({ code: 'AMDIM_INVALID_ARGUMENT' })

    const states: string[] = []
    const resumed = await runRows(experiment(), {
      ...again,
      resume: true,
      onEvent: (event) => {
        if (event.type === 'row') states.push(event.state)
      },
    })
    expect(states).toEqual(['known', 'started'])
    const measures = ({ rows }: typeof whole) =>
      rows.map(({ seeds }) => seeds.map(({ measures }) => measures))
    expect(measures(resumed)).toEqual(measures(whole))
  })

  it('refuses results of other settings, other experiments and no results at all', async () => {
    const [data, output] = [dataFolder(), temporaryFolder()]
    const options = { ...settings, data, output, seeds: 1, resume: true, rows: ['five'] }
    await runRows(experiment(), options)
    await expect(runRows(experiment(2), options)).rejects.toThrow(/row five .* other settings/)
    await expect(runRows(experiment(), { ...options, scale: 'paper' })).rejects.toThrow(/scale tiny/)
    await expect(runRows(experiment(), { ...options, seeds: 2, precision: 'bf16' })).rejects.toThrow(
      /precision: expected f32, as row five has under seed 1, got "?bf16/,
    )
    rmSync(join(output, 'small.json'))
    // What is left of it is the folder of its run.
    const begun = runRows(experiment(), { ...options, resume: false })
    await expect(begun).rejects.toThrow(/small-five-seed1 is there already/)
    await expect(runRows(experiment(2), options)).rejects.toThrow(/run of another configuration/)
    writeFileSync(join(output, 'small.json'), '{"rows": 1}')
    await expect(runRows(experiment(), options)).rejects.toMatchObject({ code: 'AMDIM_DATA' })
  })

  it('refuses what it does not know', async () => {
    const options = { data: 'nowhere', output: 'nowhere' }
    // biome-ignore lint/suspicious/noExplicitAny: wrong on purpose
    const wrong = (name: string, more: object) => runExperiment(name as any, { ...options, ...more } as any)
    await expect(wrong('ablatoin', {})).rejects.toThrow(/did you mean "?ablation/)
    await expect(wrong('ablation', { rows: ['amdmi'] })).rejects.toThrow(/rows: .*amdim/)
    await expect(wrong('ablation', { scale: 'huge' })).rejects.toThrow(/scale: expected tiny or paper/)
    await expect(wrong('ablation', { seeds: 0 })).rejects.toThrow(/seeds: expected/)
    await expect(wrong('ablation', { sedes: 2 })).rejects.toThrow(/sedes/)
    await expect(wrong('ablation', {})).rejects.toMatchObject({ code: 'AMDIM_IO' })
    expect(existsSync('nowhere')).toBe(false)
  })

  it('names the data set that is not there', async () => {
    const data = temporaryFolder()
    writePictures(join(data, 'stl10'))
    const run = runExperiment('transfer', { data, output: temporaryFolder() })
    await expect(run).rejects.toMatchObject({ code: 'AMDIM_DATA', details: { name: 'cifar10' } })
  })
})

describe('dryRunExperiment', () => {
  it('makes one step of every row, on noise where there is no data, and leaves nothing behind', async () => {
    const before = readdirSync('.')
    const results = await dryRunRows(experiment(), settings)
    expect(results.map(({ row, batchSize, fullBatchSize }) => [row, batchSize, fullBatchSize])).toEqual([
      ['five', 4, 8],
      ['seven', 4, 8],
    ])
    for (const { loss, parameters } of results) {
      expect(Number.isFinite(loss)).toBe(true)
      expect(parameters).toBeGreaterThan(1000)
    }
    expect(readdirSync('.')).toEqual(before)
  })

  it('takes no noise in place of data that cannot be used', async () => {
    const data = temporaryFolder()
    writeFileSync(join(data, 'cifar10.tar'), 'no archive')
    await expect(dryRunRows(experiment(), { ...settings, data })).rejects.toMatchObject({
      code: expect.stringMatching(/^AMDIM_(DATA|IO)$/),
    })
  })
})
