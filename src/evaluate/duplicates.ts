import type { DuplicatesPlan } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { type DatasetInput, OpenedDatasets } from '../data/open-dataset.js'
import { invalidArgument } from '../errors.js'
import type { SkippedPicture } from '../model/embedding.js'
import { addon } from '../native.js'
import { assertListener, ofJson, resultListened } from '../native-job.js'
import type { EvaluateProgress } from './evaluate.js'

/** Options of {@link findDuplicates}. */
export interface DuplicateOptions extends Partial<DuplicatesPlan> {
  /** Training pictures; the path of a data set with both splits gives `test` too. */
  train: DatasetInput
  /**
   * Test pictures.
   *
   * @default the test split of the path given as `train`
   */
  test?: DatasetInput
  /** Stops the work; it then rejects with `AMDIM_CANCELLED`. */
  signal?: AbortSignal
  /** Called now and then with what is being done and how far it is; what it throws ends the work, which rejects with that. */
  onProgress?: (progress: EvaluateProgress) => void
}

/** A test picture and the training picture that it resembles most. */
export interface DuplicatePair {
  /** Name of the test picture. */
  test: string
  /** Its index in the data set. */
  testIndex: number
  /** Its class; `null` without labels. */
  testClass: string | null
  /** Name of the training picture. */
  train: string
  /** Its index in the data set. */
  trainIndex: number
  /** Its class; `null` without labels. */
  trainClass: string | null
  /** Whether the pixels are equal. */
  exact: boolean
  /** 1 for equal pictures, -1..1. */
  similarity: number
  /** Whether one resembles the other mirrored. */
  mirrored: boolean
}

/** Test pictures that training pictures resemble. */
export interface DuplicateReport {
  /** Test pictures with a training picture of equal pixels. */
  exact: number
  /** Other test pictures with a training picture as similar as asked for. */
  near: number
  /** Both, the most similar first; one pair a test picture. */
  pairs: DuplicatePair[]
  /** Training pictures read. */
  trainSize: number
  /** Test pictures read. */
  testSize: number
  /** Pictures that were left out. */
  skipped: SkippedPicture[]
}

/**
 * Finds test pictures that are in the training set too, or nearly: the same pixels; or the same photograph re-encoded,
 * resized, brighter, retouched or mirrored. What a model has learnt by heart counts as knowledge there.
 *
 * Pictures are compared by the differences between neighbouring cells of a 16 x 16 thumbnail of their brightness; the
 * similarity is the cosine of these. It does not find crops, rotations and strong shifts.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option, the errors of the pictures, `AMDIM_CANCELLED`
 *   when the signal aborts
 * @example
 * ```ts
 * import { findDuplicates } from 'amdim';
 *
 * const { pairs } = await findDuplicates({ train: 'data/cifar10-sample.tar.gz' });
 * for (const { test, train, similarity } of pairs) console.log(test, train, similarity);
 * ```
 */
export async function findDuplicates(options: DuplicateOptions): Promise<DuplicateReport> {
  const { train, test, signal, onProgress, ...settings } = options
  const [{ validate }, { duplicatesSchema }] = await Promise.all([
    import('../config/validate.js'),
    import('../config/measure-schema.js'),
  ])
  const own = ['train', 'test', 'signal', 'onProgress']
  assertKnownKeys(options, [...own, ...Object.keys(duplicatesSchema.shape)], 'findDuplicates')
  assertListener('onProgress', onProgress)
  const request = JSON.stringify(validate(duplicatesSchema, settings))
  const opened = new OpenedDatasets()
  try {
    const learn = await opened.splits('train', train)
    const given = test === undefined ? null : await opened.splits('test', test)
    const check = given === null ? learn.test : (given.test ?? given.train)
    if (check === null)
      throw invalidArgument('test', 'a data set', test, 'the path given as train has no test split')
    const report = await resultListened<string, string>(
      (onEvent) => addon().startDuplicates(request, learn.train.native, check.native, onEvent),
      { listener: ofJson(onProgress), signal },
    )
    return JSON.parse(report) as DuplicateReport
  } finally {
    opened.dispose()
  }
}
