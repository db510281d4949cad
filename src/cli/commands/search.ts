import { AmdimError, type EmbedInput, type Layer, type Neighbours, searchNeighbours } from '../../index.js'
import { countOf, isOn, openSplit, requiredText, textOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { type FeatureFile, readFeatureFile, sha256 } from '../feature-file.js'
import { COMMON_FLAGS, type Flag } from '../flags.js'
import { Interrupt } from '../interrupt.js'
import { MODEL_AND_PICTURES, modelAndPictures, WITHOUT_MODEL } from '../model-argument.js'
import { noteSkipped, openPictures, PICTURE_FLAGS, pictureOptions } from '../pictures.js'
import { placeOf } from '../place.js'

const FLAGS: Flag[] = [
  {
    name: 'in',
    value: 'PATH',
    description:
      'pictures to search in: a data set, or features.npy of them, as amdim embed --out features.npy writes it',
  },
  {
    name: 'in-split',
    value: 'train|test|all',
    description: 'which split of --in, where it has two',
  },
  { name: 'k', value: 'N', description: 'pictures found for each of PICTURES', default: '10' },
  { name: 'json', description: 'a JSON line a picture on standard output' },
  ...PICTURE_FLAGS,
]

/** `amdim search`. */
export const command: Command = {
  name: 'search',
  positionals: MODEL_AND_PICTURES,
  description:
    'Finds the pictures that are most like given ones, by the cosine similarity of their features. The search is exact.\n' +
    'Features of a collection that is searched more than once are better made once, by amdim embed.',
  async groups() {
    return [{ title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] }]
  },
  notes: [
    WITHOUT_MODEL,
    '',
    'examples:',
    '  amdim search cat.jpg --in photos',
    '  amdim embed runs/first/model.safetensors photos --out photos.npy',
    '  amdim search runs/first/model.safetensors cat.jpg dog.jpg --in photos.npy --k 5',
  ],
  async run(line, terminal) {
    const { load, file, pictures } = modelAndPictures(line.positionals, terminal)
    const place = requiredText('search', line, 'in', 'photos')
    const k = countOf('search', line, 'k')
    using interrupt = new Interrupt(terminal, 'stopping')
    using model = await load(placeOf(line))
    const options = { ...pictureOptions(line, terminal), signal: interrupt.signal }
    const embed = async (pictures: EmbedInput, layer?: Layer) => {
      const embedding = await model.embed(pictures, { ...options, ...(layer && { layer }) })
      noteSkipped(embedding.skipped, terminal)
      return embedding
    }
    const base = place.endsWith('.npy')
      ? await featuresOf(place, file())
      : await embed(await openSplit(place, textOf(line, 'in-split'), 'in-split'))
    const queries = await embed(await openPictures('search', pictures, line), base.layer)
    const found = await searchNeighbours(queries, base, k === undefined ? {} : { k })
    for (const [i, name] of queries.names.entries()) {
      const neighbours = neighboursOf(found, i, base)
      if (isOn(line, 'json')) terminal.out(JSON.stringify({ name, neighbours }))
      else for (const text of textLines(name, neighbours)) terminal.out(text)
    }
    return EXIT.ok
  },
}

/** Features from a file, which must be those of the same model: others have nothing to do with its own. */
async function featuresOf(path: string, modelFile: string): Promise<FeatureFile> {
  const features = await readFeatureFile('--in', path)
  if (features.model === undefined) return features
  const ours = await sha256(modelFile)
  if (features.model !== ours)
    throw new AmdimError(
      'AMDIM_CHECKPOINT',
      `--in: ${path} holds features of another model (SHA-256 ${features.model}) than ${modelFile} (${ours}); ` +
        'name that model, or make them anew by amdim embed',
      { name: '--in', path, expected: ours, actual: features.model },
    )
  return features
}

/** A picture that was found. */
interface Found {
  name: string
  /** Cosine, -1..1. */
  similarity: number
}

function neighboursOf({ k, indices, similarities }: Neighbours, query: number, base: FeatureFile): Found[] {
  return Array.from({ length: k }, (_, rank) => {
    const at = query * k + rank
    return { name: base.names[indices[at] ?? 0] ?? '', similarity: similarities[at] ?? Number.NaN }
  })
}

function* textLines(name: string, neighbours: readonly Found[]): Generator<string> {
  yield name
  for (const found of neighbours) yield `  ${found.similarity.toFixed(3).padStart(6)}  ${found.name}`
}
