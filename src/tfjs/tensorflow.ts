import type * as tfjs from '@tensorflow/tfjs'
import { invalidArgument } from '../errors.js'

/** The module `@tensorflow/tfjs`, or `@tensorflow/tfjs-node`, which has everything of it and computes natively. */
export type TensorFlow = typeof tfjs

/** What the functions here call; a module that has it is TensorFlow.js with layers. */
const NEEDED = ['tensor', 'tidy', 'model', 'loadLayersModel'] as const

/**
 * Checks that the module was passed, because this package never loads it by itself.
 *
 * @throws AmdimError `AMDIM_INVALID_ARGUMENT` that says what to install and how to pass it
 */
export function assertTensorFlow(tf: unknown): asserts tf is TensorFlow {
  const module = tf as Partial<Record<string, unknown>> | null | undefined
  const complete =
    typeof module === 'object' &&
    module !== null &&
    NEEDED.every((name) => typeof module[name] === 'function') &&
    typeof (module['layers'] as Partial<TensorFlow['layers']> | undefined)?.dense === 'function'
  if (complete) return
  throw invalidArgument(
    'tf',
    'the module @tensorflow/tfjs or @tensorflow/tfjs-node',
    tf,
    'install one with "npm install @tensorflow/tfjs" and pass it: import * as tf from "@tensorflow/tfjs"',
  )
}
