import { resolveConfig } from '../config/config.js'
import type { InnerLayer, MapLayer } from '../config/encoder-maps.js'
import { findPreset } from '../config/presets.js'
import type { AugmentConfig, DeepPartial, EvaluationPlan, PresetName } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import type { Dataset } from '../data/dataset.js'
import { type DatasetInput, OpenedDatasets } from '../data/open-dataset.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { AmdimModel } from '../model/amdim-model.js'
import { addon } from '../native.js'
import { assertListener, ofJson, resultListened } from '../native-job.js'
import type { EvaluationReport } from './report.js'

/** A head on frozen features: multinomial logistic regression, an MLP, or k nearest neighbours. */
export type Head = 'linear' | 'mlp' | 'knn'

/** Options of {@link evaluate}. */
export interface EvaluateOptions {
  /** Pictures with labels that the heads learn from; the path of a data set with both splits gives `test` too. */
  train: DatasetInput
  /**
   * Pictures with labels that the heads are tested on.
   *
   * @default the test split of the path given as `train`
   */
  test?: DatasetInput
  /**
   * Which heads.
   *
   * @default ['linear', 'knn']
   */
  heads?: readonly Head[]
  /**
   * Layer of the encoder that the heads see, a map as one vector; of encoders of kind `dim` also `conv` and `fc`. Not for
   * a classifier task that encodes pictures anew (`augmentTrain`, protocol `reference`).
   *
   * @default 'global'
   */
  layer?: MapLayer | InnerLayer | 'mixture'
  /**
   * How the heads of the classifier task are trained and tested: `corrected`, or `reference` with the original's
   * habits (batch statistics from test pictures, last batch dropped). With `reference` the linear head is trained by
   * the classifier task too, unless `linear.method` says otherwise.
   *
   * @default 'corrected'
   */
  protocol?: 'corrected' | 'reference'
  /** The linear head: `method`, `l2`, `maxIterations`, `tolerance`. */
  linear?: DeepPartial<EvaluationPlan['linear']>
  /** The classifier task: epochs, learning rate and so on, as `jsonSchema('evaluate')` lists them. */
  classifierTask?: Omit<DeepPartial<EvaluationPlan['classifierTask']>, 'protocol'>
  /** The kNN head: `k`, `temperature`. */
  knn?: DeepPartial<EvaluationPlan['knn']>
  /**
   * Preset whose classifier-task schedule and, for raw pixels, test-time transform are used.
   *
   * @default 'tiny'
   */
  preset?: PresetName
  /**
   * Test-time transform.
   *
   * @default that of the model; of the preset for raw pixels
   */
  augment?: AugmentConfig
  /**
   * Pictures encoded at once.
   *
   * @default 256
   */
  batchSize?: number
  /**
   * Threads of the computation.
   *
   * @default one a core
   */
  threads?: number
  /**
   * Seed of subsets, head weights and their training.
   *
   * @default 1
   */
  seed?: number
  /**
   * A picture that cannot be read ends the evaluation (`error`) or is left out and listed (`skip`).
   *
   * @default 'error'
   */
  onBadImage?: 'error' | 'skip'
  /**
   * Use only this many training pictures, drawn by the seed.
   *
   * @default all
   */
  maxTrain?: number
  /**
   * Also list the class that each head predicts for each test picture, and the test pictures with their labels.
   *
   * @default false
   */
  predictions?: boolean
  /** Stops the evaluation; it then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
  /** Called now and then with what is being done and how far it is; what it throws ends the work, which rejects with that. */
  onProgress?: (progress: EvaluateProgress) => void
}

/** How far an evaluation is. */
export interface EvaluateProgress {
  /** Always `progress`. */
  type: 'progress'
  /** What is being done, such as encoding or fitting a head. */
  stage: string
  /** Units done. */
  done: number
  /** Units in all. */
  total: number
}

const OWN_KEYS = ['train', 'test', 'protocol', 'preset', 'augment', 'signal', 'onProgress']
const PLAN_KEYS = [
  'heads',
  'layer',
  'linear',
  'classifierTask',
  'knn',
  'batchSize',
  'threads',
  'seed',
  'onBadImage',
  'maxTrain',
  'predictions',
]

