import { createRequire } from 'node:module'
import util from 'node:util'
import type { TensorFlow } from '../../src/tfjs/index.js'

/** Set by who has no tfjs-node and knows it; without it a missing tfjs-node fails its tests. */
export const WITHOUT_TFJS_NODE = process.env['AMDIM_WITHOUT_TFJS_NODE'] === '1'

/** @tensorflow/tfjs-node, on Node 24 and later with the functions that it misses there (tensorflow/tfjs#8609). */
export async function loadTfjsNode(): Promise<TensorFlow> {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2'
  const old = util as unknown as Record<string, unknown>
  old['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined
  old['isArray'] ??= Array.isArray
  try {
    return createRequire(import.meta.url)('@tensorflow/tfjs-node') as TensorFlow
  } catch (cause) {
    const advice =
      'run "node tools/install-tfjs-node.mjs", which npm test does; AMDIM_WITHOUT_TFJS_NODE=1 leaves these tests out'
    throw new Error(`@tensorflow/tfjs-node does not load: ${advice}`, { cause })
  }
}
