/** Training that is looked at on its way. */
import { rm } from 'node:fs/promises'
import type { AmdimConfig, PresetName } from '../config/types.js'
import { AmdimError } from '../errors.js'
import type { AmdimModel } from '../model/amdim-model.js'
import { trainAmdim } from '../train/train-amdim.js'
import type { TrainingRun } from '../train/training-run.js'
import type { DataName, Job } from './experiment.js'

/** A finished training. */
export interface Trained {
  /** For the caller to dispose of. */
  model: AmdimModel
  /** Pairs of views seen. */
  pairs: number
  /** Seconds of training. */
  seconds: number
  /** Parts of the loss by name: means over the last steps. */
  terms: Record<string, number>
}

/** What is trained, and when it is looked at. */
export interface LookedAt {
  readonly data: DataName
  readonly preset?: PresetName | undefined
  /** Its length is that of the last look. The learning rate must not depend on the length of a run. */
  readonly config: AmdimConfig
  /** Ascending numbers of updates after which it is looked at. */
  readonly updates: readonly number[]
}

/**
 * Trains from look to look. What an attempt that was stopped has seen is lost, so that it is made anew.
 *
 * @throws {@link AmdimError} `AMDIM_CANCELLED` when the job's signal aborts
 */
export async function trainAndLook(
  { data, preset, config, updates }: LookedAt,
  job: Job,
  look: (model: AmdimModel, updates: number) => Promise<void>,
): Promise<Trained> {
  const { train } = await job.data(data)
  await rm(job.folder, { recursive: true, force: true })
  for (const [i, count] of updates.entries()) {
    const run = trainAmdim({
      ...job.settings,
      ...(i === 0 ? { ...(preset && { preset }), output: job.folder } : { resume: job.folder }),
      data: { train, test: null },
      config: { ...config, length: { updates: count } },
      signal: job.signal,
    })
    const trained = await toItsEnd(run, job)
    try {
      await look(trained.model, count)
    } catch (error) {
      trained.model.dispose()
      throw error
    }
    if (i === updates.length - 1) return trained
    trained.model.dispose()
  }
  throw new AmdimError('AMDIM_INTERNAL', 'a row that is never looked at')
}

/**
 * What a run of a job came to.
 *
 * @throws {@link AmdimError} `AMDIM_CANCELLED` when the job's signal aborts
 */
export async function toItsEnd(run: TrainingRun, { onEvent }: Pick<Job, 'onEvent'>): Promise<Trained> {
  for await (const event of run) onEvent(event)
  const { cancelled, model, pairs, seconds, metrics } = await run
  if (!cancelled) return { model, pairs, seconds, terms: metrics.step?.terms ?? {} }
  model.dispose()
  throw new AmdimError('AMDIM_CANCELLED', 'the experiment was cancelled; its finished rows are kept')
}
