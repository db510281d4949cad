import { AmdimModel, type ModelOptions } from '../index.js'
import { pretrainedPath } from '../model/pretrained.js'
import type { Terminal } from './terminal.js'
import { UsageError } from './usage-error.js'

/** What {@link modelAndPictures} takes, for usage lines. */
export const MODEL_AND_PICTURES = ['[MODEL.safetensors]', 'PICTURES...'] as const

/** What their help says of it. */
export const WITHOUT_MODEL = 'Without a model file: the model that ships with the package.'

/** A model file and pictures; without a file the model that ships with the package, which is said. */
export function modelAndPictures(positionals: readonly string[], terminal: Terminal) {
  const [first = '', ...rest] = positionals
  const isModel = first.endsWith('.safetensors')
  if (isModel && rest.length === 0)
    throw new UsageError('PICTURES... is missing', `usage: ${MODEL_AND_PICTURES.join(' ')}`)
  const file = () => (isModel ? first : pretrainedPath())
  return {
    load: async (options: ModelOptions) => {
      if (!isModel) terminal.note(`model: ${file()}`)
      return AmdimModel.load(file(), options)
    },
    file,
    pictures: isModel ? rest : [...positionals],
  }
}
