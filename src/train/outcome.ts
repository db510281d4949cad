import type { AmdimModel } from '../model/amdim-model.js'
import type { SkippedPicture } from '../model/embedding.js'
import type { EvaluationEvent, StepEvent } from './events.js'

/** Files that a run wrote. */
export interface RunPaths {
  /** Folder of the run. */
  runFolder: string
  /** Weights and configuration; `null` for a cancelled run. */
  model: string | null
  /** Newest checkpoint, to resume from. */
  checkpoint: string | null
  /** Every event, one JSON object a line. */
  metrics: string
}

/** What a run came to. */
export interface TrainOutcome {
  /** Whether it was cancelled before its end. */
  cancelled: boolean
  /** Updates made, those before a resume included. */
  update: number
  /** Epoch of the next batch, from 0. */
  epoch: number
  /** Pairs of views seen. */
  pairs: number
  /** Seconds of training, evaluation excluded. */
  seconds: number
  /** Pairs of views a second, over the whole run. */
  pairsPerSecond: number
  /** The last metrics; `null` when there were none. */
  metrics: {
    /** Averages over the last steps. */
    step: StepEvent | null
    /** The last test of the online classifiers. */
    evaluation: EvaluationEvent | null
  }
  /** Files written. */
  paths: RunPaths
  /** Pictures that were left out. */
  skipped: SkippedPicture[]
  /** The trained model. */
  model: AmdimModel
}

/** What the addon says at the end of a run. */
export interface TrainResult {
  cancelled: boolean
  update: number
  epoch: number
  pairs: number
  seconds: number
  pairsPerSecond: number
  lastStep: Omit<StepEvent, 'type'> | null
  modelPath: string | null
  checkpointPath: string | null
  runFolder: string | null
  skipped: SkippedPicture[]
}
