import type { SchemaNode } from '../../config/json-schema.js'
import { mergeOverrides } from '../../config/merge.js'
import {
  type ConfigOverrides,
  jsonSchema,
  loadConfig,
  PRESETS,
  type RunSettings,
  type TrainOptions,
  type TrainOutcome,
  trainAmdim,
} from '../../index.js'
import { given, isOn, numberOf, pathPair, presetOf, requiredText, textOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type CommandLine, type Flag } from '../flags.js'
import { duration, grouped, percent } from '../format.js'
import { Interrupt } from '../interrupt.js'
import { flagsOf, optionsFrom } from '../schema-flags.js'
import { TrainProgress } from '../train-progress.js'

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
  {
    name: 'preset',
    value: Object.keys(PRESETS).join('|'),
    description: 'values to start from',
    default: 'tiny',
  },
  {
    name: 'config',
    value: 'FILE',
    description: 'JSON or YAML file of options, over the preset, under the flags',
  },
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

// Options that have a flag of their own above.
const OMITTED = ['length', 'encoderFrozen']

async function schemaFlags() {
  return {
    config: flagsOf((await jsonSchema('config')) as SchemaNode, OMITTED),
    run: flagsOf((await jsonSchema('run')) as SchemaNode),
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
    using interrupt = new Interrupt(terminal, 'stopping after this step, with a checkpoint')
    const run = trainAmdim({ ...options, signal: interrupt.signal })
    const isJson = isOn(line, 'json')
    const progress = new TrainProgress(terminal)
    for await (const event of run) {
      if (isJson) terminal.out(JSON.stringify(event))
      else progress.show(event)
    }
    const outcome = await run
    if (isJson) terminal.out(JSON.stringify({ type: 'result', ...withoutModel(outcome) }))
    else for (const text of resultLines(outcome)) terminal.out(text)
    outcome.model.dispose()
    if (!outcome.cancelled) return EXIT.ok
    const { runFolder } = outcome.paths
    terminal.note(`to go on: amdim train --data ${textOf(line, 'data')} --resume ${runFolder}`)
    return EXIT.interrupted
  },
}

async function toOptions(line: CommandLine): Promise<TrainOptions> {
  const data = requiredText('train', line, 'data', 'photos')
  const flags = await schemaFlags()
  const fromFlags = optionsFrom(flags.config, line) as ConfigOverrides
  const file = textOf(line, 'config')
  const { preset, config } = file === undefined ? { config: {} } : await loadConfig(file)
  const test = textOf(line, 'test-data')
  return {
    ...(optionsFrom(flags.run, line) as Partial<RunSettings>),
    ...(preset && { preset }),
    ...presetOf(line),
    ...given('output', line, 'out'),
    ...given('resume', line),
    ...given('continueFrom', line, 'continue-from'),
    ...numberOf('minutes', line),
    ...numberOf('epochs', line),
    ...numberOf('updates', line),
    ...(isOn(line, 'keep-head') && { keepHead: true }),
    ...(isOn(line, 'freeze-encoder') && { freezeEncoder: true }),
    config: mergeOverrides(config, fromFlags) as ConfigOverrides,
    data: pathPair(data, test),
  }
}

function withoutModel({ model: _model, ...rest }: TrainOutcome) {
  return rest
}

function resultLines({
  cancelled,
  update,
  epoch,
  pairs,
  seconds,
  pairsPerSecond,
  metrics,
  paths,
  skipped,
}: TrainOutcome) {
  const { step, evaluation } = metrics
  return [
    `${cancelled ? 'stopped early' : 'finished'} after ${grouped(update)} updates (epoch ${epoch}), ${grouped(pairs)} pairs, ` +
      `${duration(seconds)}, ${pairsPerSecond.toFixed(1)} pairs/s`,
    ...(step ? [`loss        ${step.loss.toFixed(4)}`] : []),
    ...(evaluation
      ? [`online test accuracy: linear ${percent(evaluation.linearTop1)}, MLP ${percent(evaluation.mlpTop1)}`]
      : []),
    ...(skipped.length ? [`skipped     ${skipped.length} pictures`] : []),
    ...(paths.model ? [`model       ${paths.model}`] : []),
    ...(paths.checkpoint ? [`checkpoint  ${paths.checkpoint}`] : []),
    `metrics     ${paths.metrics}`,
  ]
}
