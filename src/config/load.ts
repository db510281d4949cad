import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { AmdimError, invalidArgument } from '../errors.js'
import { isPlainObject } from './merge.js'
import type { ConfigOverrides, PresetName } from './types.js'

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
  const content = await parse(path, await readText(path))
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

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new AmdimError(
      'AMDIM_IO',
      `config file ${path} cannot be read: ${(cause as Error).message}`,
      { path },
      { cause },
    )
  }
}

async function parse(path: string, text: string): Promise<unknown> {
  const extension = extname(path).toLowerCase()
  if (!['.json', '.yaml', '.yml'].includes(extension))
    throw invalidArgument('config file', 'a file named *.json, *.yaml or *.yml', path)
  try {
    return extension === '.json' ? JSON.parse(text) : (await import('yaml')).parse(text)
  } catch (cause) {
    const [line] = (cause as Error).message.split('\n')
    const message = `config file ${path} is not valid ${extension === '.json' ? 'JSON' : 'YAML'}: ${line}`
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
