import { importCheckpoint } from '../../index.js'
import { isOn, presetOf, requiredText, textOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type Flag } from '../flags.js'
import { grouped } from '../format.js'

const FLAGS: Flag[] = [
  { name: 'out', value: 'FILE', description: 'the model file to write, *.safetensors' },
  {
    name: 'preset',
    value: 'NAME',
    description:
      'where the rest of the configuration comes from; default: cifar10, stl10 or imagenet128, by size',
  },
  { name: 'classes', value: 'A,B,...', description: 'names of the classes; default: their numbers' },
  { name: 'json', description: 'one JSON object on standard output' },
]

/** `amdim import`. */
export const command: Command = {
  name: 'import',
  positionals: ['FILE'],
  description:
    "Makes a model file of a checkpoint of the authors' code (.pth). The pickle in it is parsed, never executed.",
  async groups() {
    return [{ title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] }]
  },
  notes: ['example:', '  amdim import amdim_cpt.pth --out amdim.safetensors'],
  async run(line, terminal) {
    const [file = ''] = line.positionals
    const out = requiredText('import', line, 'out', 'model.safetensors')
    const classes = textOf(line, 'classes')?.split(',')
    using model = await importCheckpoint(file, {
      ...presetOf(line),
      ...(classes !== undefined && { classes }),
      device: 'cpu',
    })
    await model.save(out)
    const { config, parameters, position, classes: names } = model.info()
    if (isOn(line, 'json')) {
      terminal.out(JSON.stringify({ path: out, config, parameters, position, classes: names }))
      return EXIT.ok
    }
    const { encoderSize, baseWidth, embeddingDim, blockDepth, batchNorm } = config.encoder
    terminal.out(out)
    terminal.note(
      `encoder ${encoderSize} pixels, ndf ${baseWidth}, n_rkhs ${embeddingDim}, n_depth ${blockDepth}` +
        `${batchNorm ? ', batch norm' : ''}, ${grouped(parameters)} parameters; ${names.length} classes; ` +
        `epoch ${position.epoch}, update ${grouped(position.update)}`,
    )
    return EXIT.ok
  },
}
