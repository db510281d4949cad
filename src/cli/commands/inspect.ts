import { inspect, type ModelInfo } from '../../index.js'
import { isOn } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS } from '../flags.js'
import { bytes, duration, grouped, table } from '../format.js'

/** `amdim inspect`. */
export const command: Command = {
  name: 'inspect',
  positionals: ['FILE'],
  description:
    'Shows what a model or checkpoint file holds: configuration, shapes, parameter counts, position.',
  async groups() {
    const flags = [
      { name: 'tensors', description: 'also the name and shape of every tensor' },
      { name: 'json', description: 'one JSON object on standard output, tensors included' },
    ]
    return [{ title: 'options', flags: [...flags, ...COMMON_FLAGS] }]
  },
  notes: ['example:', '  amdim inspect runs/first/model.safetensors --tensors'],
  async run(line, terminal) {
    const info = await inspect(line.positionals[0] ?? '')
    if (isOn(line, 'json')) {
      terminal.out(JSON.stringify(info))
      return EXIT.ok
    }
    for (const text of describe(info)) terminal.out(text)
    if (isOn(line, 'tensors')) terminal.out(`\n${tensorTable(info)}`)
    return EXIT.ok
  },
}

function describe({ config, parameters, tensors, position, classes, size }: ModelInfo): string[] {
  return [
    `parameters  ${grouped(parameters)} in ${tensors.length} tensors, ${bytes(size)}`,
    `position    epoch ${position.epoch}, update ${grouped(position.update)}, ${grouped(position.pairs)} pairs, ` +
      duration(position.seconds),
    `classes     ${classes.length === 0 ? 'none' : `${classes.length}: ${classes.slice(0, 10).join(', ')}${classes.length > 10 ? ', ...' : ''}`}`,
    ...Object.entries(config).map(([name, value]) => `${name.padEnd(11)} ${JSON.stringify(value)}`),
  ]
}

function tensorTable({ tensors }: ModelInfo): string {
  return table([
    ['tensor', 'shape', 'values'],
    ...tensors.map(({ name, shape }) => [
      name,
      `[${shape.join(', ')}]`,
      grouped(shape.reduce((product, n) => product * n, 1)),
    ]),
  ])
}
