import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { io, LayersModel } from '@tensorflow/tfjs'
import { assertPath } from '../data/arguments.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { writeFileWhole } from '../write-file.js'
import { assertTensorFlow, type TensorFlow } from './tensorflow.js'

const WEIGHTS = /^weights\.[0-9a-f]{16}\.bin$/
const MAX_TOPOLOGY_BYTES = 64 * 2 ** 20

/**
 * Saves a model in the tfjs layers format, also with plain `@tensorflow/tfjs`, which can't write files: a folder with
 * `model.json` and `weights.HASH.bin`. TensorFlow.js itself reads it (`file://FOLDER/model.json` in tfjs-node, over HTTP
 * in browsers).
 *
 * Files are written aside and renamed, `model.json` last, so that a model that was there before is whole until the new
 * one is.
 *
 * @param tf - the module that the model was made with
 * @param model - from {@link encoderToLayersModel}, {@link trainLinearProbe} or anywhere else
 * @param folder - is made where it is missing
 * @throws `AmdimError` `AMDIM_IO` when it cannot be written
 */
export async function saveLayersModel(tf: TensorFlow, model: LayersModel, folder: string): Promise<void> {
  assertTensorFlow(tf)
  assertPath('folder', folder)
  if (typeof model?.save !== 'function') throw invalidArgument('model', 'a tf.LayersModel', model)
  const artifacts = await artifactsOf(tf, model)
  const parts = [artifacts.weightData ?? []].flat()
  const weights = Buffer.concat(parts.map((part) => new Uint8Array(part)))
  const name = `weights.${createHash('sha256').update(weights).digest('hex').slice(0, 16)}.bin`
  const { modelTopology, weightSpecs, format, generatedBy, convertedBy } = artifacts
  const manifest = [{ paths: [name], weights: weightSpecs ?? [] }]
  const json = { modelTopology, weightsManifest: manifest, format, generatedBy, convertedBy }
  await attempt(folder, () => mkdir(folder, { recursive: true }))
  await writeFileWhole(join(folder, name), [weights])
  await writeFileWhole(join(folder, 'model.json'), [`${JSON.stringify(json)}\n`])
  // Weights that only the replaced model.json named.
  const older = (await readdir(folder)).filter((file) => WEIGHTS.test(file) && file !== name)
  await Promise.all(older.map((file) => rm(join(folder, file), { force: true })))
}

/**
 * Loads a model in the tfjs layers format from a folder, also with plain `@tensorflow/tfjs`, which can't read files.
 *
 * @param tf - the module `@tensorflow/tfjs` or `@tensorflow/tfjs-node`
 * @param folder - holds `model.json`
 * @throws `AmdimError` `AMDIM_IO` when a file is missing, `AMDIM_CHECKPOINT` when one is damaged, truncated or
 *   foreign
 */
export async function loadLayersModel(tf: TensorFlow, folder: string): Promise<LayersModel> {
  assertTensorFlow(tf)
  assertPath('folder', folder)
  const path = join(folder, 'model.json')
  if ((await attempt(path, () => stat(path))).size > MAX_TOPOLOGY_BYTES)
    throw damaged(path, `expected at most ${MAX_TOPOLOGY_BYTES} bytes`)
  const { modelTopology, manifest } = parse(path, await attempt(path, () => readFile(path, 'utf8')))
  const specs = manifest.flatMap(({ weights }) => weights)
  const weightData = await readWeights(folder, manifest)
  const expected = specs.reduce((sum, spec) => sum + bytesOf(tf, path, spec), 0)
  if (weightData.byteLength !== expected)
    throw damaged(folder, `expected ${expected} bytes of weights, got ${weightData.byteLength}`)
  try {
    return await tf.loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs: specs, weightData }))
  } catch (cause) {
    throw damaged(path, (cause as Error).message, cause)
  }
}

type Manifest = { paths: string[]; weights: io.WeightsManifestEntry[] }[]

function parse(path: string, text: string): { modelTopology: object; manifest: Manifest } {
  let json: { modelTopology?: object; weightsManifest?: Manifest }
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw damaged(path, 'it is no JSON', cause)
  }
  const { modelTopology, weightsManifest } = json ?? {}
  const isManifest =
    Array.isArray(weightsManifest) &&
    weightsManifest.every((group) => Array.isArray(group?.paths) && Array.isArray(group.weights))
  if (typeof modelTopology !== 'object' || !isManifest)
    throw damaged(path, 'expected modelTopology and weightsManifest')
  return { modelTopology, manifest: weightsManifest }
}

async function readWeights(folder: string, manifest: Manifest): Promise<ArrayBuffer> {
  const parts: Buffer[] = []
  for (const file of manifest.flatMap(({ paths }) => paths)) {
    // A name, not a path: a model must not reach outside its folder.
    if (typeof file !== 'string' || /[\\/]|^\.\.?$/.test(file))
      throw damaged(folder, `expected the name of a file of weights, got ${JSON.stringify(file)}`)
    parts.push(await attempt(join(folder, file), () => readFile(join(folder, file))))
  }
  return Uint8Array.from(Buffer.concat(parts)).buffer
}

/** Bytes that a tensor's values take in the file. */
function bytesOf(
  tf: TensorFlow,
  path: string,
  { name, shape, dtype, quantization }: io.WeightsManifestEntry,
): number {
  const known = dtype === 'float32' || dtype === 'int32'
  if (!known || quantization !== undefined || !Array.isArray(shape))
    throw damaged(path, `${name}: expected plain float32 or int32 weights`)
  return 4 * tf.util.sizeFromShape(shape)
}

async function artifactsOf(tf: TensorFlow, model: LayersModel): Promise<io.ModelArtifacts> {
  const kept: io.ModelArtifacts[] = []
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      kept.push(artifacts)
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } }
    }),
  )
  const [artifacts] = kept
  if (artifacts === undefined) throw new AmdimError('AMDIM_INTERNAL', 'TensorFlow.js saved no model')
  return artifacts
}

async function attempt<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (cause) {
    throw new AmdimError('AMDIM_IO', `${path}: ${(cause as Error).message}`, { path }, { cause })
  }
}

function damaged(path: string, problem: string, cause?: unknown): AmdimError {
  const message = `${path} is no model in the tfjs layers format that can be loaded: ${problem}`
  return new AmdimError('AMDIM_CHECKPOINT', message, { path }, { cause })
}
