import { findPreset } from '../config/presets.js'
import type { PresetName, RunSettings } from '../config/types.js'
import { assertOptions } from '../config/validate-keys.js'
import { assertPath } from '../data/arguments.js'
import { invalidArgument } from '../errors.js'
import type { TrainOptions } from './options.js'
import { executeRun } from './train-amdim.js'
import { TrainingRun } from './training-run.js'

/** Options of {@link trainClassifiers}; the settings of a training run may be given too. */
export interface TrainClassifiersOptions extends Partial<RunSettings> {
  /** Model or checkpoint file whose encoder is used, and stays as it is. */
  model: string
  /** Pictures with labels: of the data set that the encoder learned from, or of another one. */
  data: TrainOptions['data']
  /**
   * Whose schedule of the classifier task is followed: 120 epochs for CIFAR and STL-10, 30 for ImageNet, 15 for
   * Places205.
   *
   * @default 'tiny', whose schedule is that of CIFAR
   */
  preset?: PresetName
  /**
   * Passes over the pictures; the rate decays at the same shares of them as in the preset's schedule.
   *
   * @default those of the preset
   */
  epochs?: number
  /**
   * Share of the labels that are used, the same of every class, drawn by the seed.
   *
   * @default 1
   */
  labelFraction?: number
  /**
   * Pictures a step.
   *
   * @default that of the model's own run
   */
  batchSize?: number
  /**
   * Learning rate before it decays.
   *
   * @default 2e-4, as in the reference
   */
  learningRate?: number
  /**
   * Seed of the classifiers' weights, the order, augmentation and dropout.
   *
   * @default 1
   */
  seed?: number
  /** Folder that the run writes; its model has the encoder and the new classifiers. Default as in {@link trainAmdim}. */
  output?: string
  /** Stops the run at the next step, with a checkpoint. */
  signal?: AbortSignal
}

/** Options of a run that the task fixes. */
const FIXED = ['resume', 'continueFrom', 'keepHead', 'freezeEncoder', 'config', 'updates', 'minutes']

/**
 * The classifier task of the reference (task_classifiers.py): new classifiers, one linear and one with a hidden layer,
 * learn on the features of a frozen encoder, from augmented pictures, by the reference's schedule.
 *
 * It is a run of {@link trainAmdim} with a frozen encoder: it writes the same files, and `trainAmdim({ data, resume })`
 * goes on with it. For the accuracy of heads alone {@link evaluate} is quicker.
 *
 * @returns a handle to await, to iterate over, and to cancel
 * @throws {@link AmdimError} when awaited, as {@link trainAmdim}
 * @example
 * ```ts
 * import { trainClassifiers } from 'amdim';
 *
 * const { model, metrics } = await trainClassifiers({
 *   model: 'runs/first/model.safetensors',
 *   data: 'data/cifar10-sample.tar.gz',
 *   epochs: 2,
 * });
 * console.log(metrics.evaluation?.linearTop1);
 * const { classes, probabilities } = await model.classify(['cat.jpg']);
 * ```
 */
export function trainClassifiers(options: TrainClassifiersOptions): TrainingRun {
  return new TrainingRun(async (emit, cancellation) => executeRun(toRun(options), emit, cancellation))
}

/** The run that the classifier task is. */
function toRun(options: TrainClassifiersOptions): TrainOptions {
  assertOptions(options, 'trainClassifiers')
  const { model, preset = 'tiny', epochs, labelFraction, batchSize, learningRate = 2e-4, ...rest } = options
  assertPath('model', model)
  for (const name of FIXED)
    if (Object.hasOwn(options, name)) throw invalidArgument(name, 'no such option of trainClassifiers', name)
  const usual = findPreset(preset).classifierTask
  const wanted = epochs ?? usual.epochs
  return {
    ...rest,
    continueFrom: model,
    freezeEncoder: true,
    config: {
      length: { epochs: wanted },
      schedule: {
        kind: 'multistep',
        milestones: usual.milestones.map((milestone) => (milestone * wanted) / usual.epochs),
        decay: 0.2,
        warmupUpdates: 0,
      },
      // The reference trains classifiers with the optimiser of the encoder.
      optimizer: { learningRate, beta1: 0.8, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-5 },
      classifiers: { enabled: true },
      supervised: false,
      labelFraction: labelFraction ?? 1,
      ...(batchSize !== undefined && { batchSize }),
    },
  }
}
