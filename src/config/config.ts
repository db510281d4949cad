import { invalidArgument } from '../errors.js'
import type { AmdimConfig, ConfigOverrides, PresetName } from './types.js'

/** Where a configuration comes from. */
export interface ResolveConfigOptions {
  /**
   * Named set of values to start from.
   *
   * @default 'tiny'
   */
  preset?: PresetName
  /** Values laid over the preset, at any depth. */
  config?: ConfigOverrides
}

/**
 * The whole configuration that a preset and overrides mean, checked.
 *
 * `encoder.encoderSize` and `augment.pixels` follow each other when one alone is overridden, and so do
 * `encoder.inputChannels` and `augment.channels`.
 *
 * @returns the configuration with every default filled in
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for an unknown preset or option, or a value out of range
 * @example
 * ```ts
 * import { resolveConfig } from 'amdim';
 *
 * const config = await resolveConfig({ preset: 'cifar10', config: { encoder: { baseWidth: 64 } } });
 * console.log(config.encoder.embeddingDim); // 1024
 * ```
 */
export async function resolveConfig({ preset, config }: ResolveConfigOptions = {}): Promise<AmdimConfig> {
  const { resolveSources } = await import('./resolve.js')
  return resolveSources({ preset, overrides: config })
}

/**
 * Which options a JSON schema describes: a run's configuration, the settings of a run, an evaluation plan, what a
 * prediction ({@link plan}) or a sheet ({@link augmentSheet}) is told beside the configuration, or how {@link measure},
 * {@link compareModels}, {@link findDuplicates}, {@link estimateMutualInformation} and {@link trainGan} work.
 */
export type SchemaName =
  | 'config'
  | 'run'
  | 'evaluate'
  | 'plan'
  | 'sheet'
  | 'measure'
  | 'compare'
  | 'duplicates'
  | 'estimate'
  | 'gan'

/**
 * The JSON schema (draft 2020-12) of a set of options, with descriptions, ranges and defaults. The key `flag` is the
 * short command-line flag of an option.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for an unknown name
 * @example
 * ```ts
 * import { writeFile } from 'node:fs/promises';
 * import { jsonSchema } from 'amdim';
 *
 * await writeFile('amdim.schema.json', JSON.stringify(await jsonSchema('config'), null, 2));
 * ```
 */
export async function jsonSchema(name: SchemaName): Promise<Record<string, unknown>> {
  const { schemaNode } = await import('./validate.js')
  return structuredClone(schemaNode(await schemaOf(name))) as Record<string, unknown>
}

async function schemaOf(name: SchemaName) {
  switch (name) {
    case 'config':
      return (await import('./schema.js')).configSchema
    case 'run':
      return (await import('./run-schema.js')).runSchema
    case 'evaluate':
      return (await import('./evaluate-schema.js')).evaluateSchema
    case 'plan':
      return (await import('./plan-schema.js')).planSchema
    case 'sheet':
      return (await import('./sheet-schema.js')).sheetSchema
    case 'measure':
      return (await import('./measure-schema.js')).measureSchema
    case 'compare':
      return (await import('./measure-schema.js')).compareSchema
    case 'duplicates':
      return (await import('./measure-schema.js')).duplicatesSchema
    case 'estimate':
      return (await import('./estimate-schema.js')).estimateSchema
    case 'gan':
      return (await import('./gan-schema.js')).ganSchema
    default:
      throw invalidArgument(
        'name',
        'one of config, run, evaluate, plan, sheet, measure, compare, duplicates, estimate, gan',
        name,
      )
  }
}
