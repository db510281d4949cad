import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { AmdimError, invalidArgument } from '../errors.js'
import { isPlainObject } from './merge.js'
import type { AugmentPolicy, ConfigOverrides, PresetName } from './types.js'

/** What a configuration file holds. */
export interface ConfigFile {
  /** Preset to start from. */
  preset?: PresetName
  /** Overrides of the preset. */
  config: ConfigOverrides
}

/**
 * Reads a configuration file: JSON (`.json`) or YAML (`.yaml`, `.yml`), holding any part of an `AmdimConfig` and
 * optionally `preset`. The `config.json` of a run folder is read too: its configuration is taken.
 *
 * @param path - path of the file
 * @throws {@link AmdimError} `AMDIM_IO` when the file cannot be read, `AMDIM_INVALID_ARGUMENT` when it is malformed or
 *   holds an unknown option or a value out of range
 * @example
 * ```ts
 * import { loadConfig, trainAmdim } from 'amdim';
 *
 * const { preset, config } = await loadConfig('experiment.yaml');
 * await trainAmdim({ data: 'pictures', ...(preset && { preset }), config });
 * ```
 */
export async function loadConfig(path: string): Promise<ConfigFile> {
  if (typeof path !== 'string') throw invalidArgument('path', 'the path of a file', path)
  const content = await read('config', path)
  if (!isPlainObject(content)) throw invalidArgument(path, 'an object of options', content)
  // A run folder's config.json is the whole request, with the configuration inside.
  const { preset, ...rest } = isPlainObject(content['config'])
    ? { preset: content['preset'] ?? undefined, ...content['config'] }
    : content
  const file = {
    ...(preset !== undefined && { preset: preset as PresetName }),
    config: rest as ConfigOverrides,
  }
  await check(path, file)
  return file
}

/**
 * Reads a policy file: JSON or YAML, holding a list of sub-policies, each a list of `[operation, probability, level]`.
 *
 * @param path - path of the file, named `*.json`, `*.yaml` or `*.yml`
 * @throws {@link AmdimError} `AMDIM_IO` when the file cannot be read, `AMDIM_INVALID_ARGUMENT` when it is malformed, names
 *   an unknown operation or has a number out of range
 * @example
 * ```ts
 * import { loadPolicy, trainAmdim } from 'amdim';
 *
 * await trainAmdim({ data: 'pictures', config: { augment: { policy: await loadPolicy('policy.json') } } });
 * ```
 */
export async function loadPolicy(path: string): Promise<AugmentPolicy> {
  if (typeof path !== 'string') throw invalidArgument('path', 'the path of a file', path)
  const content = await read('policy', path)
  const [{ validate }, { ownPolicy }] = await Promise.all([
    import('./validate.js'),
    import('./policy-schema.js'),
  ])
  return validate(ownPolicy, content, path)
}

async function read(what: string, path: string): Promise<unknown> {
  return parse(what, path, await readText(what, path))
}

async function readText(what: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new AmdimError(
      'AMDIM_IO',
      `${what} file ${path} cannot be read: ${(cause as Error).message}`,
      { path },
      { cause },
    )
  }
}

async function parse(what: string, path: string, text: string): Promise<unknown> {
  const extension = extname(path).toLowerCase()
  if (!['.json', '.yaml', '.yml'].includes(extension))
    throw invalidArgument(`${what} file`, 'a file named *.json, *.yaml or *.yml', path)
  try {
    return extension === '.json' ? JSON.parse(text) : (await import('yaml')).parse(text)
  } catch (cause) {
    const [line] = (cause as Error).message.split('\n')
    const message = `${what} file ${path} is not valid ${extension === '.json' ? 'JSON' : 'YAML'}: ${line}`
    throw new AmdimError('AMDIM_INVALID_ARGUMENT', message, { path }, { cause })
  }
}

async function check(path: string, { preset, config }: ConfigFile): Promise<void> {
  const { resolveSources } = await import('./resolve.js')
  try {
    resolveSources({ preset, overrides: config })
  } catch (error) {
    if (!(error instanceof AmdimError)) throw error
    throw new AmdimError(
      error.code,
      `${path}: ${error.message}`,
      { ...error.details, path },
      { cause: error },
    )
  }
}
