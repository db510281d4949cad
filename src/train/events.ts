/** The run has started. */
export interface StartEvent {
  /** Kind of the event. */
  type: 'start'
  /** Folder that the run writes. */
  runFolder: string | null
  /** Device used. */
  device: string
  /** Executor used. */
  executor: string
  /** How the encoder keeps its maps. */
  precision: 'f32' | 'bf16'
  /** Instructions of the processor that the `cpu` executor uses: `amx`, `avx512`, `avx2`, `neon` or `portable`. */
  kernel: string
  /** Threads of the computation. */
  threads: number
  /** Training pictures. */
  trainSize: number
  /** Test pictures; `null` without a test split. */
  testSize: number | null
  /** Number of classes; 0 without labels. */
  classes: number
  /** Parameters of the encoder, projections included. */
  parameters: number
  /** Updates an epoch; the last, incomplete batch is dropped. */
  updatesPerEpoch: number
  /** Updates of the whole run; `null` when its length is in minutes. */
  totalUpdates: number | null
  /**
   * A term's loss at chance in nats, log(1 + (B - 1) * locations), with mixture features less
   * entropyWeight * log(components): a loss that stays there learns nothing.
   */
  chanceLevel: Record<string, number>
  /** Updates that a resumed run had already made. */
  resumedFrom: number
}

/** How the online classifiers do on training batches. */
export interface ClassifierProgress {
  /** Cross-entropy of the linear classifier, in nats. */
  linearLoss: number
  /** Its accuracy, 0..1. */
  linearTop1: number
  /** Cross-entropy of the MLP, in nats. */
  mlpLoss: number
  /** Its accuracy, 0..1. */
  mlpTop1: number
}

/** Averages over the steps since the last event of this type. */
export interface StepEvent {
  /** Kind of the event. */
  type: 'step'
  /** Updates made. */
  update: number
  /** Epoch of the last of them, from 0. */
  epoch: number
  /** Pairs of views seen. */
  pairs: number
  /** Seconds of training, evaluation excluded. */
  seconds: number
  /** Pairs of views a second, since the last event of this type. */
  pairsPerSecond: number
  /** Learning rate of the last step. */
  learningRate: number
  /** Sum of terms and penalty, in nats; of the classifiers' losses where the objective is off (supervised, frozen encoder). */
  loss: number
  /** Loss of each term, such as `1->5`, in nats. */
  terms: Record<string, number>
  /** Penalty on the scores. */
  penalty: number
  /** Share of the sources whose positive scores highest, a term. */
  nceTop1: Record<string, number>
  /** Mean score before clipping. */
  scoreMean: number
  /** Standard deviation of the scores. */
  scoreStd: number
  /** Largest score by magnitude. */
  scoreMax: number
  /**
   * Mean entropy of the posteriors over mixture features, in nats: 0 where one component takes each location,
   * log(components) where all do alike. `null` without `objective.mixture`.
   */
  posteriorEntropy: number | null
  /** Norm of the whole gradient before clipping. */
  gradientNorm: number
  /** Online classifiers; `null` without labels. */
  classifier: ClassifierProgress | null
  /** Share of the run that is done, 0..1. */
  progress: number
  /** Seconds to go; `null` while unknown. */
  etaSeconds: number | null
}

/** A checkpoint was written. */
export interface CheckpointEvent {
  /** Kind of the event. */
  type: 'checkpoint'
  /** Its path. */
  path: string
  /** Updates made. */
  update: number
}

/** An epoch ended. */
export interface EpochEvent {
  /** Kind of the event. */
  type: 'epoch'
  /** Epochs done. */
  epoch: number
  /** Updates made. */
  update: number
  /** Seconds of training. */
  seconds: number
}

/** The online classifiers were tested on the test split. */
export interface EvaluationEvent {
  /** Kind of the event. */
  type: 'evaluation'
  /** Epochs done. */
  epoch: number
  /** Updates made. */
  update: number
  /** Accuracy of the linear classifier, 0..1. */
  linearTop1: number
  /** Accuracy of the MLP, 0..1. */
  mlpTop1: number
}

/** Something that a user should know but that does not stop the run. */
export interface WarningEvent {
  /** Kind of the event. */
  type: 'warning'
  /** Stable code of the warning. */
  code: string
  /** What it is about. */
  message: string
}

/** A picture was left out (`onBadImage: 'skip'`). */
export interface SkippedEvent {
  /** Kind of the event. */
  type: 'skipped'
  /** Its path, or its index in the data set. */
  name: string
  /** Code of the failure, as in `AmdimError`. */
  code: string
  /** What was wrong with it. */
  message: string
}

/** What happens in a run, told apart by `type`. */
export type TrainEvent =
  | StartEvent
  | StepEvent
  | CheckpointEvent
  | EpochEvent
  | EvaluationEvent
  | WarningEvent
  | SkippedEvent
