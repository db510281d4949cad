import { type AugmentSheetOptions, augmentSheet } from '../../index.js'
import { isOn, requiredText } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { configFlags, SOURCE_FLAGS, sourceFrom } from '../config-flags.js'
import { COMMON_FLAGS, type CommandLine, type Flag } from '../flags.js'
import { Interrupt } from '../interrupt.js'
import { flagsOfSchema, optionsFrom } from '../schema-flags.js'

const FLAGS: Flag[] = [
  { name: 'data', value: 'PATH', description: 'pictures: folder, archive, or CIFAR, STL-10, MNIST files' },
  { name: 'sheet', value: 'FILE', description: 'PNG file to write' },
  ...SOURCE_FLAGS,
  { name: 'json', description: 'one JSON object on standard output' },
]

async function sheetFlags() {
  return flagsOfSchema('sheet')
}

/** `amdim augment`. */
export const command: Command = {
  name: 'augment',
  positionals: [],
  description:
    'Draws what augmentation does: a sheet with a row for each picture, the picture itself followed by views as ' +
    'training with the same options gets them.',
  async groups() {
    return [
      { title: 'options', flags: [...FLAGS, ...(await sheetFlags()), ...COMMON_FLAGS] },
      { title: 'configuration', flags: await configFlags() },
    ]
  },
  notes: [
    'examples:',
    '  amdim augment --data photos --sheet sheet.png',
    '  amdim augment --data photos --sheet sheet.png --policy fast-autoaugment-cifar10 --columns 12',
  ],
  async run(line, terminal) {
    const options = await toOptions(line)
    using interrupt = new Interrupt(terminal, 'stopping after this picture')
    const sheet = await augmentSheet({ ...options, signal: interrupt.signal })
    if (isOn(line, 'json')) terminal.out(JSON.stringify(sheet))
    else {
      const { output, width, height, rows, skipped } = sheet
      const left = skipped.length === 0 ? '' : `, ${skipped.length} left out`
      terminal.out(`${output}  ${rows.length} pictures${left}, ${width} x ${height} pixels`)
    }
    return EXIT.ok
  },
}

async function toOptions(line: CommandLine): Promise<AugmentSheetOptions> {
  const data = requiredText('augment', line, 'data', 'photos')
  const output = requiredText('augment', line, 'sheet', 'sheet.png')
  return {
    ...(optionsFrom(await sheetFlags(), line) as Partial<AugmentSheetOptions>),
    ...(await sourceFrom(line)),
    data,
    output,
  }
}
