/** Types inferred from the schemas; importing them does not load the schemas. */
import type { z } from 'zod'
import type { estimateSchema } from './estimate-schema.js'
import type { evaluateSchema } from './evaluate-schema.js'
import type { ganSchema } from './gan-schema.js'
import type { compareSchema, duplicatesSchema, measureSchema } from './measure-schema.js'
import type { runSchema } from './run-schema.js'
import type { configSchema } from './schema.js'

/**
 * Everything that a run's numbers depend on, with every default filled in. It is written into each checkpoint and run
 * folder. `jsonSchema('config')` has the meaning, range and default of each option.
 */
export type AmdimConfig = z.output<typeof configSchema>

/** How a picture becomes two views, and its test-time form. */
export type AugmentConfig = AmdimConfig['augment']

/**
 * An augmentation policy of one's own: sub-policies, of which one is drawn for each view. Each is a list of
 * `[operation, probability, level]`; `docs/guide/data.md` has the operations and what their levels mean.
 */
export type AugmentPolicy = Exclude<AugmentConfig['policy'], string | null>

/** Shape of the encoder network. */
export type EncoderConfig = AmdimConfig['encoder']

/** Any part of a configuration; what is left out comes from the preset, and from the defaults below that. */
export type ConfigOverrides = DeepPartial<AmdimConfig>

/** Settings that do not change a run's numbers: device, threads, logging, checkpoints. */
export type RunSettings = z.output<typeof runSchema>

/** An evaluation plan with every default filled in. */
export type EvaluationPlan = z.output<typeof evaluateSchema>

/** How mutual information is estimated, with every default filled in. */
export type EstimatePlan = z.output<typeof estimateSchema>

/** How a generative adversarial network is trained, with every default filled in. */
export type GanPlan = z.output<typeof ganSchema>

/** What is measured of features, with every default filled in. */
export type MeasurePlan = z.output<typeof measureSchema>

/** How two models are compared, with every default filled in. */
export type ComparePlan = z.output<typeof compareSchema>

/** What counts as a duplicate, with every default filled in. */
export type DuplicatesPlan = z.output<typeof duplicatesSchema>

/** Name of a preset. */
export type PresetName =
  | 'tiny'
  | 'cifar10'
  | 'cifar100'
  | 'stl10'
  | 'imagenet128'
  | 'places205'
  | 'dim'
  | 'moco'
  | 'vib'
  | 'vae'
  | 'amdim-small'
  | 'amdim-medium'
  | 'amdim-large'

/** An object with every part optional, at any depth; arrays and run lengths are given whole. */
export type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? keyof T extends 'epochs' | 'updates' | 'minutes'
      ? T
      : { [K in keyof T]?: DeepPartial<T[K]> | undefined }
    : T
