import type { EstimatePlan } from '../config/types.js'
import type { Features } from '../evaluate/search.js'
import { estimateMutualInformation } from '../information/estimate.js'
import type { Position, Row } from './experiment.js'

/** A row that estimates the mutual information of two variables whose samples are made. */
export interface EstimateRow {
  readonly name: string
  readonly title: string
  /** Where it lies in the plane of its experiment. */
  readonly position?: Position
  /** Everything that its numbers depend on beside the seed. */
  readonly settings: unknown
  /** How it is estimated. */
  readonly plan: Partial<EstimatePlan> & { readonly updates: number; readonly batchSize: number }
  /** Number of samples. */
  readonly samples: number
  /** Parameters of the critic. */
  readonly parameters: number
  /** Samples of both variables. */
  draw(count: number, seed: number): readonly [Features, Features]
  /** What is measured, from the estimate in nats. */
  measures(nats: number): Record<string, number>
}

/** Samples and pictures of a batch of a dry run. */
const [DRY_SAMPLES, DRY_BATCH] = [64, 16]

/** The row as an experiment runs it. */
export function estimateRow(row: EstimateRow): Row {
  const { name, title, position, settings, plan, samples, parameters } = row
  const estimate = async (count: number, seed: number, more: object) => {
    const [x, y] = row.draw(count, seed)
    return (await estimateMutualInformation(x, y, { ...plan, seed, ...more })).nats
  }
  return {
    name,
    title,
    ...(position && { position }),
    data: [],
    settings,
    async run({ seed, signal, settings: { threads } }) {
      const began = performance.now()
      const nats = await estimate(samples, seed, { signal, ...(threads !== undefined && { threads }) })
      return {
        measures: row.measures(nats),
        pairs: plan.updates * plan.batchSize,
        trainMinutes: (performance.now() - began) / 60_000,
      }
    },
    async dryRun({ signal }) {
      const began = performance.now()
      const nats = await estimate(DRY_SAMPLES, 1, { updates: 1, batchSize: DRY_BATCH, signal })
      return {
        row: name,
        parameters,
        batchSize: DRY_BATCH,
        fullBatchSize: plan.batchSize,
        loss: -nats,
        seconds: (performance.now() - began) / 1000,
      }
    },
  }
}
