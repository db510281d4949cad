import { extname } from 'node:path'
import { mergeOverrides } from '../config/merge.js'
import { type ConfigOverrides, loadConfig, loadPolicy, PRESETS, type PresetName } from '../index.js'
import { presetOf, textOf } from './arguments.js'
import type { CommandLine, Flag } from './flags.js'
import { flagsOfSchema, optionsFrom, type SchemaFlag } from './schema-flags.js'

// Options that commands have flags of their own for.
const OMITTED = ['length', 'encoderFrozen']

/** Flags that say what the configuration starts from. */
export const SOURCE_FLAGS: Flag[] = [
  {
    name: 'preset',
    value: Object.keys(PRESETS).join('|'),
    description: 'values to start from',
    default: 'tiny; dim or moco with such a --method',
  },
  {
    name: 'config',
    value: 'FILE',
    description: 'JSON or YAML file of options, over the preset, under the flags',
  },
]

/**
 * What the configuration is made from: `--preset`, or that of the file, then the file of `--config`, then the flags.
 *
 * @throws AmdimError when a file cannot be read or is no configuration
 */
export async function sourceFrom(
  line: CommandLine,
): Promise<{ preset?: PresetName; config: ConfigOverrides }> {
  const file = textOf(line, 'config')
  const { preset, config } = file === undefined ? { config: {} } : await loadConfig(file)
  return {
    ...(preset && { preset }),
    ...presetOf(line),
    config: mergeOverrides(config, await configFrom(line)) as ConfigOverrides,
  }
}

/** A flag for each option of the configuration. */
export async function configFlags(): Promise<SchemaFlag[]> {
  const flags = await flagsOfSchema('config', OMITTED)
  return flags.map((flag) => (isPolicy(flag) ? { ...flag, value: 'NAME|FILE.json|none' } : flag))
}

/**
 * The configuration that a command line sets; the policy file that it names is read.
 *
 * @throws AmdimError when that file cannot be read or is no policy
 */
export async function configFrom(line: CommandLine): Promise<ConfigOverrides> {
  const flags = await configFlags()
  const isOther = (flag: SchemaFlag) => !isPolicy(flag)
  const options = optionsFrom(flags.filter(isOther), line)
  const policy = line.flags.get(flags.find(isPolicy)?.name ?? '')
  if (typeof policy !== 'string') return options
  return {
    ...options,
    augment: { ...(options['augment'] ?? {}), policy: await policyOf(policy) },
  } as ConfigOverrides
}

function isPolicy({ path }: SchemaFlag): boolean {
  return path.join('.') === 'augment.policy'
}

/** What a text means: none, the policy in a file, or a name, which the configuration's check knows. */
async function policyOf(text: string) {
  if (['none', 'null'].includes(text)) return null
  return extname(text) === '' ? text : loadPolicy(text)
}
