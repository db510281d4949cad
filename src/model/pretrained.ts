import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { AmdimError } from '../errors.js'

/** Name of the model that ships with the package; `models/README.md` describes it. */
export const PRETRAINED = 'tiny-cifar10'

const SHIPPED = fileURLToPath(new URL(`../../models/${PRETRAINED}.safetensors`, import.meta.url))

/**
 * Path of its file, or of the one that the environment variable `AMDIM_PRETRAINED` names in its place.
 *
 * @param shipped - where the package has it
 * @throws {@link AmdimError} `AMDIM_IO` when the variable is not set and the package holds no such file
 */
export function pretrainedPath(shipped = SHIPPED): string {
  const own = process.env['AMDIM_PRETRAINED']
  if (own) return own
  if (existsSync(shipped)) return shipped
  throw new AmdimError(
    'AMDIM_IO',
    `the model that ships with amdim is not at ${shipped}: install amdim again, name a model file, or name one in ` +
      'AMDIM_PRETRAINED',
    { path: shipped },
  )
}
