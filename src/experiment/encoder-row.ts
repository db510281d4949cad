import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mergeOverrides } from '../config/merge.js'
import { resolveSources } from '../config/resolve.js'
import type { AmdimConfig, ConfigOverrides, PresetName } from '../config/types.js'
import type { DatasetSplits } from '../data/open-dataset.js'
import { AmdimError } from '../errors.js'
import { type EvaluateOptions, evaluate, type Head } from '../evaluate/evaluate.js'
import { AmdimModel } from '../model/amdim-model.js'
import { trainAmdim } from '../train/train-amdim.js'
import type { DataName, DryRunJob, DryRunResult, Job, Row, RowResult } from './experiment.js'
import { noise } from './noise.js'

/** Pictures of the one step of a dry run. */
const DRY_BATCH = 4

/** Heads that are fitted on a trained encoder. */
export interface HeadsOn {
  /** Data set that they learn from and are tested on. */
  readonly data: DataName
  /** The measure of each head. */
  readonly measures: Readonly<Partial<Record<Head, string>>>
  /** How they are fitted. */
  readonly options?: Pick<EvaluateOptions, 'linear' | 'classifierTask' | 'knn' | 'preset'>
}

/** A row that trains an encoder and then tests heads on it. */
export interface EncoderRow {
  readonly name: string
  readonly title: string
  /** Data set whose training pictures the encoder sees. */
  readonly data: DataName
  readonly preset?: PresetName
  /** Values laid over the preset, the later over the earlier. */
  readonly config: readonly ConfigOverrides[]
  readonly heads: readonly HeadsOn[]
}

/** The row as an experiment runs it. */
export function encoderRow({ name, title, data, preset, config, heads }: EncoderRow): Row {
  const overrides = config.reduce<ConfigOverrides>(
    (all, more) => mergeOverrides(all, more) as ConfigOverrides,
    {},
  )
  // Everything that is the seed's comes from the job.
  const { seed: _seed, ...resolved } = resolveSources({ preset, overrides })
  return {
    name,
    title,
    data: [...new Set([data, ...heads.map((head) => head.data)])],
    settings: { data, config: resolved, heads },
    async run(job) {
      const { model, pairs, seconds } = await trained(await job.data(data), overrides, preset, job)
      try {
        const measures: Record<string, number> = {}
        for (const head of heads) Object.assign(measures, await testHeads(model, head, job))
        return { measures, pairs, trainMinutes: seconds / 60 } satisfies RowResult
      } finally {
        model.dispose()
      }
    },
    dryRun: (job) => oneStep({ name, data, config: { ...resolved, seed: 1 } }, job),
  }
}

type Trained = { model: AmdimModel; pairs: number; seconds: number }

/** Trains, goes on with what an earlier attempt has left, or takes what it has finished. */
async function trained(
  data: DatasetSplits,
  config: ConfigOverrides,
  preset: PresetName | undefined,
  { seed, folder, settings, signal, onEvent }: Job,
): Promise<Trained> {
  const finished = await finishedRun(folder)
  if (finished !== null) return finished
  const start = existsSync(join(folder, 'checkpoint.safetensors'))
    ? { resume: folder }
    : { ...(preset && { preset }), output: folder }
  const run = trainAmdim({
    ...settings,
    ...start,
    data: { train: data.train, test: null },
    config: { ...config, seed },
    signal,
  })
  for await (const event of run) onEvent(event)
  const { cancelled, model, pairs, seconds } = await run
  if (!cancelled) return { model, pairs, seconds }
  model.dispose()
  throw new AmdimError('AMDIM_CANCELLED', 'the experiment was cancelled; its finished rows are kept')
}

/** The model and the figures of a run that came to its end. */
async function finishedRun(folder: string): Promise<Trained | null> {
  const [model, result] = ['model.safetensors', 'result.json'].map((file) => join(folder, file)) as [
    string,
    string,
  ]
  if (!existsSync(model) || !existsSync(result)) return null
  const { cancelled, pairs, seconds } = JSON.parse(await readFile(result, 'utf8'))
  return cancelled ? null : { model: await AmdimModel.load(model), pairs, seconds }
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

/** One update on a few pictures; their number is all that differs from the row. */
async function oneStep(
  row: { name: string; data: DataName; config: AmdimConfig },
  { folder, data, settings, signal }: DryRunJob,
): Promise<DryRunResult> {
  const { config } = row
  const batchSize = Math.min(config.batchSize, DRY_BATCH)
  const own = await data(row.data).then(
    ({ train }) => ({ train, release: () => {} }),
    async () => {
      const train = await noise(batchSize, config.augment.pixels, row.data)
      return { train, release: () => train.dispose() }
    },
  )
  try {
    const began = performance.now()
    const run = trainAmdim({
      ...settings,
      data: { train: own.train, test: null },
      config: { ...config, batchSize, length: { updates: 1 } },
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
    own.release()
  }
}
