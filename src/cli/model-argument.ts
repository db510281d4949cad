import { AmdimModel, type ModelOptions } from '../index.js'
import { PRETRAINED } from '../model/pretrained.js'
import type { Terminal } from './terminal.js'
import { UsageError } from './usage-error.js'

/** What {@link modelAndPictures} takes, for usage lines. */
export const MODEL_AND_PICTURES = ['[MODEL.safetensors]', 'PICTURES...'] as const

/** A model file and pictures; without a file the model that ships with the package, which is said. */
export function modelAndPictures(positionals: readonly string[], terminal: Terminal) {
  const [first = '', ...rest] = positionals
  const isModel = first.endsWith('.safetensors')
  if (isModel && rest.length === 0)
    throw new UsageError('PICTURES... is missing', `usage: ${MODEL_AND_PICTURES.join(' ')}`)
  if (!isModel) terminal.note(`model: ${PRETRAINED}, which ships with the package`)
  return {
    load: (options: ModelOptions) =>
      isModel ? AmdimModel.load(first, options) : AmdimModel.pretrained(options),
    pictures: isModel ? rest : [...positionals],
  }
}
