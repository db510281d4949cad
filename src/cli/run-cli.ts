import { AmdimError } from '../errors.js'
import { readManifest } from '../manifest.js'
import { type Command, EXIT } from './command.js'
import { expectPositionals, parseCommandLine, unknownCommand } from './flags.js'
import { commandHelp } from './help.js'
import type { Terminal } from './terminal.js'
import { UsageError } from './usage-error.js'

// Commands are loaded when they are run, so that the help of `amdim` itself is quick.
const COMMANDS: Record<string, { summary: string; load: () => Promise<{ command: Command }> }> = {
  train: { summary: 'train an encoder on pictures', load: () => import('./commands/train.js') },
  'train-classifiers': {
    summary: 'train classifiers on a frozen encoder',
    load: () => import('./commands/train-classifiers.js'),
  },
  classify: { summary: 'say what pictures show', load: () => import('./commands/classify.js') },
  embed: { summary: 'write features of pictures', load: () => import('./commands/embed.js') },
  search: {
    summary: 'find the pictures that are most like given ones',
    load: () => import('./commands/search.js'),
  },
  evaluate: { summary: 'test classifiers on frozen features', load: () => import('./commands/evaluate.js') },
  measure: {
    summary: 'measure features without a classifier, choose the best model',
    load: () => import('./commands/measure.js'),
  },
  compare: {
    summary: 'test whether two models differ',
    load: () => import('./commands/compare.js'),
  },
  duplicates: {
    summary: 'find test pictures that are in the training set',
    load: () => import('./commands/duplicates.js'),
  },
  estimate: {
    summary: 'estimate the mutual information of two files of features',
    load: () => import('./commands/estimate.js'),
  },
  inspect: { summary: 'show what a model file holds', load: () => import('./commands/inspect.js') },
  experiment: {
    summary: 'run a table of the paper: trainings and evaluations under several seeds',
    load: () => import('./commands/experiment.js'),
  },
  import: {
    summary: "make a model from the authors' checkpoint",
    load: () => import('./commands/import.js'),
  },
  export: { summary: 'write an encoder for other programs', load: () => import('./commands/export.js') },
  augment: { summary: 'draw what augmentation does', load: () => import('./commands/augment.js') },
  plan: { summary: 'predict time and memory of a run', load: () => import('./commands/plan.js') },
  download: { summary: 'fetch a data set', load: () => import('./commands/download.js') },
  doctor: { summary: 'check the installation', load: () => import('./commands/doctor.js') },
  bench: { summary: 'time the training step or the encoder', load: () => import('./commands/bench.js') },
}

/**
 * Runs a command line.
 *
 * @param args - arguments after the program's name
 * @returns the exit code: 0 success, 1 failure, 2 usage, 130 interrupted
 */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(args, terminal)
  } catch (error) {
    return report(error, args[0], terminal)
  }
}

async function dispatch([name, ...args]: readonly string[], terminal: Terminal): Promise<number> {
  if (name === '--version' || name === '-V') {
    terminal.out(readManifest().version)
    return EXIT.ok
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const help = mainHelp()
    if (name !== undefined) terminal.out(help)
    else terminal.error(help)
    return name === undefined ? EXIT.usage : EXIT.ok
  }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (entry === undefined) {
    if (name.startsWith('-')) throw new UsageError(`unknown option ${name}`, 'see amdim --help')
    throw unknownCommand(name, Object.keys(COMMANDS))
  }
  const { command } = await entry.load()
  return runCommand(command, args, terminal)
}

async function runCommand(command: Command, args: string[], terminal: Terminal): Promise<number> {
  const groups = await command.groups()
  if (args.includes('--help') || args.includes('-h')) {
    const usage = ['amdim', command.name, ...command.positionals, '[options]'].join(' ')
    terminal.out(commandHelp(usage, command.description, groups, command.notes))
    return EXIT.ok
  }
  const line = parseCommandLine(
    command.name,
    args,
    groups.flatMap(({ flags }) => flags),
  )
  expectPositionals(command.name, line, command.positionals)
  terminal.quiet = line.flags.get('quiet') === true
  return command.run(line, terminal)
}

function report(error: unknown, command: string | undefined, terminal: Terminal): number {
  const prefix = terminal.red('amdim:')
  if (error instanceof UsageError) {
    terminal.error(`${prefix} ${error.message}`)
    terminal.error(`hint: ${error.hint}`)
    return EXIT.usage
  }
  if (!(error instanceof AmdimError)) {
    terminal.error(`${prefix} ${error instanceof Error ? error.stack : String(error)}`)
    return EXIT.failure
  }
  terminal.error(`${prefix} ${error.message} [${error.code}]`)
  if (error.code === 'AMDIM_CANCELLED') return EXIT.interrupted
  if (error.code !== 'AMDIM_INVALID_ARGUMENT') return EXIT.failure
  terminal.error(`hint: see amdim ${command} --help`)
  return EXIT.usage
}

function mainHelp(): string {
  const commands = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(18)} ${summary}`)
  return [
    'usage: amdim COMMAND [options]',
    '',
    'Self-supervised image representations (AMDIM, arXiv 1906.00910).',
    '',
    'commands:',
    ...commands,
    '',
    'options:',
    '  --help     show this help, or that of a command',
    '  --version  show the version',
    '',
    'Exit codes: 0 success, 1 failure, 2 usage, 130 interrupted. NO_COLOR turns colours off.',
  ].join('\n')
}
