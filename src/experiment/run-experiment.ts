import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertPath } from '../data/arguments.js'
import { AmdimError, invalidArgument } from '../errors.js'
import type { EvaluateProgress } from '../evaluate/evaluate.js'
import { didYouMean } from '../suggest.js'
import type { TrainEvent } from '../train/events.js'
import { writeFileWhole } from '../write-file.js'
import { type ExperimentName, findExperiment } from './catalogue.js'
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
import {
  addResult,
  type ExperimentRecord,
  emptyRecord,
  readRecord,
  resultOf,
  type SeedResult,
  writeRecord,
} from './record.js'

/** What {@link runExperiment} and {@link dryRunExperiment} both are told. */
interface CommonOptions extends ExperimentSettings {
  /**
   * How large the rows are.
   *
   * @default 'tiny'
   */
  scale?: ExperimentScale
  /**
   * Names of the rows to run.
   *
   * @default all
   */
  rows?: readonly string[]
  /** Stops at the next step, with a checkpoint of the row under way; the call then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
}

/** Options of {@link runExperiment}; device, executor, precision, threads and so on may be given as for training. */
export interface ExperimentOptions extends CommonOptions {
  /**
   * Folder with the data sets under their names (`cifar10`, `cifar-10-binary.tar.gz`, `mnist`, `imagenet`, ...); for an
   * experiment that needs one, the data set itself.
   */
  data: string
  /** Folder that the experiment writes: `NAME.json`, `NAME.md`, `NAME.svg`, and `runs/` with what rows leave. */
  output: string
  /**
   * Number of seeds, 1 to this, under which each row is run.
   *
   * @default 3
   */
  seeds?: number
  /**
   * Whether to go on with what the folder holds. Without it a folder that has results of the experiment is refused.
   *
   * @default false
   */
  resume?: boolean
  /** The command that is written into the results; the call by default. */
  command?: string
  /** Called at the start and end of each row, and with what happens within it. */
  onEvent?: (event: ExperimentEvent) => void
}

/** Where an experiment is. */
export interface RowPlace {
  /** Name of the row. */
  row: string
  /** Its seed. */
  seed: number
}

/** A row begins under a seed, or is known already. */
export interface RowEvent extends RowPlace {
  /** Kind of the event. */
  type: 'row'
  /** From 1, of `total`. */
  index: number
  /** Rows times seeds. */
  total: number
  /** Whether it is run now, or its result was there. */
  state: 'started' | 'known'
}

/** A row has its result. */
export interface ResultEvent extends RowPlace {
  /** Kind of the event. */
  type: 'result'
  /** From 1, of `total`. */
  index: number
  /** Rows times seeds. */
  total: number
  /** What came out. */
  result: SeedResult
}

/** Something within a row. */
export interface WithinEvent extends RowPlace {
  /** Kind of the event. */
  type: 'within'
  /** An event of its training, or how far its evaluation is. */
  event: TrainEvent | EvaluateProgress
}

/** What happens in an experiment. */
export type ExperimentEvent = RowEvent | ResultEvent | WithinEvent

const COMMON_KEYS = [
  'scale',
  'rows',
  'signal',
  'device',
  'executor',
  'precision',
  'threads',
  'loaderThreads',
  'checkpointMinutes',
]
const OWN_KEYS = ['data', 'output', 'seeds', 'resume', 'command', 'onEvent']
const SCALES: readonly ExperimentScale[] = ['tiny', 'paper']

/**
 * Runs a named experiment: every row under every seed, one after another, all rows of a seed first. After each result
 * the files are written anew, so that what is finished is never lost; `resume` goes on, also within a row.
 *
 * @returns the results, as in `NAME.json`
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option, a taken folder or rows of other settings,
 *   `AMDIM_DATA` for a data set that is not there, `AMDIM_CANCELLED` when the signal aborts, and what training throws
 * @example
 * ```ts
 * import { runExperiment } from 'amdim';
 *
 * const record = await runExperiment('ablation', { data: 'data', output: 'results', seeds: 3, resume: true });
 * for (const { title, summary } of record.rows) console.log(title, summary.linear?.mean);
 * ```
 */
export async function runExperiment(
  name: ExperimentName,
  options: ExperimentOptions,
): Promise<ExperimentRecord> {
  return runRows(await findExperiment(name), options)
}

/** {@link runExperiment} of any experiment. */
export async function runRows(experiment: Experiment, options: ExperimentOptions): Promise<ExperimentRecord> {
  const { name } = experiment
  assertKnownKeys(options, [...COMMON_KEYS, ...OWN_KEYS], 'runExperiment')
  const { scale, rows, all, signal, settings } = await common(experiment, options)
  const { data, output, seeds = 3, resume = false, onEvent } = options
  assertPath('data', data)
  assertPath('output', output)
  if (!Number.isInteger(seeds) || seeds < 1) throw invalidArgument('seeds', 'a whole number from 1', seeds)
  const command = options.command ?? `runExperiment('${name}', ...)`
  const path = join(output, `${name}.json`)
  const known = await readRecord(path, experiment, scale, rows)
  if (known !== null && !resume)
    throw new AmdimError(
      'AMDIM_INVALID_ARGUMENT',
      `output: ${path} is there already; resume goes on with it, another folder starts anew`,
      { path },
    )
  using opened = await ExperimentData.find(data, new Set(rows.flatMap((row) => row.data)))
  await makeFolder(output)
  const record = { ...(known ?? emptyRecord(experiment, scale)), command, machine: machine() }
  const origin = await provenance()
  const jobs = Array.from({ length: seeds }, (_, i) => i + 1).flatMap((seed) =>
    rows.map((row) => ({ row, seed })),
  )
  for (const [i, { row, seed }] of jobs.entries()) {
    const place = { row: row.name, seed, index: i + 1, total: jobs.length }
    if (resultOf(record, row, seed) !== undefined) {
      onEvent?.({ type: 'row', ...place, state: 'known' })
      continue
    }
    onEvent?.({ type: 'row', ...place, state: 'started' })
    const began = performance.now()
    const found = await row.run({
      seed,
      folder: join(output, 'runs', `${name}-${row.name}-seed${seed}`),
      data: (dataName) => opened.open(dataName),
      settings,
      signal,
      onEvent: (event) => onEvent?.({ type: 'within', row: row.name, seed, event }),
    })
    const minutes = (performance.now() - began) / 60_000
    const result = { seed, ...found, minutes: Math.max(minutes, found.trainMinutes), ...origin }
    addResult(record, all, row, result)
    await writeFiles(output, record)
    onEvent?.({ type: 'result', ...place, result })
  }
  return record
}

/** Options of {@link dryRunExperiment}. */
export interface DryRunOptions extends CommonOptions {
  /**
   * As in {@link ExperimentOptions.data}.
   *
   * @default noise in place of data sets
   */
  data?: string
  /** Called with the result of each row. */
  onResult?: (result: DryRunResult) => void
}

/**
 * One real step of each row of an experiment, on a few pictures: whether every row can be built and trained here.
 *
 * @throws {@link AmdimError} as {@link runExperiment}
 */
export async function dryRunExperiment(
  name: ExperimentName,
  options: DryRunOptions = {},
): Promise<DryRunResult[]> {
  return dryRunRows(await findExperiment(name), options)
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
      const data = async (dataName: Parameters<ExperimentData['open']>[0]) => {
        if (opened === null) throw new AmdimError('AMDIM_DATA', `data: there is no ${dataName} in a dry run`)
        return opened.open(dataName)
      }
      const result = await row.dryRun({ folder: join(folder, 'run'), data, settings, signal })
      results.push(result)
      options.onResult?.(result)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  return results
}

/** A row in words. */
export interface RowSummary {
  /** Key in results and on the command line. */
  name: string
  /** What readers see. */
  title: string
  /** Data sets that it needs. */
  data: readonly DataName[]
}

/** Rows of an experiment at a scale, in words. */
export async function experimentRows(
  name: ExperimentName,
  scale: ExperimentScale = 'tiny',
): Promise<RowSummary[]> {
  const rows = await (await findExperiment(name)).rows(scale)
  return rows.map(({ name, title, data }) => ({ name, title, data }))
}

async function common(experiment: Experiment, options: CommonOptions) {
  const { scale = 'tiny', rows: wanted, signal = new AbortController().signal } = options
  if (!SCALES.includes(scale)) throw invalidArgument('scale', SCALES.join(' or '), scale)
  if (!(signal instanceof AbortSignal)) throw invalidArgument('signal', 'an AbortSignal', signal)
  const { device, executor, precision, threads, loaderThreads, checkpointMinutes } = options
  const given = { device, executor, precision, threads, loaderThreads, checkpointMinutes }
  const settings = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
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