/**
 * How well heads on frozen features classify: top-1 and top-5 with 95 % confidence intervals, per class, confusion
 * matrix.
 *
 * @param model - a model, or `rawPixels` for the pixels themselves as baseline
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option, `AMDIM_DATA` for pictures without labels or
 *   classes that are only in `test`, `AMDIM_CANCELLED` when the signal aborts
 * @example
 * ```ts
 * import { AmdimModel, evaluate } from 'amdim';
 *
 * const model = await AmdimModel.load('runs/first/model.safetensors');
 * const report = await evaluate(model, { train: 'data/cifar10-sample.tar.gz', heads: ['linear', 'knn'] });
 * console.log(report.heads.linear?.top1, report.heads.linear?.top1Interval);
 * ```
 */
export async function evaluate(
  model: AmdimModel | 'rawPixels',
  options: EvaluateOptions,
): Promise<EvaluationReport> {
  if (model !== 'rawPixels' && !(model instanceof AmdimModel))
    throw invalidArgument('model', "an AmdimModel or 'rawPixels'", model)
  assertKnownKeys(options, [...OWN_KEYS, ...PLAN_KEYS], 'evaluate')
  const request = { ...(await resolvePlan(options)), augment: await testTransform(model, options) }
  const opened = new OpenedDatasets()
  try {
    const { train, test } = await openSplits(options, opened)
    return await run(model, JSON.stringify(request), train, test, options)
  } finally {
    opened.dispose()
  }
}

/** The plan with every default filled in, the protocol's and the preset's included. */
export async function resolvePlan(options: Omit<EvaluateOptions, 'train'>): Promise<EvaluationPlan> {
  const [{ validate }, { evaluateSchema }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/evaluate-schema.js'),
  ])
  const { protocol = 'corrected', preset = 'tiny' } = options
  const { epochs, milestones } = findPreset(preset).classifierTask
  // The reference has no other way to fit a linear head.
  const method = protocol === 'reference' ? 'classifierTask' : 'lbfgs'
  const given = Object.fromEntries(Object.entries(options).filter(([key]) => PLAN_KEYS.includes(key)))
  const plan = validate(evaluateSchema, {
    ...given,
    linear: { method, ...options.linear },
    classifierTask: { ...scheduleFor(options, { epochs, milestones }), ...options.classifierTask, protocol },
  })
  plan.classifierTask.augmentTrain ??= protocol === 'reference'
  return plan
}

/** Who asks for another number of epochs means the milestones at the same shares of it. */
function scheduleFor(
  { classifierTask }: Omit<EvaluateOptions, 'train'>,
  { epochs, milestones }: { epochs: number; milestones: readonly number[] },
) {
  const wanted = classifierTask?.epochs ?? epochs
  return { epochs, milestones: milestones.map((milestone) => (milestone * wanted) / epochs) }
}

/** The test-time transform: what is given, or else the model's, or else the preset's. */
export async function testTransform(
  model: AmdimModel | 'rawPixels',
  { augment, preset }: Pick<EvaluateOptions, 'augment' | 'preset'>,
): Promise<AugmentConfig> {
  if (augment !== undefined) return augment
  if (model !== 'rawPixels') return model.config.augment
  return (await resolveConfig({ ...(preset && { preset }) })).augment
}

async function openSplits({ train, test }: EvaluateOptions, opened: OpenedDatasets) {
  const learn = await opened.splits('train', train)
  const check = test === undefined ? learn.test : await testSplit(test, opened)
  if (check === null)
    throw invalidArgument('test', 'a data set to test on', test, 'the path given as train has no test split')
  for (const [name, dataset] of [
    ['train', learn.train],
    ['test', check],
  ] as const)
    if (!dataset.labelled)
      throw new AmdimError(
        'AMDIM_DATA',
        `${name}: expected pictures with labels, ${dataset.description} has none`,
        { name },
      )
  return { train: learn.train, test: check }
}

/** The test split of a path, or all of it when it has one split only. */
async function testSplit(input: DatasetInput, opened: OpenedDatasets): Promise<Dataset> {
  const splits = await opened.splits('test', input)
  return splits.test ?? splits.train
}

async function run(
  model: AmdimModel | 'rawPixels',
  request: string,
  train: Dataset,
  test: Dataset,
  { signal, onProgress }: EvaluateOptions,
): Promise<EvaluationReport> {
  assertListener('onProgress', onProgress)
  const native = model === 'rawPixels' ? null : model.native
  const report = await resultListened<string, string>(
    (onEvent) => addon().startEvaluation(native, request, train.native, test.native, onEvent),
    { listener: ofJson(onProgress), signal },
  )
  return JSON.parse(report) as EvaluationReport
}
