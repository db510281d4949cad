import { PRESETS, type RunSettings, type TrainOptions, trainAmdim } from '../../index.js'
import { given, isOn, numberOf, pathPair, requiredText, textOf } from '../arguments.js'
import type { Command } from '../command.js'
import { configFlags, SOURCE_FLAGS, sourceFrom } from '../config-flags.js'
import { COMMON_FLAGS, type CommandLine, type Flag } from '../flags.js'
import { followRun } from '../follow-run.js'
import { flagsOfSchema, optionsFrom } from '../schema-flags.js'

const FLAGS: Flag[] = [
  {
    name: 'data',
    value: 'PATH',
    description: 'training pictures: folder, archive, or CIFAR, STL-10, MNIST files',
  },
  {
    name: 'test-data',
    value: 'PATH',
    description: 'test pictures; default: the test split of --data, if any',
  },
  ...SOURCE_FLAGS,
  { name: 'out', value: 'FOLDER', description: 'run folder; default: runs/<date>-<preset>' },
  { name: 'minutes', value: 'N', description: 'length in minutes of training', default: '30 (tiny)' },
  { name: 'epochs', value: 'N', description: 'length in passes over the training pictures' },
  { name: 'updates', value: 'N', description: 'length in updates' },
  { name: 'resume', value: 'PATH', description: 'go on with the run of a checkpoint or run folder, exactly' },
  { name: 'continue-from', value: 'FILE', description: 'start from the weights of a model file' },
  { name: 'keep-head', description: 'with --continue-from: keep its online classifiers' },
  { name: 'freeze-encoder', description: 'only the online classifiers learn' },
  { name: 'json', description: 'events and result as JSON lines on standard output' },
]

async function schemaFlags() {
  return {
    config: await configFlags(),
    run: await flagsOfSchema('run'),
  }
}

/** `amdim train`. */
export const command: Command = {
  name: 'train',
  positionals: [],
  description: 'Trains an encoder on pictures. Ctrl-C stops it cleanly, with a checkpoint to resume from.',
  async groups() {
    const { config, run } = await schemaFlags()
    return [
      { title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] },
      { title: 'device, threads, files', flags: run },
      { title: 'configuration', flags: config },
    ]
  },
  notes: [
    'presets:',
    ...Object.entries(PRESETS).map(([name, { description }]) => `  ${name.padEnd(12)} ${description}`),
    '',
    'examples:',
    '  amdim train --data photos --minutes 30',
    '  amdim train --data cifar-10-binary.tar.gz --preset cifar10 --base-width 64 --out runs/first',
    '  amdim train --data photos --resume runs/first',
  ],
  async run(line, terminal) {
    const options = await toOptions(line)
    return followRun((signal) => trainAmdim({ ...options, signal }), line, terminal)
  },
}

async function toOptions(line: CommandLine): Promise<TrainOptions> {
  const data = requiredText('train', line, 'data', 'photos')
  const flags = await schemaFlags()
  const test = textOf(line, 'test-data')
  return {
    ...(optionsFrom(flags.run, line) as Partial<RunSettings>),
    ...(await sourceFrom(line)),
    ...given('output', line, 'out'),
    ...given('resume', line),
    ...given('continueFrom', line, 'continue-from'),
    ...numberOf('minutes', line),
    ...numberOf('epochs', line),
    ...numberOf('updates', line),
    ...(isOn(line, 'keep-head') && { keepHead: true }),
    ...(isOn(line, 'freeze-encoder') && { freezeEncoder: true }),
    data: pathPair(data, test),
  }
}
