import { z } from 'zod'
import { count, field } from './field.js'
import { onBadImage } from './run-schema.js'

/** Options of `augmentSheet` and `amdim augment`, without data, configuration and file. */
export const sheetSchema = z.strictObject({
  pictures: field(count().max(10_000).default(8), 'pictures, each a row', 'pictures'),
  views: field(count().max(10_000).default(8), 'views a picture', 'columns'),
  scale: field(
    count().max(64).nullable().default(null),
    'pixels of the sheet for one of a view, along each axis; null: about 128 a view',
    'scale',
  ),
  onBadImage,
})
