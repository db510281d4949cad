/** What an experiment's JSON file holds, and how it is read and written. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { isPlainObject, mergeOverrides } from '../config/merge.js'
import { configSchema } from '../config/schema.js'
import { AmdimError } from '../errors.js'
import { writeFileWhole } from '../write-file.js'
import type {
  Axes,
  Experiment,
  ExperimentScale,
  ExperimentSettings,
  Measure,
  Position,
  Row,
  RowResult,
} from './experiment.js'

/** A row's result under one seed. */
export interface SeedResult extends RowResult {
  /** The seed. */
  seed: number
  /** Minutes of training and evaluation, as a clock on the wall would say. */
  minutes: number
  /** Commit of the sources, when run from a checkout; else null. */
  commit: string | null
  /** Version of the package. */
  version: string
  /** What it was run with; results of the time before this was kept have none. */
  command?: string
  /** The precision that was asked for; results of the time before this was kept have none. */
  precision?: NonNullable<ExperimentSettings['precision']>
}

/** Mean and spread of a measure over seeds. */
export interface Summary {
  /** Mean over seeds. */
  mean: number
  /** Standard deviation over seeds (n - 1); null for one seed. */
  std: number | null
  /** Smallest value. */
  min: number
  /** Largest value. */
  max: number
}

/** A row of the record. */
export interface RowRecord {
  /** Key. */
  name: string
  /** What readers see. */
  title: string
  /** Where it lies in the plane of the experiment, if a point of its curves. */
  position?: Position
  /** Everything that its numbers depend on beside the seed. */
  settings: unknown
  /** First 16 digits of the SHA-256 of the settings as JSON with sorted keys. */
  configHash: string
  /** Results, by ascending seed. */
  seeds: SeedResult[]
  /** Mean and spread by the name of the measure. */
  summary: Record<string, Summary>
}

/** All that is known of an experiment at a scale. */
export interface ExperimentRecord {
  /** Name of the experiment. */
  experiment: string
  /** What readers see. */
  title: string
  /** What it asks. */
  description: string
  /** Its size. */
  scale: ExperimentScale
  /** The command, or the call, that ran it last. */
  command: string
  /** Processor, threads, system and Node of the last run. */
  machine: Record<string, string | number>
  /** What is measured. */
  measures: readonly Measure[]
  /** Axes of the plane that it is drawn in, where it has such. */
  plane?: Axes
  /** Rows with results, in the experiment's order. */
  rows: RowRecord[]
}

/** A hash that is the same for equal settings, in whatever order their keys are. */
export function settingsHash(settings: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(settings)))
    .digest('hex')
    .slice(0, 16)
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]))
}

/** The record as it is before anything was run. */
export function emptyRecord(
  { name, title, description, measures, plane }: Experiment,
  scale: ExperimentScale,
): ExperimentRecord {
  const drawn = plane === undefined ? {} : { plane }
  return {
    experiment: name,
    title,
    description,
    scale,
    command: '',
    machine: {},
    measures,
    ...drawn,
    rows: [],
  }
}

/** What of a row is known before it is run. */
function identity({ name, title, position, settings }: Row): Omit<RowRecord, 'seeds' | 'summary'> {
  return { name, title, ...(position && { position }), settings, configHash: settingsHash(settings) }
}

/** Adds a result to its row. */
export function addResult(
  record: ExperimentRecord,
  rows: readonly Row[],
  row: Row,
  result: SeedResult,
): void {
  const found = record.rows.find(({ name }) => name === row.name)
  const entry = found ?? { ...identity(row), seeds: [], summary: {} }
  entry.seeds = [...entry.seeds.filter(({ seed }) => seed !== result.seed), result].sort(
    (a, b) => a.seed - b.seed,
  )
  entry.summary = Object.fromEntries(
    record.measures.flatMap(({ name }) => {
      const values = entry.seeds.flatMap(({ measures }) => measures[name] ?? [])
      return values.length === 0 ? [] : [[name, summarise(values)]]
    }),
  )
  const place = (name: string) => rows.findIndex((other) => other.name === name)
  record.rows = [...record.rows.filter(({ name }) => name !== row.name), entry].sort(
    (a, b) => place(a.name) - place(b.name),
  )
}

/** Mean and spread. */
export function summarise(values: readonly number[]): Summary {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  const std = values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null
  return { mean, std, min: Math.min(...values), max: Math.max(...values) }
}

/** The result of a row and seed, if the record has it. */
export function resultOf(record: ExperimentRecord, row: Row, seed: number): SeedResult | undefined {
  return record.rows.find(({ name }) => name === row.name)?.seeds.find((result) => result.seed === seed)
}

/**
 * Reads the record of an experiment that is gone on with.
 *
 * @returns the record, or null where there is none
 * @throws {@link AmdimError} `AMDIM_DATA` for a file that is no such record, `AMDIM_INVALID_ARGUMENT` for a row whose
 *   settings are others now
 */
export async function readRecord(
  path: string,
  experiment: Experiment,
  scale: ExperimentScale,
  rows: readonly Row[],
): Promise<ExperimentRecord | null> {
  if (!existsSync(path)) return null
  const record = await parse(path)
  if (record.experiment !== experiment.name || record.scale !== scale)
    throw new AmdimError(
      'AMDIM_INVALID_ARGUMENT',
      `output: ${path} holds ${record.experiment} at scale ${record.scale}, not ${experiment.name} at ${scale}; choose another folder`,
      { path },
    )
  const { command, machine } = record
  const upToDate = record.rows.map((known) => {
    const row = rows.find(({ name }) => name === known.name)
    if (row === undefined) return known
    const { seeds, summary } = known
    const [then, now] = [settingsHash(completed(known.settings)), settingsHash(row.settings)]
    if (then !== now)
      throw new AmdimError(
        'AMDIM_INVALID_ARGUMENT',
        `resume: the results of row ${row.name} in ${path} are of other settings (${then}) than it has now (${now}); ` +
          'choose another folder',
        { path, row: row.name },
      )
    return { ...identity(row), seeds, summary }
  })
  return { ...emptyRecord(experiment, scale), command, machine, rows: upToDate }
}

/** Settings with the options that there were not yet at their defaults, which is how their rows ran. */
function completed(settings: unknown): unknown {
  if (!isPlainObject(settings) || !isPlainObject(settings.config)) return settings
  const { seed: _seed, ...defaults } = configSchema.parse({})
  return { ...settings, config: mergeOverrides(defaults, settings.config) }
}

async function parse(path: string): Promise<ExperimentRecord> {
  try {
    const record = JSON.parse(await readFile(path, 'utf8'))
    if (typeof record?.experiment !== 'string' || !Array.isArray(record.rows))
      throw new Error('it has other fields')
    return record
  } catch (cause) {
    const message = `${path} is no record of an experiment: ${(cause as Error).message}; remove it or choose another folder`
    throw new AmdimError('AMDIM_DATA', message, { path }, { cause })
  }
}

/** Writes the record. */
export async function writeRecord(path: string, record: ExperimentRecord): Promise<void> {
  await writeFileWhole(path, [`${JSON.stringify(record, null, 2)}\n`])
}
