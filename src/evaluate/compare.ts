import type { ComparePlan } from '../config/types.js'
import { AmdimError, invalidArgument } from '../errors.js'
import type { AmdimModel } from '../model/amdim-model.js'
import { addon, unwrapJson } from '../native.js'
import { type EvaluateOptions, evaluate, type Head } from './evaluate.js'
import type { EvaluationReport, HeadReport } from './report.js'

/** Two classifiers on the same test pictures. */
export interface PairedTest {
  /** Pictures that both classify rightly. */
  both: number
  /** Pictures that only the first does. */
  onlyFirst: number
  /** Pictures that only the second does. */
  onlySecond: number
  /** Pictures that neither does. */
  neither: number
  /** Accuracy of the second less that of the first, -1..1. */
  difference: number
  /** Percentile interval of the difference over bootstrap samples of the test pictures. */
  interval: [low: number, high: number]
  /** p-value of McNemar's exact test, two-sided: how likely so uneven a split is if neither is better. */
  pValue: number
}

/** Options of {@link compareModels}: those of {@link evaluate}, and of the paired tests. */
export interface CompareOptions extends Omit<EvaluateOptions, 'augment' | 'predictions' | 'onProgress'> {
  /**
   * Bootstrap samples, 100 to 1,000,000.
   *
   * @default 10000
   */
  resamples?: number
  /**
   * Probability of the intervals.
   *
   * @default 0.95
   */
  confidence?: number
  /** Called now and then with which model is at work, what is being done and how far it is. */
  onProgress?: (model: 'first' | 'second', progress: { stage: string; done: number; total: number }) => void
}

/** Two models compared head by head. */
export interface ModelComparison {
  /** Paired test of each head. */
  heads: Partial<Record<Head, PairedTest>>
  /** Evaluation of the first model. */
  first: EvaluationReport
  /** Evaluation of the second model. */
  second: EvaluationReport
}

/**
 * Fits the same heads on the features of two models and tests whether they differ on the same test pictures: McNemar's
 * exact test, and a bootstrap interval of the difference of accuracies. The spread over training seeds is not in it.
 *
 * @param first - a model, or `rawPixels`
 * @param second - a model, or `rawPixels`
 * @throws {@link AmdimError} as {@link evaluate}
 * @example
 * ```ts
 * import { AmdimModel, compareModels } from 'amdim';
 *
 * const model = await AmdimModel.load('runs/first/model.safetensors');
 * const { heads } = await compareModels('rawPixels', model, { train: 'data/cifar10-sample.tar.gz' });
 * console.log(heads.linear?.difference, heads.linear?.pValue);
 * ```
 */
export async function compareModels(
  first: AmdimModel | 'rawPixels',
  second: AmdimModel | 'rawPixels',
  options: CompareOptions,
): Promise<ModelComparison> {
  const { resamples, confidence, onProgress, ...shared } = options
  const plan = await resolveCompare({ resamples, confidence })
  const report = (model: AmdimModel | 'rawPixels', name: 'first' | 'second') =>
    evaluate(model, {
      ...shared,
      predictions: true,
      onProgress: (progress) => onProgress?.(name, progress),
    })
  const reports = { first: await report(first, 'first'), second: await report(second, 'second') }
  const names = Object.keys(reports.first.heads) as Head[]
  const heads: Partial<Record<Head, PairedTest>> = {}
  for (const name of names) {
    const outcomes = [reports.first, reports.second].map((report) => outcomesOf(report, name))
    heads[name] = await pairedTest(outcomes[0] ?? [], outcomes[1] ?? [], { ...plan, ...seedOf(options) })
  }
  return { heads, ...reports }
}

/** Options of {@link pairedTest}. */
export interface PairedTestOptions {
  /**
   * Bootstrap samples, 100 to 1,000,000.
   *
   * @default 10000
   */
  resamples?: number
  /**
   * Probability of the interval.
   *
   * @default 0.95
   */
  confidence?: number
  /**
   * Seed of the bootstrap samples.
   *
   * @default 1
   */
  seed?: number
}

/**
 * Compares what two classifiers got right on the same pictures.
 *
 * @param first - for each picture, whether the first classifies it rightly
 * @param second - the same of the second
 * @throws {@link AmdimError} `AMDIM_SHAPE` when the numbers of pictures differ, `AMDIM_INVALID_ARGUMENT` for a bad option
 * @example
 * ```ts
 * import { pairedTest } from 'amdim';
 *
 * const { pValue } = await pairedTest([true, false, false], [true, true, false]);
 * console.log(pValue); // 1: one picture proves nothing
 * ```
 */
export async function pairedTest(
  first: readonly boolean[],
  second: readonly boolean[],
  options: PairedTestOptions = {},
): Promise<PairedTest> {
  for (const [name, outcomes] of [
    ['first', first],
    ['second', second],
  ] as const)
    if (!Array.isArray(outcomes) || outcomes.some((right) => typeof right !== 'boolean'))
      throw invalidArgument(name, 'an array of true and false', outcomes)
  const { seed = 1, ...rest } = options
  if (!Number.isSafeInteger(seed) || seed < 0) throw invalidArgument('seed', 'a whole number >= 0', seed)
  const plan = await resolveCompare(rest)
  const { availableParallelism } = await import('node:os')
  const request = JSON.stringify({ ...plan, seed, threads: availableParallelism() })
  const bytes = (outcomes: readonly boolean[]) => Uint8Array.from(outcomes, Number)
  return unwrapJson<PairedTest>(await addon().compareOutcomes(request, bytes(first), bytes(second)))
}

/** The options of the tests with every default filled in. */
export async function resolveCompare(options: object): Promise<ComparePlan> {
  const [{ validate }, { compareSchema }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/measure-schema.js'),
  ])
  return validate(compareSchema, options)
}

function seedOf({ seed }: CompareOptions): { seed?: number } {
  return seed === undefined ? {} : { seed }
}

/** Whether each counted test picture was classified rightly. */
function outcomesOf({ heads, test }: EvaluationReport, name: Head): boolean[] {
  const predictions = (heads[name] as HeadReport | undefined)?.predictions
  if (predictions === undefined || test === undefined)
    throw new AmdimError('AMDIM_INTERNAL', `no predictions of ${name}`)
  // Both models leave the same pictures out: their order depends on the seed alone.
  return predictions.flatMap((predicted, i) => (predicted < 0 ? [] : [predicted === test.labels[i]]))
}
