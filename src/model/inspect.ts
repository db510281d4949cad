import type { AmdimConfig } from '../config/types.js'
import { assertPath } from '../data/arguments.js'
import { addon, unwrapJson } from '../native.js'

/** A tensor of a file. */
export interface TensorInfo {
  /** Its name, as in the reference's state_dict. */
  name: string
  /** Its shape. */
  shape: number[]
}

/** How far training had come. */
export interface TrainingPosition {
  /** Epoch of the next batch, from 0. */
  epoch: number
  /** Updates made. */
  update: number
  /** Pairs of views seen. */
  pairs: number
  /** Seconds of training, evaluation excluded. */
  seconds: number
}

/** What a model or checkpoint file holds. */
export interface ModelInfo {
  /** The whole configuration it was trained with. */
  config: AmdimConfig
  /** Number of parameters of the encoder, projections included. */
  parameters: number
  /** Every tensor. */
  tensors: TensorInfo[]
  /** How far training had come. */
  position: TrainingPosition
  /** Names of the classes of its online classifiers; empty without labels. */
  classes: string[]
  /** Bytes of the weights, without the optimiser's state. */
  size: number
}

/**
 * Reads what a model or checkpoint file holds, without building the model.
 *
 * @param path - a `.safetensors` file written by this package
 * @throws {@link AmdimError} `AMDIM_IO` when it is missing, `AMDIM_CHECKPOINT` when it is truncated or foreign
 * @example
 * ```ts
 * import { inspect } from 'amdim';
 *
 * const { config, parameters, position } = await inspect('runs/first/model.safetensors');
 * console.log(config.encoder, parameters, position.update);
 * ```
 */
export async function inspect(path: string): Promise<ModelInfo> {
  assertPath('path', path)
  return unwrapJson<ModelInfo>(await addon().inspectFile(path))
}
