import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertSignal } from '../config/validate-signal.js'
import { assertPath } from '../data/arguments.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { didYouMean } from '../suggest.js'
import { writeFileWhole } from '../write-file.js'
import { chart } from './chart.js'
import type {
  DataName,
  DryRunResult,
  Experiment,
  ExperimentScale,
  ExperimentSettings,
  Row,
} from './experiment.js'
import { ExperimentData } from './experiment-data.js'
import { markdownPage } from './markdown-table.js'
import { machine, provenance } from './provenance.js'
import { addResult, type ExperimentRecord, emptyRecord, readRecord, resultOf, writeRecord } from './record.js'
import type { CommonOptions, DryRunOptions, ExperimentOptions } from './run-experiment.js'

const SETTING_KEYS = [
  'device',
  'executor',
  'precision',
  'threads',
  'loaderThreads',
  'checkpointMinutes',
] as const satisfies readonly (keyof ExperimentSettings)[]
const COMMON_KEYS = ['scale', 'rows', 'signal', ...SETTING_KEYS]
const OWN_KEYS = ['data', 'output', 'seeds', 'resume', 'command', 'onEvent']
const SCALES: readonly ExperimentScale[] = ['tiny', 'paper']

/** {@link runExperiment} of any experiment. */
export async function runRows(experiment: Experiment, options: ExperimentOptions): Promise<ExperimentRecord> {
  const { name } = experiment
  assertKnownKeys(options, [...COMMON_KEYS, ...OWN_KEYS], 'runExperiment')
  const { scale, rows, all, signal, settings } = await common(experiment, options)
  const { data, output, seeds = 3, resume = false, onEvent } = options
  assertPath('output', output)
  if (!Number.isInteger(seeds) || seeds < 1) throw invalidArgument('seeds', 'a whole number from 1', seeds)
  const command = options.command ?? `runExperiment('${name}', ...)`
  const path = join(output, `${name}.json`)
  const known = await readRecord(path, experiment, scale, rows)
  const runFolder = (row: Row, seed: number) => join(output, 'runs', `${name}-${row.name}-seed${seed}`)
  const jobs = Array.from({ length: seeds }, (_, i) => i + 1).flatMap((seed) =>
    rows.map((row) => ({ row, seed })),
  )
  // An experiment that was stopped within its first row has left nothing but the folder of a run.
  const begun = known === null ? jobs.map(({ row, seed }) => runFolder(row, seed)).find(existsSync) : path
  if (begun !== undefined && !resume)
    throw new AmdimError(
      'AMDIM_INVALID_ARGUMENT',
      `output: ${begun} is there already; resume goes on with it, another folder starts anew`,
      { path: begun },
    )
  const needed = new Set(rows.flatMap((row) => row.data))
  if (needed.size > 0) assertPath('data', data)
  using opened = await ExperimentData.find(data ?? '', needed)
  await makeFolder(output)
  const record = known ?? emptyRecord(experiment, scale)
  // Table and plot are made anew from what is known, as an interruption may have left them, or an older version.
  if (known !== null) await writeFiles(output, record)
  const origin = await provenance()
  const { precision = 'auto' } = settings
  for (const [i, { row, seed }] of jobs.entries()) {
    const place = { row: row.name, seed, index: i + 1, total: jobs.length }
    if (resultOf(record, row, seed) !== undefined) {
      onEvent?.({ type: 'row', ...place, state: 'known' })
      continue
    }
    assertOnePrecision(record, row, precision)
    onEvent?.({ type: 'row', ...place, state: 'started' })
    const began = performance.now()
    const found = await row.run({
      seed,
      folder: runFolder(row, seed),
      data: (dataName) => opened.open(dataName),
      settings,
      signal,
      onEvent: (event) => onEvent?.({ type: 'within', row: row.name, seed, event }),
    })
    const minutes = (performance.now() - began) / 60_000
    const total = Math.max(minutes, found.trainMinutes)
    const result = { seed, ...found, minutes: total, ...origin, command, precision }
    addResult(record, all, row, result)
    Object.assign(record, { command, machine: machine() })
    await writeFiles(output, record)
    onEvent?.({ type: 'result', ...place, result, measures: experiment.measures })
  }
  return record
}

/** A row's mean over seeds means nothing where some were computed in another precision. */
function assertOnePrecision(record: ExperimentRecord, row: Row, precision: string): void {
  const known = record.rows.find(({ name }) => name === row.name)?.seeds ?? []
  const other = known.find((seed) => seed.precision !== undefined && seed.precision !== precision)
  if (other !== undefined)
    throw invalidArgument(
      'precision',
      `${other.precision}, as row ${row.name} has under seed ${other.seed}`,
      precision,
    )
}

/** {@link dryRunExperiment} of any experiment. */
export async function dryRunRows(
  experiment: Experiment,
  options: DryRunOptions = {},
): Promise<DryRunResult[]> {
  assertKnownKeys(options, [...COMMON_KEYS, 'data', 'onResult'], 'dryRunExperiment')
  const { rows, signal, settings } = await common(experiment, options)
  const needed = new Set(rows.flatMap((row) => row.data))
  using opened = options.data === undefined ? null : await ExperimentData.find(options.data, needed)
  const results: DryRunResult[] = []
  for (const row of rows) {
    const folder = await mkdtemp(join(tmpdir(), 'amdim-dry-run-'))
    try {
      const data = (dataName: DataName) => opened?.open(dataName) ?? null
      const result = await row.dryRun({ folder: join(folder, 'run'), data, settings, signal })
      results.push(result)
      options.onResult?.(result)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  return results
}

async function common(experiment: Experiment, options: CommonOptions) {
  const { scale = 'tiny', rows: wanted, signal = new AbortController().signal } = options
  if (!SCALES.includes(scale)) throw invalidArgument('scale', SCALES.join(' or '), scale)
  assertSignal(signal)
  const settings = Object.fromEntries(
    SETTING_KEYS.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])),
  ) as ExperimentSettings
  const all = await experiment.rows(scale)
  return { scale, all, rows: chosenRows(all, wanted), signal, settings }
}

function chosenRows(all: readonly Row[], wanted: readonly string[] | undefined): readonly Row[] {
  if (wanted === undefined) return all
  const names = all.map((row) => row.name)
  for (const name of wanted)
    if (!names.includes(name))
      throw invalidArgument('rows', `names of ${names.join(', ')}`, name, didYouMean(name, names))
  if (wanted.length === 0) throw invalidArgument('rows', 'at least one name', wanted)
  return all.filter((row) => wanted.includes(row.name))
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (cause) {
    throw new AmdimError(
      'AMDIM_IO',
      `output: ${path} cannot be made: ${(cause as Error).message}`,
      { path },
      { cause },
    )
  }
}

async function writeFiles(folder: string, record: ExperimentRecord): Promise<void> {
  const base = join(folder, record.experiment)
  await writeRecord(`${base}.json`, record)
  await writeFileWhole(`${base}.md`, [markdownPage(record)])
  await writeFileWhole(`${base}.svg`, [chart(record)])
}
