import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mergeOverrides } from '../config/merge.js'
import { resolveSources } from '../config/resolve.js'
import type { AmdimConfig, ConfigOverrides, PresetName } from '../config/types.js'
import type { DatasetSplits } from '../data/open-dataset.js'
import { AmdimError } from '../errors.js'
import { type EvaluateOptions, evaluate, type Head } from '../evaluate/evaluate.js'
import { measure } from '../evaluate/measure.js'
import { AmdimModel } from '../model/amdim-model.js'
import { trainAmdim } from '../train/train-amdim.js'
import type { Curve, DataName, DryRunJob, DryRunResult, Job, Position, Row, RowResult } from './experiment.js'
import { type LookedAt, type Trained, toItsEnd, trainAndLook } from './looks.js'
import { noise } from './noise.js'
import { settingsHash } from './record.js'

/** Pictures at which the condition number is taken. */
const CONDITION_PICTURES = 8

/** Pictures of the one step of a dry run. */
const DRY_BATCH = 4

/** Heads that are fitted on a trained encoder. */
export interface HeadsOn {
  /** Data set that they learn from and are tested on. */
  readonly data: DataName
  /** The measure of each head. */
  readonly measures: Readonly<Partial<Record<Head, string>>>
  /** How they are fitted. */
  readonly options?: Pick<EvaluateOptions, 'layer' | 'linear' | 'classifierTask' | 'knn' | 'preset'>
}

/** How the condition number of an encoder's Jacobian is looked at. */
export interface Condition {
  /** The measure that is its last value. */
  readonly measure: string
  /** Ascending numbers of updates after which it is taken; the last is the length of the run. */
  readonly updates: readonly number[]
  /** Name and panel of the curve that it draws, of the logarithm to base 10 over updates. */
  readonly curve: Pick<Curve, 'name' | 'panel'>
}

/** A row that trains an encoder and then tests heads on it. */
export interface EncoderRow {
  readonly name: string
  readonly title: string
  /** Where it lies in the plane of its experiment. */
  readonly position?: Position
  /** Data set whose training pictures the encoder sees. */
  readonly data: DataName
  readonly preset?: PresetName
  /** Values laid over the preset, the later over the earlier. */
  readonly config: readonly ConfigOverrides[]
  readonly heads: readonly HeadsOn[]
  /** The measure that is the error, 0..1, of the run's own linear classifier on the test pictures of `data`. */
  readonly ownError?: string
  /** The condition number of the encoder's Jacobian at test pictures of `data`, on its way and at the end. */
  readonly condition?: Condition
  /** Measures of parts of the loss, by the name of the part: their means over the last steps of the run, in nats. */
  readonly parts?: Readonly<Record<string, string>>
}

/** The row as an experiment runs it. */
export function encoderRow(row: EncoderRow): Row {
  const { name, title, position, data, preset, config, heads, ownError, condition, parts = {} } = row
  const overrides = config.reduce<ConfigOverrides>(
    (all, more) => mergeOverrides(all, more) as ConfigOverrides,
    {},
  )
  // Everything that is the seed's comes from the job.
  const { seed: _seed, ...resolved } = resolveSources({ preset, overrides })
  return {
    name,
    title,
    ...(position && { position }),
    data: [...new Set([data, ...heads.map((head) => head.data)])],
    settings: { data, config: resolved, heads, ...(condition && { looks: condition.updates }) },
    async run(job) {
      const own = { ...resolved, seed: job.seed }
      const { model, pairs, seconds, terms, looked }: Looked =
        condition === undefined
          ? await trained(await job.data(data), preset, own, job)
          : await trainedWithConditions(condition, { data, preset, config: own }, job)
      try {
        const measures: Record<string, number> = { ...looked?.measures }
        for (const head of heads) Object.assign(measures, await testHeads(model, head, job))
        if (ownError !== undefined) measures[ownError] = await errorOfOwn(model, data, job)
        for (const [part, measure] of Object.entries(parts))
          if (terms[part] !== undefined) measures[measure] = terms[part]
        const result = { measures, pairs, trainMinutes: seconds / 60 }
        return looked === undefined ? result : { ...result, curves: looked.curves }
      } finally {
        model.dispose()
      }
    },
    dryRun: (job) => oneStep({ name, data, config: { ...resolved, seed: 1 } }, job),
  }
}

/** Trains, goes on with what an earlier attempt has left, or takes what it has finished. */
async function trained(
  data: DatasetSplits,
  preset: PresetName | undefined,
  config: AmdimConfig,
  job: Job,
): Promise<Trained> {
  const { folder, settings, signal } = job
  const finished = await finishedRun(folder, config)
  if (finished !== null) return finished
  const isBegun = existsSync(join(folder, 'checkpoint.safetensors'))
  const run = trainAmdim({
    ...settings,
    ...(isBegun ? { resume: folder } : { ...(preset && { preset }), output: folder }),
    data: { train: data.train, test: null },
    config,
    signal,
  })
  return toItsEnd(run, job)
}

/** A training, and what was seen on its way where it was looked at. */
type Looked = Trained & { looked?: Required<Pick<RowResult, 'measures' | 'curves'>> }

