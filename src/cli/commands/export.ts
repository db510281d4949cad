import { type ExportFormat, type ExportOptions, exportModel, type MapLayer } from '../../index.js'
import { isOn, requiredText, textOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type Flag } from '../flags.js'
import { bytes } from '../format.js'

const FLAGS: Flag[] = [
  { name: 'out', value: 'FILE', description: 'the file to write' },
  {
    name: 'format',
    value: 'onnx|pth|safetensors',
    description: 'what to write; default: by the ending of FILE',
  },
  {
    name: 'layers',
    value: 'A,B,...',
    description: 'onnx: maps to return, of global, local5 and local7',
    default: 'global',
  },
  { name: 'normalise', description: 'onnx: the graph takes RGB values in 0..1 and normalises them itself' },
  { name: 'unfinished', description: 'also a model or checkpoint of a run that has not come to its end' },
  { name: 'json', description: 'one JSON object on standard output' },
]

/** `amdim export`. */
export const command: Command = {
  name: 'export',
  positionals: ['MODEL'],
  description:
    'Writes an encoder for other programs: an ONNX graph (opset 17), a checkpoint that the authors’ code loads, or its\n' +
    'weights alone. MODEL is a model file, a checkpoint or a run folder.',
  async groups() {
    return [{ title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] }]
  },
  notes: [
    'examples:',
    '  amdim export runs/first --out encoder.onnx --normalise',
    '  amdim export runs/first/model.safetensors --out amdim_cpt.pth',
  ],
  async run(line, terminal) {
    const [model = ''] = line.positionals
    const out = requiredText('export', line, 'out', 'encoder.onnx')
    const format = textOf(line, 'format') as ExportFormat | undefined
    const layers = textOf(line, 'layers')?.split(',') as MapLayer[] | undefined
    const options: ExportOptions = {
      ...(format !== undefined && { format }),
      ...(layers !== undefined && { layers }),
      normalise: isOn(line, 'normalise'),
      unfinished: isOn(line, 'unfinished'),
    }
    const written = await exportModel(model, out, options)
    if (isOn(line, 'json')) terminal.out(JSON.stringify(written))
    else {
      for (const file of written.files) terminal.out(file)
      terminal.note(bytes(written.bytes))
    }
    return EXIT.ok
  },
}
