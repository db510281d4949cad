import { PRESETS, type RunSettings, type TrainClassifiersOptions, trainClassifiers } from '../../index.js'
import { given, numberOf, pathPair, presetOf, requiredText, textOf } from '../arguments.js'
import type { Command } from '../command.js'
import { COMMON_FLAGS, type CommandLine, type Flag } from '../flags.js'
import { followRun } from '../follow-run.js'
import { flagsOfSchema, optionsFrom } from '../schema-flags.js'

const FLAGS: Flag[] = [
  { name: 'data', value: 'PATH', description: 'training pictures with labels, of this or another data set' },
  {
    name: 'test-data',
    value: 'PATH',
    description: 'test pictures; default: the test split of --data, if any',
  },
  {
    name: 'preset',
    value: Object.keys(PRESETS).join('|'),
    description: 'whose schedule: 120 epochs, 30 (imagenet128) or 15 (places205)',
    default: 'tiny',
  },
  { name: 'epochs', value: 'N', description: 'passes over the pictures; the rate decays at the same shares' },
  { name: 'label-fraction', value: 'N', description: 'share of the labels that are used', default: '1' },
  { name: 'batch-size', value: 'N', description: "pictures a step; default: the model's own" },
  { name: 'learning-rate', value: 'N', description: 'learning rate before it decays', default: '0.0002' },
  { name: 'seed', value: 'N', description: 'seed of weights, order, augmentation, dropout', default: '1' },
  { name: 'out', value: 'FOLDER', description: 'run folder; default: runs/<date>-<preset>' },
  { name: 'json', description: 'events and result as JSON lines on standard output' },
]

async function settingFlags() {
  return flagsOfSchema('run')
}

/** `amdim train-classifiers`. */
export const command: Command = {
  name: 'train-classifiers',
  positionals: ['MODEL'],
  description:
    'Trains new classifiers on the features of a frozen encoder, by the schedule of the reference. Ctrl-C stops it with a\n' +
    'checkpoint; amdim train --resume goes on.',
  async groups() {
    return [
      { title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] },
      { title: 'device, threads, files', flags: await settingFlags() },
    ]
  },
  notes: [
    'examples:',
    '  amdim train-classifiers runs/first/model.safetensors --data cifar-10-binary.tar.gz --epochs 20',
    '  amdim train-classifiers imagenet.safetensors --data places205 --preset places205',
  ],
  async run(line, terminal) {
    const options = await toOptions(line)
    return followRun((signal) => trainClassifiers({ ...options, signal }), line, terminal)
  },
}

async function toOptions(line: CommandLine): Promise<TrainClassifiersOptions> {
  const data = requiredText('train-classifiers', line, 'data', 'photos')
  const numbers = {
    labelFraction: numberOf('label-fraction', line)['label-fraction'],
    batchSize: numberOf('batch-size', line)['batch-size'],
    learningRate: numberOf('learning-rate', line)['learning-rate'],
  }
  return {
    ...(optionsFrom(await settingFlags(), line) as Partial<RunSettings>),
    ...presetOf(line),
    ...given('output', line, 'out'),
    ...numberOf('epochs', line),
    ...numberOf('seed', line),
    ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined)),
    model: line.positionals[0] ?? '',
    data: pathPair(data, textOf(line, 'test-data')),
  }
}
