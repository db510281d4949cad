import { resolveConfig } from '../config/config.js'
import type { ConfigOverrides, PresetName } from '../config/types.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertPath } from '../data/arguments.js'
import { invalidArgument } from '../errors.js'
import { AmdimModel, MODEL_OPTIONS, type ModelOptions, resolvePlace } from '../model/amdim-model.js'
import { addon, unwrap, unwrapJson } from '../native.js'

/** Options of {@link importCheckpoint}. */
export interface ImportOptions extends ModelOptions {
  /**
   * Where the configuration comes from that a checkpoint does not hold: augmentation, normalisation, schedule.
   *
   * @default by the size of the encoder's pictures: 'cifar10' for 32 pixels, 'stl10' for 64, 'imagenet128' for 128
   */
  preset?: PresetName
  /** Values laid over the preset; those of the encoder are the file's. */
  config?: ConfigOverrides
  /**
   * Names of the classes, in the order of their labels.
   *
   * @default their numbers
   */
  classes?: readonly string[]
}

/** What a checkpoint says of itself; null where it does not. */
interface ReferenceInfo {
  encoderSize: number
  baseWidth: number
  embeddingDim: number
  blockDepth: number
  batchNorm: boolean | null
  scoreClip: number | null
  classes: number
  hiddenUnits: number | null
}

const PRESET_OF_SIZE: Record<number, PresetName> = { 32: 'cifar10', 64: 'stl10', 128: 'imagenet128' }

/**
 * A model from a checkpoint of the authors' code (a `.pth` file of Philip-Bachman/amdim-public), encoder and classifiers.
 *
 * The pickle in the file is parsed, never executed; a name or an opcode that a dictionary of tensors does not need is an
 * error. Where the file lacks `tclip` or `use_bn`, the defaults of the authors' `Model` stand in: 20 and false. Where it
 * has them they count, unlike in the authors' own loader, which ignores both.
 *
 * @param path - the checkpoint, in the zip or the legacy form of `torch.save`
 * @throws {@link AmdimError} `AMDIM_IO` when it is missing, `AMDIM_CHECKPOINT` when it is truncated, foreign or malicious,
 *   `AMDIM_SHAPE` when a tensor is not of the shape that its own description asks for
 * @example
 * ```ts
 * import { importCheckpoint } from 'amdim';
 *
 * using model = await importCheckpoint('amdim_cpt.pth');
 * await model.save('amdim.safetensors');
 * ```
 */
export async function importCheckpoint(path: string, options: ImportOptions = {}): Promise<AmdimModel> {
  assertPath('path', path)
  assertKnownKeys(options, [...MODEL_OPTIONS, 'preset', 'config', 'classes'], 'importCheckpoint')
  const { preset, config: overrides, classes, ...place } = options
  const { device, executor, precision, threads } = await resolvePlace(place)
  const info = unwrapJson<ReferenceInfo>(await addon().inspectReference(path))
  const config = await resolveConfig({
    preset: preset ?? PRESET_OF_SIZE[info.encoderSize] ?? 'imagenet128',
    config: withFile(overrides ?? {}, info),
  })
  const names = config.classifiers.enabled ? classNames(classes, info.classes) : []
  const native = await addon().NativeModel.importReference(
    path,
    JSON.stringify(config),
    names,
    device,
    executor,
    precision,
    threads,
  )
  return AmdimModel.of(unwrap(native))
}

/** The overrides with what the file says; an encoder of the caller's own is kept, for the check to name. */
function withFile(overrides: ConfigOverrides, info: ReferenceInfo): ConfigOverrides {
  const { encoderSize, baseWidth, embeddingDim, blockDepth } = info
  const encoder = {
    kind: 'amdim' as const,
    ...{ encoderSize, inputChannels: 3 as const, baseWidth, embeddingDim, blockDepth },
    // The defaults of the authors' Model.
    batchNorm: info.batchNorm ?? false,
    ...overrides.encoder,
  }
  return {
    ...overrides,
    encoder: encoder as ConfigOverrides['encoder'],
    objective: { scoreClip: info.scoreClip ?? 20, ...overrides.objective },
    classifiers: {
      ...(info.hiddenUnits !== null && { hiddenUnits: info.hiddenUnits }),
      ...overrides.classifiers,
    },
  }
}

function classNames(given: readonly string[] | undefined, count: number): readonly string[] {
  if (given === undefined) return Array.from({ length: count }, (_, label) => String(label))
  if (given.length !== count)
    throw invalidArgument('classes', `${count} names, as many as the file has`, given)
  return given
}
