import { existsSync } from 'node:fs'
import { type Embedding, type EmbedOptions, type Layer, writeParquet } from '../../index.js'
import { writeFileWhole } from '../../write-file.js'
import { isOn, textOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { notesPath, sha256, writeFeatureFile } from '../feature-file.js'
import { COMMON_FLAGS, type CommandLine, type Flag } from '../flags.js'
import { grouped } from '../format.js'
import { Interrupt } from '../interrupt.js'
import { MODEL_AND_PICTURES, modelAndPictures, WITHOUT_MODEL } from '../model-argument.js'
import { npyHeader, npyValues } from '../npy.js'
import { noteSkipped, openPictures, PICTURE_FLAGS, pictureOptions } from '../pictures.js'
import { placeOf } from '../place.js'
import type { Terminal } from '../terminal.js'
import { UsageError } from '../usage-error.js'

const FLAGS: Flag[] = [
  {
    name: 'out',
    value: 'FILE',
    description:
      'features.npy (with features.json of names, labels, model), features.parquet, or features.jsonl',
  },
  { name: 'json', description: 'a JSON line a picture on standard output' },
  {
    name: 'layer',
    value: 'global|localN|mixture|posteriorN',
    description: 'feature map, or posterior over mixture features; N: side of the map',
    default: 'global',
  },
  {
    name: 'posterior-maps',
    value: 'DIR',
    description:
      'draws the posterior over each picture, as PNG files; features are written with --out or --json',
  },
  ...PICTURE_FLAGS,
]

/** `amdim embed`. */
export const command: Command = {
  name: 'embed',
  positionals: MODEL_AND_PICTURES,
  description:
    'Writes features of pictures: a data set, or any number of picture files. Without --out, --json and\n' +
    '--posterior-maps the .npy file goes to standard output, or to features.npy where that is a terminal.',
  async groups() {
    return [{ title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] }]
  },
  notes: [
    WITHOUT_MODEL,
    '',
    'examples:',
    '  amdim embed photos --out features.npy',
    '  amdim embed runs/first/model.safetensors photos --out features.npy',
    '  amdim embed runs/first/model.safetensors cat.jpg dog.jpg --json',
    '  amdim embed runs/mixture/model.safetensors photos --posterior-maps maps',
  ],
  async run(line, terminal) {
    const { load, file, pictures } = modelAndPictures(line.positionals, terminal)
    const write = chooseWriter(line, terminal)
    const place = placeOf(line)
    using model = await load(place)
    using interrupt = new Interrupt(terminal, 'stopping')
    const embedding = await model.embed(await openPictures('embed', pictures, line), {
      ...pictureOptions(line, terminal),
      ...embedOptions(line),
      signal: interrupt.signal,
    })
    noteSkipped(embedding.skipped, terminal)
    await write(embedding, file())
    const maps = textOf(line, 'posterior-maps')
    if (maps !== undefined) terminal.note(`drawings in ${maps}: ${grouped(embedding.length)}`)
    return EXIT.ok
  },
}

function embedOptions(line: CommandLine): EmbedOptions {
  const layer = textOf(line, 'layer') as Layer | undefined
  const posteriorMaps = textOf(line, 'posterior-maps')
  return {
    ...(layer !== undefined && { layer }),
    ...(posteriorMaps !== undefined && { posteriorMaps }),
  }
}

/** Where features go that are asked for on a terminal without a name. */
const DEFAULT_OUT = 'features.npy'

/** Takes the path of the model file, too. */
type Writer = (embedding: Embedding, model: string) => Promise<void>

/** Chosen before the work, so that a mistake costs no time. */
function chooseWriter(line: CommandLine, terminal: Terminal): Writer {
  const out = textOf(line, 'out')
  if (out !== undefined && !/\.(npy|parquet|jsonl)$/.test(out))
    throw new UsageError(
      `--out: expected a file named *.npy, *.parquet or *.jsonl, got "${out}"`,
      'see amdim embed --help',
    )
  if (out?.endsWith('.npy')) return (embedding, model) => writeNpy(out, embedding, model, terminal)
  if (out?.endsWith('.parquet'))
    return async (embedding) => {
      await writeParquet(out, embedding)
      terminal.out(`${out}  ${embedding.length} rows, embedding [${embedding.shape.slice(1).join(', ')}]`)
    }
  if (out !== undefined) return (embedding) => writeFileWhole(out, jsonLines(embedding, '\n'))
  if (isOn(line, 'json'))
    return async (embedding) => {
      for (const text of jsonLines(embedding, '')) terminal.out(text)
    }
  if (textOf(line, 'posterior-maps') !== undefined) return async () => {}
  if (process.stdout.isTTY) {
    // Features are no text for a terminal; nobody asked for this name, so nothing of it is written over.
    if (existsSync(DEFAULT_OUT))
      throw new UsageError(
        `${DEFAULT_OUT} is there already`,
        'name a file with --out, or use --json, or a pipe',
      )
    return (embedding, model) => writeNpy(DEFAULT_OUT, embedding, model, terminal)
  }
  return async ({ data, shape }) => {
    await terminal.outBytes(npyHeader(shape))
    await terminal.outBytes(npyValues(data))
  }
}

async function writeNpy(
  path: string,
  embedding: Embedding,
  model: string,
  terminal: Terminal,
): Promise<void> {
  await writeFeatureFile(path, embedding, await sha256(model))
  terminal.out(`${path}  [${embedding.shape.join(', ')}]`)
  terminal.out(notesPath(path))
}

function* jsonLines(embedding: Embedding, end: string): Generator<string> {
  const shape = embedding.shape.slice(1)
  for (const [i, name] of embedding.names.entries()) {
    const label = embedding.labels[i] ?? -1
    yield JSON.stringify({ name, label: label < 0 ? null : label, shape, embedding: [...embedding.row(i)] }) +
      end
  }
}
