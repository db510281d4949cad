import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { resolveSources } from '../../src/config/resolve.js'
import type { Experiment, Row } from '../../src/experiment/experiment.js'
import { cell } from '../../src/experiment/markdown-table.js'
import {
  addResult,
  emptyRecord,
  readRecord,
  settingsHash,
  summarise,
  writeRecord,
} from '../../src/experiment/record.js'
import { temporaryFolder } from '../support/folder.js'

describe('summarise', () => {
  it('gives mean, standard deviation and range', () => {
    expect(summarise([1, 2, 6])).toEqual({ mean: 3, std: Math.sqrt(7), min: 1, max: 6 })
    expect(summarise([4])).toEqual({ mean: 4, std: null, min: 4, max: 4 })
  })
})

describe('settingsHash', () => {
  it('depends on values, not on the order of keys', () => {
    expect(settingsHash({ a: 1, b: { c: [2, 3], d: null } })).toBe(
      settingsHash({ b: { d: null, c: [2, 3] }, a: 1 }),
    )
    expect(settingsHash({ a: [1, 2] })).not.toBe(settingsHash({ a: [2, 1] }))
    expect(settingsHash({ a: null })).not.toBe(settingsHash({}))
  })
})

describe('readRecord', () => {
  const experiment: Experiment = {
    name: 'x',
    title: 'X',
    description: '',
    measures: [],
    rows: async () => [],
  }
  const row = (settings: unknown): Row => ({
    name: 'a',
    title: 'A',
    data: [],
    settings,
    run: () => Promise.reject(new Error('not here')),
    dryRun: () => Promise.reject(new Error('not here')),
  })
  const { seed: _seed, ...config } = resolveSources({})
  const now = row({ config, heads: [] })

  /** What a folder holds whose row had these settings. */
  async function written(settings: unknown): Promise<string> {
    const path = join(temporaryFolder(), 'x.json')
    const record = emptyRecord(experiment, 'tiny')
    const result = {
      seed: 1,
      measures: {},
      pairs: 1,
      trainMinutes: 1,
      minutes: 1,
      commit: null,
      version: '0',
    }
    addResult(record, [row(settings)], row(settings), result)
    await writeRecord(path, record)
    return path
  }

  it('takes rows from before an option as rows with its default', async () => {
    const { confusionWeight: _, ...multiview } = config.multiview
    const path = await written({ config: { ...config, multiview }, heads: [] })
    const record = await readRecord(path, experiment, 'tiny', [now])
    expect(record?.rows[0]?.settings).toEqual(now.settings)
    expect(record?.rows[0]?.configHash).toBe(settingsHash(now.settings))
  })

  it('gives rows from before the figure their positions, and keeps the rest', async () => {
    const path = await written(now.settings)
    const before = JSON.parse(readFileSync(path, 'utf8'))
    const plane = { x: 'x', y: 'y' }
    const position = { x: 3, curve: 'C' }
    const record = await readRecord(path, { ...experiment, plane }, 'tiny', [{ ...now, position }])
    expect(record).toEqual({ ...before, plane, rows: [{ ...before.rows[0], position }] })
    // Readers meet the axes before the rows.
    expect(Object.keys(record ?? {}).at(-1)).toBe('rows')
  })

  it.each([
    ['value', { config: { ...config, batchSize: 7 }, heads: [] }],
    ['option that is gone', { config: { ...config, gone: 1 }, heads: [] }],
    ['head', { config, heads: [{}] }],
  ])('refuses rows of another %s', async (_, settings) => {
    const path = await written(settings)
    await expect(readRecord(path, experiment, 'tiny', [now])).rejects.toMatchObject({
      code: 'AMDIM_INVALID_ARGUMENT',
      message: expect.stringContaining('of other settings'),
    })
  })
})

describe('cell', () => {
  it('writes shares as percent, and leaves out what is not known', () => {
    const share = { name: 'a', title: 'a', isShare: true }
    expect(cell(share, { mean: 0.6131, std: 0.0042, min: 0, max: 1 })).toBe('61.3 ± 0.4 %')
    expect(cell(share, { mean: 0.5, std: null, min: 0, max: 1 })).toBe('50.0 %')
    expect(cell({ ...share, isShare: false }, { mean: 1.23456, std: 0.1, min: 0, max: 2 })).toBe(
      '1.235 ± 0.100',
    )
    expect(cell(share, undefined)).toBe('')
  })
})
