import type { ConfigOverrides, PresetName, RunSettings } from '../config/types.js'
import type { PixelImage } from '../data/from-pictures.js'
import type { DatasetInput } from '../data/open-dataset.js'

/** Pictures of a run, by split. */
export interface TrainData {
  /** Pictures to learn from; labels are optional. */
  train: DatasetInput
  /**
   * Labelled pictures on which the online classifiers are tested during the run.
   *
   * @default the test split of the path given as `train`, if it has one; `null`: none
   */
  test?: DatasetInput | null
}

/** Changes a decoded picture before augmentation; runs in JavaScript, so it is slow. */
export type Transform = (image: PixelImage) => PixelImage

/**
 * Options of {@link trainAmdim}. The settings of {@link RunSettings} may be given too: `device`, `executor`, `precision`,
 * `threads`, `loaderThreads`, `prefetch`, `onBadImage`, `checkpointMinutes`, `keepCheckpoints`, `logEverySteps`,
 * `onlineEvaluateEpochs`.
 */
export interface TrainOptions extends Partial<RunSettings> {
  /** The pictures: a data set, the path of one ({@link openDataset}), or one for each split. */
  data: DatasetInput | TrainData
  /**
   * Named set of values to start from.
   *
   * @default 'tiny'; with `continueFrom` the configuration of that model, with `resume` that of the checkpoint
   */
  preset?: PresetName
  /** Values laid over the preset, at any depth. */
  config?: ConfigOverrides
  /** Length of the run in passes over the training pictures; one of `epochs`, `updates`, `minutes`. */
  epochs?: number
  /** Length of the run in updates. */
  updates?: number
  /** Length of the run in minutes of training, evaluation excluded. */
  minutes?: number
  /**
   * Seed of weights, order, augmentation and sampled positions.
   *
   * @default 1
   */
  seed?: number
  /**
   * Folder that the run writes: `config.json`, `metrics.jsonl`, `checkpoint.safetensors`, `model.safetensors`,
   * `result.json`, and the checkpoints that `keepCheckpoints` asks for.
   *
   * @default a new `runs/<date>-<preset>`; with `resume` the folder of the checkpoint
   */
  output?: string
  /**
   * Checkpoint, or run folder, whose run is continued exactly as if it had not stopped.
   */
  resume?: string
  /** Model or checkpoint file whose encoder's weights are the start, for example on other data. */
  continueFrom?: string
  /**
   * With `continueFrom`: keep its online classifiers too; the classes must be the same.
   *
   * @default false
   */
  keepHead?: boolean
  /**
   * Leave the encoder as it is; only the online classifiers learn.
   *
   * @default false
   */
  freezeEncoder?: boolean
  /** Changes each decoded picture before augmentation. Slow: pictures pass through JavaScript. */
  transform?: Transform
  /** Stops the run at the next step, with a checkpoint; the run then resolves with `cancelled: true`. */
  signal?: AbortSignal
}

/** Every option of {@link TrainOptions} that is not in the schema of run settings. */
export const TRAIN_KEYS = [
  'data',
  'preset',
  'config',
  'epochs',
  'updates',
  'minutes',
  'seed',
  'output',
  'resume',
  'continueFrom',
  'keepHead',
  'freezeEncoder',
  'transform',
  'signal',
] as const satisfies readonly (keyof TrainOptions)[]
