import type { EvaluateProgress } from '../evaluate/evaluate.js'
import type { TrainEvent } from '../train/events.js'
import { type ExperimentName, findExperiment } from './catalogue.js'
import type { DataName, DryRunResult, ExperimentScale, ExperimentSettings, Measure } from './experiment.js'
import type { ExperimentRecord, SeedResult } from './record.js'

/** What {@link runExperiment} and {@link dryRunExperiment} both are told. */
export interface CommonOptions extends ExperimentSettings {
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
   * experiment that needs one, the data set itself. Not needed where rows make their own samples.
   */
  data?: string
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
  /** What was measured, and whether it is a share. */
  measures: readonly Measure[]
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
  const { runRows } = await loadRunner()
  return runRows(await findExperiment(name), options)
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
  const { dryRunRows } = await loadRunner()
  return dryRunRows(await findExperiment(name), options)
}

// Loaded when used, so that importing the package stays quick.
const loadRunner = () => import('./run-rows.js')

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
