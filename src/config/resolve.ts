import { AmdimError } from '../errors.js'
import { usualTerms } from './encoder-maps.js'
import { withKindDefaults } from './encoder-schema.js'
import { assertOverrides, isPlainObject, mergeOverrides } from './merge.js'
import { findPreset, usualPreset } from './presets.js'
import { configSchema } from './schema.js'
import type { AmdimConfig, ConfigOverrides, EncoderConfig, PresetName } from './types.js'
import { validate } from './validate.js'

/** What a configuration is made from: `base` or else the preset, then the overrides. */
export interface ConfigSources {
  preset?: PresetName | undefined
  base?: AmdimConfig | undefined
  overrides?: ConfigOverrides | undefined
}

/**
 * The whole configuration.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` for an unknown preset or option, or a value out of range
 */
export function resolveSources({ preset, base, overrides = {} }: ConfigSources): AmdimConfig {
  assertOverrides(overrides)
  const start = mergeOverrides(
    configSchema.parse({}),
    base ?? findPreset(preset ?? usualPreset(overrides.method)).config,
  ) as AmdimConfig
  return validate(configSchema, mergeOverrides(start, linkKind(start.encoder, linkSizes(overrides))))
}

/**
 * Options that mean something for one kind of encoder alone follow the kind, and terms the maps, unless they are given.
 */
function linkKind(start: EncoderConfig, overrides: ConfigOverrides): ConfigOverrides {
  const { encoder, objective } = overrides
  if (!isPlainObject(encoder) || (objective !== undefined && !isPlainObject(objective))) return overrides
  const linked = withKindDefaults(start, encoder as Partial<EncoderConfig>)
  const next = mergeOverrides(start, linked) as EncoderConfig
  const isSame = next.kind === start.kind && String(next.localMaps) === String(start.localMaps)
  const terms = objective?.terms ?? (isSame ? undefined : usualTerms(next))
  return { ...overrides, encoder: linked, objective: { ...objective, terms } }
}

/**
 * A view must be as large as the encoder takes it, and have its channels; who overrides one means both.
 */
function linkSizes(overrides: ConfigOverrides): ConfigOverrides {
  const { encoder, augment } = overrides
  if (
    (encoder !== undefined && !isPlainObject(encoder)) ||
    (augment !== undefined && !isPlainObject(augment))
  )
    return overrides
  const pixels = augment?.pixels ?? encoder?.encoderSize
  const channels = augment?.channels ?? encoder?.inputChannels
  return {
    ...overrides,
    encoder: {
      ...encoder,
      encoderSize: encoder?.encoderSize ?? pixels,
      inputChannels: encoder?.inputChannels ?? channels,
    },
    augment: { ...augment, pixels, channels },
  }
}

/**
 * The configuration of a resumed run: the checkpoint's own. Only its length may be changed.
 *
 * @throws {@link AmdimError} `AMDIM_INVALID_ARGUMENT` naming the first other difference
 */
export function resolveResumed(saved: AmdimConfig, overrides: ConfigOverrides | undefined): AmdimConfig {
  const resolved = resolveSources({ base: saved, overrides })
  const difference = firstDifference(saved, { ...resolved, length: saved.length })
  if (difference === undefined) return resolved
  throw new AmdimError(
    'AMDIM_INVALID_ARGUMENT',
    `${difference}: a resumed run keeps the configuration of its checkpoint, only its length may change; ` +
      'use continueFrom to start a new run from its weights',
    { name: difference },
  )
}

/** Path of the first value in which two plain values differ. */
function firstDifference(a: unknown, b: unknown, path: string[] = []): string | undefined {
  if (isPlainObject(a) && isPlainObject(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const difference = firstDifference(a[key], b[key], [...path, key])
      if (difference !== undefined) return difference
    }
    return undefined
  }
  return JSON.stringify(a) === JSON.stringify(b) ? undefined : path.join('.')
}