/** Trains, and takes the condition number on the way. */
async function trainedWithConditions(
  { measure, updates, curve }: Condition,
  run: Omit<LookedAt, 'updates'>,
  job: Job,
): Promise<Looked> {
  let last = Number.NaN
  const points: [number, number][] = []
  const trained = await trainAndLook({ ...run, updates }, job, async (model, count) => {
    last = await conditionOf(model, run.data, job)
    points.push([count, Math.log10(last)])
  })
  return { ...trained, looked: { measures: { [measure]: last }, curves: [{ ...curve, updates, points }] } }
}

/**
 * The model and the figures of a run that came to its end.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` when it was a run of another configuration
 */
async function finishedRun(folder: string, config: AmdimConfig): Promise<Trained | null> {
  const [model, result] = ['model.safetensors', 'result.json'].map((file) => join(folder, file)) as [
    string,
    string,
  ]
  if (!existsSync(model) || !existsSync(result)) return null
  const { cancelled, pairs, seconds, lastStep } = JSON.parse(await readFile(result, 'utf8'))
  if (cancelled) return null
  const found = await AmdimModel.load(model)
  if (settingsHash(found.config) === settingsHash(config))
    return { model: found, pairs, seconds, terms: lastStep?.terms ?? {} }
  found.dispose()
  throw new AmdimError(
    'AMDIM_INVALID_ARGUMENT',
    `output: ${folder} holds a run of another configuration than this row has now; remove it or choose another folder`,
    { folder },
  )
}

async function testHeads(model: AmdimModel, { data, measures, options }: HeadsOn, job: Job) {
  const { train, test } = await job.data(data)
  if (test === null)
    throw new AmdimError('AMDIM_DATA', `data: ${data} has no test split, which heads are tested on`)
  const { threads } = job.settings
  const report = await evaluate(model, {
    ...options,
    ...(threads !== undefined && { threads }),
    train,
    test,
    heads: Object.keys(measures) as Head[],
    seed: job.seed,
    signal: job.signal,
    onProgress: job.onEvent,
  })
  return Object.fromEntries(
    Object.entries(measures).map(([head, measure]) => [
      measure,
      report.heads[head as Head]?.top1 ?? Number.NaN,
    ]),
  )
}

/** Share of the test pictures that the linear classifier which learnt beside the encoder gets wrong. */
export async function errorOfOwn(model: AmdimModel, data: DataName, job: Job): Promise<number> {
  const { test } = await job.data(data)
  if (test === null)
    throw new AmdimError('AMDIM_DATA', `data: ${data} has no test split, which the classifier is tested on`)
  const { threads } = job.settings
  const found = await model.classify(test, { ...(threads !== undefined && { threads }), signal: job.signal })
  const isWrong = (label: number, i: number) => test.classes[label] !== found.top(i)[0]?.name
  const labelled = Array.from(found.labels.keys()).filter((i) => (found.labels[i] ?? -1) >= 0)
  return labelled.filter((i) => isWrong(found.labels[i] as number, i)).length / labelled.length
}

/** The condition number of the encoder's Jacobian. */
async function conditionOf(model: AmdimModel, data: DataName, job: Job): Promise<number> {
  const { train, test } = await job.data(data)
  const { threads } = job.settings
  const { jacobian } = await measure(model, {
    ...(threads !== undefined && { threads }),
    data: test ?? train,
    measures: ['jacobian'],
    maxPictures: CONDITION_PICTURES,
    jacobianPictures: CONDITION_PICTURES,
    seed: job.seed,
    signal: job.signal,
  })
  return jacobian?.conditionNumber ?? Number.NaN
}

/** The configuration for a smaller batch, of which no more can be asked than it has. */
function ofBatch(config: AmdimConfig, batchSize: number): AmdimConfig {
  const fewer = (negatives: number | null) => negatives && Math.min(negatives, batchSize - 1)
  const { dim, moco, multiview } = config
  return {
    ...config,
    batchSize,
    dim: { ...dim, negatives: fewer(dim.negatives) },
    moco: { ...moco, shuffleGroups: Math.min(moco.shuffleGroups, batchSize >> 1) },
    multiview: { ...multiview, negatives: fewer(multiview.negatives) },
  }
}

/** One update on a few pictures; their number is all that differs from the row. */
export async function oneStep(
  row: { name: string; data: DataName; config: AmdimConfig },
  { folder, data, settings, signal }: DryRunJob,
): Promise<DryRunResult> {
  const { config } = row
  const batchSize = Math.min(config.batchSize, DRY_BATCH)
  const given = (await data(row.data))?.train ?? null
  const train = given ?? (await noise(batchSize, config.augment.pixels, row.data))
  try {
    const began = performance.now()
    const run = trainAmdim({
      ...settings,
      data: { train, test: null },
      config: { ...ofBatch(config, batchSize), length: { updates: 1 } },
      output: folder,
      checkpointMinutes: null,
      logEverySteps: 1,
      signal,
    })
    let parameters = 0
    for await (const event of run) if (event.type === 'start') parameters = event.parameters
    const { model, metrics, cancelled } = await run
    model.dispose()
    if (cancelled || metrics.step === null)
      throw new AmdimError('AMDIM_CANCELLED', 'the dry run was cancelled')
    return {
      row: row.name,
      parameters,
      batchSize,
      fullBatchSize: config.batchSize,
      loss: metrics.step.loss,
      seconds: (performance.now() - began) / 1000,
    }
  } finally {
    if (given === null) train.dispose()
  }
}
