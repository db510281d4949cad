import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { layerNames, type MapLayer } from '../config/encoder-maps.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertOneOf, assertPath } from '../data/arguments.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { AmdimModel } from '../model/amdim-model.js'
import { unwrapJson } from '../native.js'

/** What an encoder can be written as. */
export type ExportFormat = 'onnx' | 'pth' | 'safetensors'

/** Options of {@link exportModel}. */
export interface ExportOptions {
  /**
   * `onnx`: a graph for ONNX runtimes (opset 17). `pth`: a checkpoint that the authors' code loads, classifiers included.
   * `safetensors`: the encoder's weights and configuration alone.
   *
   * @default by the ending of the path: .onnx, .pth or .pt, .safetensors
   */
  format?: ExportFormat
  /**
   * Maps of the encoder that an ONNX graph returns, each an output of its own.
   *
   * @default ['global']
   */
  layers?: readonly MapLayer[]
  /**
   * Whether an ONNX graph takes RGB values in 0..1 and normalises them itself, with mean and standard deviation of the
   * model's configuration. Without it the graph takes normalised pictures.
   *
   * @default false
   */
  normalise?: boolean
  /**
   * Allows a model whose run has not come to its end, and in a run folder without a model the newest checkpoint.
   *
   * @default false
   */
  unfinished?: boolean
}

/** What {@link exportModel} wrote. */
export interface ExportedFiles {
  /** The file asked for; then the weights of an ONNX graph of more than 2 GiB, in a file beside it. */
  files: string[]
  /** Bytes of all files. */
  bytes: number
}

const FORMATS: readonly ExportFormat[] = ['onnx', 'pth', 'safetensors']

/**
 * Writes an encoder for other programs. Every file is written aside and renamed, so that one that was there before is
 * whole until the new one is.
 *
 * @param model - a model, the path of a model file or checkpoint, or a run folder
 * @param path - the file to write
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for a bad option, a model whose run has not come to its end, or one
 *   that the format cannot hold; `AMDIM_CHECKPOINT` for a run folder without a model; `AMDIM_IO` when a file cannot be
 *   read or written
 * @example
 * ```ts
 * import { exportModel } from 'amdim';
 *
 * await exportModel('runs/first', 'encoder.onnx', { normalise: true });
 * ```
 */
export async function exportModel(
  model: AmdimModel | string,
  path: string,
  options: ExportOptions = {},
): Promise<ExportedFiles> {
  assertPath('path', path)
  assertKnownKeys(options, ['format', 'layers', 'normalise', 'unfinished'], 'exportModel')
  const { format = formatOf(path), layers = ['global'], normalise = false, unfinished = false } = options
  assertOneOf('format', format, FORMATS)
  assertBoolean('normalise', normalise)
  assertBoolean('unfinished', unfinished)
  if (!Array.isArray(layers)) throw invalidArgument('layers', 'an array of layers', layers)
  if (format !== 'onnx' && (normalise || options.layers !== undefined))
    throw invalidArgument('format', 'onnx, where layers or normalise are given', format)
  const write = async (loaded: AmdimModel) => {
    for (const layer of layers) assertOneOf('layers', layer, layerNames(loaded.config.encoder))
    const request = JSON.stringify({ path, format, layers, normalise, unfinished })
    return unwrapJson<ExportedFiles>(await loaded.native.export(request))
  }
  if (model instanceof AmdimModel) return write(model)
  using loaded = await AmdimModel.load(modelFileOf(model, unfinished))
  return await write(loaded)
}

function formatOf(path: string): ExportFormat {
  if (path.endsWith('.onnx')) return 'onnx'
  if (/\.pth?$/.test(path)) return 'pth'
  if (path.endsWith('.safetensors')) return 'safetensors'
  throw invalidArgument('path', 'a file named *.onnx, *.pth or *.safetensors, or format beside it', path)
}

/** The model of a run folder, or its newest checkpoint where an unfinished one will do. */
function modelFileOf(path: string, unfinished: boolean): string {
  assertPath('model', path)
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return path
  const [model, checkpoint] = [join(path, 'model.safetensors'), join(path, 'checkpoint.safetensors')]
  if (existsSync(model)) return model
  if (existsSync(checkpoint) && unfinished) return checkpoint
  const found = existsSync(checkpoint)
    ? 'only the checkpoint of a run that has not ended; resume it, or allow an unfinished one (unfinished)'
    : 'no model and no checkpoint'
  throw new AmdimError(
    'AMDIM_CHECKPOINT',
    `${path}: expected a run folder with model.safetensors, found ${found}`,
    {
      path,
    },
  )
}

function assertBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw invalidArgument(name, 'true or false', value)
}
