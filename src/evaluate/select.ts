import { assertOneOf } from '../data/arguments.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { AmdimModel, type ModelOptions } from '../model/amdim-model.js'
import { type MeasureName, type MeasureOptions, measure, resolveMeasures } from './measure.js'
import type { MeasureReport } from './measure-report.js'

/**
 * What the best model has most of: `rankMe`, the `effectiveRank` of the spectrum; without labels also `uniformity` (the
 * most even) or `alignmentUniformity` (the lowest sum of both); with labels `meanAveragePrecision` or `nmi`.
 */
export type Criterion =
  | 'rankMe'
  | 'effectiveRank'
  | 'uniformity'
  | 'alignmentUniformity'
  | 'meanAveragePrecision'
  | 'nmi'

/** Each criterion: the measures that it needs and its value, of which the highest is best. */
const CRITERIA: Record<
  Criterion,
  { needs: readonly MeasureName[]; value: (report: MeasureReport) => number }
> = {
  rankMe: { needs: ['rankMe'], value: ({ rankMe }) => rankMe ?? Number.NaN },
  effectiveRank: { needs: ['spectrum'], value: ({ spectrum }) => spectrum?.effectiveRank ?? Number.NaN },
  uniformity: { needs: ['uniformity'], value: ({ uniformity }) => -(uniformity ?? Number.NaN) },
  alignmentUniformity: {
    needs: ['alignment', 'uniformity'],
    value: ({ alignment, uniformity }) => -((alignment ?? Number.NaN) + (uniformity ?? Number.NaN)),
  },
  meanAveragePrecision: {
    needs: ['retrieval'],
    value: ({ retrieval }) => retrieval?.meanAveragePrecision ?? Number.NaN,
  },
  nmi: { needs: ['clustering'], value: ({ clustering }) => clustering?.nmi ?? Number.NaN },
}

/** Names of the criteria of {@link selectModel}. */
export const CRITERION_NAMES = Object.keys(CRITERIA) as Criterion[]

/** Options of {@link selectModel}: those of {@link measure}, and by what to choose. */
export interface SelectOptions extends MeasureOptions {
  /**
   * What the best model has most of. The measures that it needs are added to `measures`.
   *
   * @default 'rankMe'
   */
  by?: Criterion
  /** Where the models compute. */
  place?: ModelOptions
  /** Called before each model is measured. */
  onModel?: (path: string, index: number) => void
}

/** A model file and what was measured on it. */
export interface MeasuredModel {
  /** The file. */
  path: string
  /** Its measures. */
  report: MeasureReport
}

/** Models with their measures. */
export interface Selection {
  /** File of the best model; of equal ones the first. */
  best: string
  /** What it was chosen by. */
  by: Criterion
  /** Every model in the order given. */
  models: MeasuredModel[]
}

/**
 * Measures model or checkpoint files on the same pictures and chooses the best one, by default by RankMe and therefore
 * without labels. Ranks compare models of one kind: other sizes of encoders have other ranks.
 *
 * @param paths - model or checkpoint files, one at least
 * @throws {@link AmdimError} as {@link measure} and `AmdimModel.load`
 * @example
 * ```ts
 * import { selectModel } from 'amdim';
 *
 * const files = ['runs/a/model.safetensors', 'runs/b/model.safetensors'];
 * const { best } = await selectModel(files, { data: 'data/cifar10-sample.tar.gz' });
 * console.log(best);
 * ```
 */
export async function selectModel(paths: readonly string[], options: SelectOptions): Promise<Selection> {
  if (!Array.isArray(paths) || paths.length === 0 || paths.some((path) => typeof path !== 'string'))
    throw invalidArgument('paths', 'an array of at least one path', paths)
  const { by = 'rankMe', place = {}, onModel, ...given } = options
  assertOneOf('by', by, CRITERION_NAMES)
  const { measures } = await resolveMeasures(given)
  const wanted = { ...given, measures: [...new Set([...measures, ...CRITERIA[by].needs])] }
  const models: Selection['models'] = []
  for (const [index, path] of paths.entries()) {
    onModel?.(path, index)
    using model = await AmdimModel.load(path, place)
    models.push({ path, report: await measure(model, wanted) })
  }
  const value = ({ report }: Selection['models'][number]) => CRITERIA[by].value(report)
  const best = models.reduce((best, model) => (value(model) > value(best) ? model : best))
  if (Number.isNaN(value(best))) throw new AmdimError('AMDIM_INTERNAL', `no value of ${by}`)
  return { best: best.path, by, models }
}
