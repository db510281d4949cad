import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { withOwnOptions } from '../config/merge.js'
import { usualPreset } from '../config/presets.js'
import { resolveResumed, resolveSources } from '../config/resolve.js'
import { runSchema } from '../config/run-schema.js'
import type { AmdimConfig, ConfigOverrides, RunSettings } from '../config/types.js'
import { schemaNode, validate } from '../config/validate.js'
import { assertKnownKeys } from '../config/validate-keys.js'
import { assertSignal } from '../config/validate-signal.js'
import { assertPath } from '../data/arguments.js'
import { AmdimError, invalidArgument } from '../errors.js'
import { inspect } from '../model/inspect.js'
import { TRAIN_KEYS, type TrainOptions } from './options.js'
import { defaultRunFolder } from './run-folder.js'

/** A run as the addon takes it. */
export interface TrainRequest extends RunSettings {
  config: AmdimConfig
  preset: string | null
  output: string
  resume: string | null
  initialWeights: string | null
  keepHead: boolean
}

/**
 * The whole request that options mean, checked; files are read for `resume` and `continueFrom` only.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for options that are unknown, out of range or contradictory
 */
export async function resolveRequest(options: TrainOptions): Promise<TrainRequest> {
  checkNames(options)
  const settings = validate(runSchema, pickSettings(options))
  const resume = options.resume === undefined ? null : await checkpointPath(options.resume)
  const overrides = overridesOf(options)
  const config = await resolveRunConfig(options, resume, overrides)
  const preset = options.preset ?? usualPreset(overrides?.method)
  return {
    ...settings,
    config,
    preset: options.preset ?? (resume || options.continueFrom ? null : preset),
    output: options.output ?? (resume ? dirname(resume) : defaultRunFolder(preset)),
    resume,
    initialWeights: options.continueFrom ?? null,
    keepHead: options.keepHead ?? false,
  }
}

function checkNames(options: TrainOptions): void {
  assertKnownKeys(
    options,
    [...TRAIN_KEYS, ...Object.keys(schemaNode(runSchema).properties ?? {})],
    'trainAmdim',
  )
  const { resume, continueFrom, keepHead, output, preset, transform, signal } = options
  for (const [name, path] of Object.entries({ resume, continueFrom, output }))
    if (path !== undefined) assertPath(name, path)
  if (resume !== undefined && continueFrom !== undefined)
    throw conflict('resume', 'continueFrom', 'resume goes on with a run, continueFrom starts a new one')
  if (resume !== undefined && preset !== undefined)
    throw conflict('resume', 'preset', 'a resumed run has the configuration of its checkpoint')
  if (keepHead && continueFrom === undefined)
    throw invalidArgument(
      'keepHead',
      'continueFrom beside it',
      keepHead,
      'there is no other model whose head to keep',
    )
  if (transform !== undefined && typeof transform !== 'function')
    throw invalidArgument('transform', 'a function of a picture', transform)
  assertSignal(signal)
}

function conflict(a: string, b: string, why: string): AmdimError {
  return new AmdimError('AMDIM_INVALID_ARGUMENT', `${a} and ${b} cannot be given together: ${why}`, {
    name: a,
  })
}

function pickSettings(options: TrainOptions): Partial<RunSettings> {
  const own: readonly string[] = TRAIN_KEYS
  return Object.fromEntries(Object.entries(options).filter(([key]) => !own.includes(key)))
}

/** Options that stand for parts of the configuration. */
type ConfigOptions = Pick<
  TrainOptions,
  'config' | 'epochs' | 'updates' | 'minutes' | 'seed' | 'freezeEncoder'
>

/**
 * The configuration's overrides, with those that have an option of their own.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for two lengths, or a configuration that is no object
 */
export function overridesOf(options: ConfigOptions): ConfigOverrides | undefined {
  const lengths = (['epochs', 'updates', 'minutes'] as const).filter((name) => options[name] !== undefined)
  if (lengths.length > 1) throw conflict(lengths[0] ?? '', lengths[1] ?? '', 'a run has one length')
  const [length] = lengths
  const own = {
    ...(length && { length: { [length]: options[length] } }),
    ...(options.seed !== undefined && { seed: options.seed }),
    ...(options.freezeEncoder !== undefined && { encoderFrozen: options.freezeEncoder }),
  }
  return withOwnOptions(options.config, own)
}

async function resolveRunConfig(
  { preset, continueFrom }: TrainOptions,
  resume: string | null,
  overrides: ConfigOverrides | undefined,
): Promise<AmdimConfig> {
  if (resume !== null) return resolveResumed((await inspect(resume)).config, overrides)
  const inherits = continueFrom !== undefined && preset === undefined
  const base = inherits ? { ...(await inspect(continueFrom)).config, encoderFrozen: false } : undefined
  return resolveSources({ preset, base, overrides })
}

/** The checkpoint that a path means: the file itself, or the one in a run folder. */
async function checkpointPath(path: string): Promise<string> {
  try {
    return (await stat(path)).isDirectory() ? join(path, 'checkpoint.safetensors') : path
  } catch (cause) {
    const reason =
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is nothing at this path' : String(cause)
    throw new AmdimError(
      'AMDIM_IO',
      `resume: ${path} cannot be read: ${reason}`,
      { name: 'resume', path },
      { cause },
    )
  }
}
