/** Augmentation policies: published ones by name, and the form of one's own. */
import { z } from 'zod'
import { field, probability } from './field.js'

const names = ['fast-autoaugment-cifar10', 'fast-autoaugment-imagenet'] as const

const operations = [
  'ShearX',
  'ShearY',
  'TranslateX',
  'TranslateY',
  'TranslateXAbs',
  'TranslateYAbs',
  'Rotate',
  'AutoContrast',
  'Invert',
  'Equalize',
  'Solarize',
  'Posterize',
  'Posterize2',
  'Contrast',
  'Color',
  'Brightness',
  'Sharpness',
  'Cutout',
  'CutoutAbs',
] as const

const step = z.tuple([z.enum(operations), probability(), probability()])

const subPolicy = z
  .array(step)
  .refine(({ length }) => length >= 1 && length <= 16, 'expected 1 to 16 operations')

/** Sub-policies, of which one is drawn for each view: lists of [operation, probability, level]. */
export const ownPolicy = z
  .array(subPolicy)
  .refine(({ length }) => length >= 1 && length <= 10_000, 'expected 1 to 10000 sub-policies')

/** The option `augment.policy`. */
export const policy = field(
  z
    .union([z.enum(names), ownPolicy, z.null()])
    .default(null)
    .meta({
      expects: `${names.join(', ')}, or 1 to 10000 sub-policies: lists of [operation, probability, level]`,
    }),
  'strong augmentation before the crop: a Fast AutoAugment policy, or sub-policies of your own; null: none',
  'policy',
)
