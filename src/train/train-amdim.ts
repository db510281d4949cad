import { join } from 'node:path'
import { isPlainObject } from '../config/merge.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import type { Dataset } from '../data/dataset.js'
import { OpenedDatasets } from '../data/open-dataset.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { AmdimModel } from '../model/amdim-model.js'
import { addon, unwrap, unwrapJson } from '../native.js'
import { cancelOnAbort } from '../native-job.js'
import type { EvaluationEvent, TrainEvent } from './events.js'
import { guardTransform } from './hook.js'
import type { TrainData, TrainOptions } from './options.js'
import type { TrainOutcome, TrainResult } from './outcome.js'
import type { TrainRequest } from './request.js'
import { TrainingRun } from './training-run.js'

/**
 * Trains an AMDIM encoder on pictures, in threads of the addon; JavaScript stays responsive.
 *
 * The method: Bachman, Hjelm, Buchwalter 2019, arXiv 1906.00910. Configuration errors, like all others, reject the run.
 *
 * @returns a handle to await, to iterate over, and to cancel
 * @throws {@link AmdimError} when awaited: `AMDIM_INVALID_ARGUMENT` for a bad option, `AMDIM_DATA` or `AMDIM_DECODE`
 *   for pictures that cannot be used, `AMDIM_DEVICE`, `AMDIM_CHECKPOINT` for a bad `resume` or `continueFrom` file,
 *   `AMDIM_NON_FINITE` when the loss is no number any more, `AMDIM_IO` when files cannot be written
 * @example
 * ```ts
 * import { trainAmdim } from 'amdim';
 *
 * const { model, paths } = await trainAmdim({ data: 'data/cifar10-sample.tar.gz', minutes: 2 });
 * console.log(paths.model);
 * const { shape } = await model.embed(['cat.jpg']);
 * console.log(shape); // [1, 256]
 * ```
 */
export function trainAmdim(options: TrainOptions): TrainingRun {
  return new TrainingRun((emit, cancellation) => executeRun(options, emit, cancellation))
}

/** The work of a run. */
export async function executeRun(
  options: TrainOptions,
  emit: (event: TrainEvent) => void,
  cancellation: AbortSignal,
): Promise<TrainOutcome> {
  // Lazily, so that importing the package does not load the schemas.
  const { resolveRequest } = await import('./request.js')
  const request = await resolveRequest(options)
  const opened = new OpenedDatasets()
  try {
    const { train, test } = await openSplits(options.data, opened)
    checkSizes(train, request)
    const metrics = new LastMetrics(emit)
    const result = await run(request, train, test, options, metrics, cancellation)
    return await toOutcome(result, metrics, request)
  } finally {
    opened.dispose()
  }
}

async function openSplits(data: TrainOptions['data'], opened: OpenedDatasets) {
  const { train, test } = splitInputs(data)
  const splits = await opened.splits('data', train, { unlabeled: true })
  if (test === undefined) return splits
  if (test === null) return { train: splits.train, test: null }
  const others = await opened.splits('data.test', test)
  return { train: splits.train, test: others.test ?? others.train }
}

function splitInputs(data: TrainOptions['data']): TrainData {
  const isPair = isPlainObject(data) && 'train' in data
  if (!isPair) {
    if (data === undefined) throw invalidArgument('data', 'a Dataset, a path or { train, test }', data)
    return { train: data as TrainData['train'] }
  }
  assertKnownKeys(data, ['train', 'test'], 'data')
  return data as unknown as TrainData
}

/** Negatives come from the other pictures of a batch, and an incomplete batch is dropped. */
function checkSizes(train: Dataset, { config: { batchSize } }: TrainRequest): void {
  if (train.length >= batchSize) return
  const advice =
    train.length < 2 ? 'training needs at least two pictures' : `use a batchSize of at most ${train.length}`
  throw new AmdimError(
    'AMDIM_INVALID_ARGUMENT',
    `batchSize: expected at most the number of training pictures (${train.length}), got ${batchSize}; ${advice}`,
    { name: 'batchSize', expected: train.length, actual: batchSize },
  )
}

/** Passes events on and keeps the last evaluation for the outcome. */
class LastMetrics {
  evaluation: EvaluationEvent | null = null
  readonly #emit: (event: TrainEvent) => void

  constructor(emit: (event: TrainEvent) => void) {
    this.#emit = emit
  }

  receive(text: string): void {
    const event = JSON.parse(text) as TrainEvent
    if (event.type === 'evaluation') this.evaluation = event
    this.#emit(event)
  }
}

async function run(
  request: TrainRequest,
  train: Dataset,
  test: Dataset | null,
  { transform, signal }: TrainOptions,
  metrics: LastMetrics,
  cancellation: AbortSignal,
): Promise<TrainResult> {
  let hookError: AmdimError | undefined
  const stop = new AbortController()
  const hook =
    transform &&
    guardTransform(transform, (error) => {
      hookError ??= error
      stop.abort()
    })
  const work = unwrap(
    addon().startTraining(
      JSON.stringify(request),
      train.native,
      test?.native ?? null,
      (event) => metrics.receive(event),
      hook ?? null,
    ),
  )
  const releases = [signal, cancellation, stop.signal].map((source) => cancelOnAbort(source, work))
  try {
    const result = unwrapJson<TrainResult>(await work.finished())
    if (hookError !== undefined) throw hookError
    return result
  } catch (error) {
    // The addon may have met the failed picture before it noticed that the run was to stop.
    throw hookError ?? error
  } finally {
    for (const release of releases) release()
  }
}

async function toOutcome(
  { lastStep, modelPath, checkpointPath, runFolder, ...result }: TrainResult,
  { evaluation }: LastMetrics,
  { output, device, executor, threads }: TrainRequest,
): Promise<TrainOutcome> {
  const folder = runFolder ?? output
  const weights = modelPath ?? checkpointPath
  if (weights === null)
    throw new AmdimError('AMDIM_CANCELLED', 'the run was cancelled before there was anything to keep', {
      runFolder: folder,
    })
  return {
    ...result,
    metrics: { step: lastStep && { type: 'step', ...lastStep }, evaluation },
    paths: {
      runFolder: folder,
      model: modelPath,
      checkpoint: checkpointPath,
      metrics: join(folder, 'metrics.jsonl'),
    },
    model: await AmdimModel.load(weights, { device, executor, threads }),
  }
}
