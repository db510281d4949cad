/** What an experiment is: rows that are run under several seeds, and what is measured on each. */
import type { RunSettings } from '../config/types.js'
import type { DatasetSplits } from '../data/open-dataset.js'
import type { EvaluateProgress } from '../evaluate/evaluate.js'
import type { TrainEvent } from '../train/events.js'

/** How large: `tiny` fits two cores and some hours, `paper` has the sizes of the publication. */
export type ExperimentScale = 'tiny' | 'paper'

/** A data set that rows need, under the name by which it is looked for. */
export type DataName = 'cifar10' | 'cifar100' | 'stl10' | 'mnist' | 'imagenet' | 'places205'

/** A number that is measured on rows. */
export interface Measure {
  /** Key in results. */
  readonly name: string
  /** Head of its column. */
  readonly title: string
  /** Whether it is a share, 0..1, which people read as percent. */
  readonly isShare: boolean
  /** Digits behind the point in tables; 1 of a share, 3 of another number, where it is missing. */
  readonly digits?: number
}

/** What the axes of a plane are, and what is drawn in it. */
export interface Axes {
  /** What lies across. */
  readonly x: string
  /** What lies up. */
  readonly y: string
  /** Whether each panel has a scale upwards of its own, as its values are of another size; else all have one. */
  readonly isOwnUp?: boolean
  /** Names of the measures that lie up where rows have a position, the later over the earlier; all where it is missing. */
  readonly measures?: readonly string[]
}

/**
 * Where a row lies in the plane of its experiment; its measures lie up from there, shares in percent. It names the curve and
 * leaves a panel to each measure, or the other way round.
 */
export interface Position {
  /** How far across. */
  readonly x: number
  /** The curve through it and others of that name, in the order of the rows; by default the title of the measure. */
  readonly curve?: string
  /** Head of the panel that it is drawn in; by default the title of the measure. */
  readonly panel?: string
}

/** A path through the plane of an experiment, of points in the order of the run. */
export interface Curve {
  /** What it is of. */
  readonly name: string
  /** Head of the panel that it is drawn in; by default the title of its row. */
  readonly panel?: string
  /** Updates after which the points were taken. */
  readonly updates: readonly number[]
  /** The points. */
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** What a row gave under one seed. */
export interface RowResult {
  /** Values by the name of their measure; a row may lack some. */
  readonly measures: Readonly<Record<string, number>>
  /** Paths, of experiments that have a plane. */
  readonly curves?: readonly Curve[]
  /** Pairs of views seen in training. */
  readonly pairs: number
  /** Minutes of training, evaluation excluded. */
  readonly trainMinutes: number
}

/** What one real step of a row showed. */
export interface DryRunResult {
  /** Name of the row. */
  readonly row: string
  /** Trained numbers of the encoder. */
  readonly parameters: number
  /** Pictures of the step, which is smaller than the row's own batch. */
  readonly batchSize: number
  /** Pictures of a step of the row itself. */
  readonly fullBatchSize: number
  /** Loss of the step, in nats. */
  readonly loss: number
  /** Seconds of the step and of what belongs to it. */
  readonly seconds: number
}

/** Where and how rows are computed: settings of {@link trainAmdim} that do not belong to a row. */
export type ExperimentSettings = Partial<
  Pick<RunSettings, 'device' | 'executor' | 'precision' | 'threads' | 'loaderThreads' | 'checkpointMinutes'>
>

/** What a row is given for one seed. */
export interface Job {
  readonly seed: number
  /** Folder of the row's files for this seed; what is there of an earlier attempt is gone on with. */
  readonly folder: string
  /** Opens a data set; released by who runs the experiment. */
  data(name: DataName): Promise<DatasetSplits>
  readonly settings: ExperimentSettings
  readonly signal: AbortSignal
  onEvent(event: TrainEvent | EvaluateProgress): void
}

/** What a row is given for one step. */
export interface DryRunJob extends Pick<Job, 'folder' | 'settings' | 'signal'> {
  /** Opens a data set; null where there are none, and noise stands in. */
  data(name: DataName): Promise<DatasetSplits> | null
}

/** A row of an experiment. */
export interface Row {
  /** Key in results and on the command line. */
  readonly name: string
  /** What readers see. */
  readonly title: string
  /** Data sets that it needs. */
  readonly data: readonly DataName[]
  /** Where it lies in the plane of its experiment, if a point of its curves. */
  readonly position?: Position
  /** Everything that its numbers depend on beside the seed, as plain data; a hash of it tells rows of other settings apart. */
  readonly settings: unknown
  /** Does the work for one seed. */
  run(job: Job): Promise<RowResult>
  /** Does one real step. */
  dryRun(job: DryRunJob): Promise<DryRunResult>
}

/** An experiment. */
export interface Experiment {
  /** Key on the command line, and of its files. */
  readonly name: string
  /** What readers see. */
  readonly title: string
  /** What it asks, and where it is from. */
  readonly description: string
  /** What is measured, in the order of the table's columns; the first is drawn first. */
  readonly measures: readonly Measure[]
  /** Axes of the plane that it is drawn in: curves of its rows, and curves through rows that have a position. */
  readonly plane?: Axes
  /** Its rows at a scale. */
  rows(scale: ExperimentScale): Promise<readonly Row[]>
}
