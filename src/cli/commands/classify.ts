import type { Classification } from '../../index.js'
import { countOf, given, isOn } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type Flag } from '../flags.js'
import { percent } from '../format.js'
import { Interrupt } from '../interrupt.js'
import { MODEL_AND_PICTURES, modelAndPictures, WITHOUT_MODEL } from '../model-argument.js'
import { noteSkipped, openPictures, PICTURE_FLAGS, pictureOptions } from '../pictures.js'
import { placeOf } from '../place.js'

const FLAGS: Flag[] = [
  { name: 'head', value: 'linear|mlp', description: 'which classifier of the model', default: 'linear' },
  { name: 'top', value: 'N', description: 'how many classes a picture', default: '3' },
  { name: 'json', description: 'a JSON line a picture on standard output' },
  ...PICTURE_FLAGS,
]

/** `amdim classify`. */
export const command: Command = {
  name: 'classify',
  positionals: MODEL_AND_PICTURES,
  description:
    'Says what pictures show: the most probable classes of a data set, or of any number of picture files, by a classifier\n' +
    'of the model (trained on labels beside the encoder, or by train-classifiers).',
  async groups() {
    return [{ title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] }]
  },
  notes: [
    WITHOUT_MODEL,
    '',
    'examples:',
    '  amdim classify photos',
    '  amdim classify runs/first/model.safetensors cat.jpg dog.jpg',
    '  amdim classify runs/first/model.safetensors photos --head mlp --json > classes.jsonl',
  ],
  async run(line, terminal) {
    const { load, pictures } = modelAndPictures(line.positionals, terminal)
    const top = countOf('classify', line, 'top') ?? 3
    using model = await load(placeOf(line))
    using interrupt = new Interrupt(terminal, 'stopping')
    const found = await model.classify(await openPictures('classify', pictures, line), {
      ...pictureOptions(line, terminal),
      ...(given('head', line) as { head?: 'linear' | 'mlp' }),
      signal: interrupt.signal,
    })
    noteSkipped(found.skipped, terminal)
    for (const text of isOn(line, 'json') ? jsonLines(found, top) : textLines(found, top)) terminal.out(text)
    return EXIT.ok
  },
}

function* jsonLines(found: Classification, top: number): Generator<string> {
  for (const [i, name] of found.names.entries()) {
    const label = found.labels[i] ?? -1
    yield JSON.stringify({ name, label: label < 0 ? null : label, classes: found.top(i, top) })
  }
}

function* textLines(found: Classification, top: number): Generator<string> {
  for (const [i, name] of found.names.entries()) {
    const classes = found.top(i, top).map((entry) => `${entry.name} ${percent(entry.probability)}`)
    yield `${name}  ${classes.join(', ')}`
  }
}
