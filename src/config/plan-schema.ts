import { z } from 'zod'
import { count, field } from './field.js'
import { runSchema } from './run-schema.js'

/** Options of `plan` and `amdim plan`, without the configuration. */
export const planSchema = runSchema
  .pick({ device: true, executor: true, precision: true, threads: true, prefetch: true })
  .extend({
    pictures: field(
      count().nullable().default(null),
      'number of training pictures, which turns epochs into updates; null: not known',
      'pictures',
    ),
    classes: field(
      z.int().min(0).nullable().default(null),
      'classes of the labels, 0 without labels; null: those of the data set that the preset is made for',
      'classes',
    ),
  })
