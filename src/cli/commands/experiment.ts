import { meanAndSpread } from '../../experiment/markdown-table.js'
import {
  type DryRunResult,
  dryRunExperiment,
  EXPERIMENTS,
  type ExperimentEvent,
  type ExperimentName,
  type ExperimentRecord,
  type ExperimentScale,
  type ExperimentSettings,
  experimentRows,
  runExperiment,
} from '../../index.js'
import { given, isOn, numberOf, requiredText, textOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type CommandLine, type Flag } from '../flags.js'
import { duration, grouped, percent, table } from '../format.js'
import { Interrupt } from '../interrupt.js'
import { flagsOfSchema, optionsFrom } from '../schema-flags.js'
import type { Terminal } from '../terminal.js'
import { TrainProgress } from '../train-progress.js'

const FLAGS: Flag[] = [
  {
    name: 'data',
    value: 'DIR',
    description: 'folder with the data sets under their names; or the one data set needed',
  },
  {
    name: 'out',
    value: 'DIR',
    description: 'folder for NAME.json, NAME.md, NAME.svg and runs/',
    default: 'experiments',
  },
  {
    name: 'scale',
    value: 'tiny|paper',
    description: 'size of the rows: some hours on two cores, or as published',
    default: 'tiny',
  },
  { name: 'seeds', value: 'N', description: 'each row under the seeds 1 to N', default: '3' },
  { name: 'rows', value: 'A,B,...', description: 'these rows alone; default: all' },
  { name: 'resume', description: 'go on with what the folder holds' },
  {
    name: 'dry-run',
    description: 'one real step of each row, on noise where there is no --data; writes nothing',
  },
  { name: 'json', description: 'events and results as JSON lines on standard output' },
]

// Settings of a training run that rows fix themselves.
const OMITTED = ['prefetch', 'onBadImage', 'logEverySteps', 'onlineEvaluateEpochs']

async function settingFlags() {
  return flagsOfSchema('run', OMITTED)
}

/** Whether any row needs a data set. */
async function needsData(name: ExperimentName, scale: ExperimentScale | undefined): Promise<boolean> {
  return (await experimentRows(name, scale)).some((row) => row.data.length > 0)
}

/** `amdim experiment`. */
export const command: Command = {
  name: 'experiment',
  positionals: ['NAME'],
  description:
    'Runs a named set of trainings and evaluations, each under several seeds, and writes a table, a plot and all figures. ' +
    'Ctrl-C stops it; --resume goes on.',
  async groups() {
    return [
      { title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] },
      { title: 'device, threads, files', flags: await settingFlags() },
    ]
  },
  notes: [
    'experiments:',
    ...Object.entries(EXPERIMENTS).map(([name, summary]) => `  ${name.padEnd(12)} ${summary}`),
    '',
    'examples:',
    '  amdim experiment ablation --data data --seeds 3 --out results',
    '  amdim experiment ablation --data data --out results --resume --rows amdim,no-multiscale',
    '  amdim experiment transfer --scale paper --dry-run',
  ],
  async run(line, terminal) {
    const name = line.positionals[0] as ExperimentName
    const rows = textOf(line, 'rows')?.split(',')
    const options = {
      ...(optionsFrom(await settingFlags(), line) as ExperimentSettings),
      ...(given('scale', line) as { scale?: ExperimentScale }),
      ...(rows && { rows }),
    }
    using interrupt = new Interrupt(terminal, 'stopping after this step')
    const { signal } = interrupt
    if (isOn(line, 'dry-run'))
      return dryRun(name, { ...options, ...given('data', line), signal }, line, terminal)
    const isJson = isOn(line, 'json')
    const progress = new Progress(terminal)
    const record = await runExperiment(name, {
      ...options,
      ...numberOf('seeds', line),
      ...((await needsData(name, options.scale))
        ? { data: requiredText('experiment', line, 'data', 'data') }
        : given('data', line)),
      output: textOf(line, 'out') ?? 'experiments',
      resume: isOn(line, 'resume'),
      command: commandText(name, line),
      signal,
      onEvent: (event) => {
        if (isJson) terminal.out(JSON.stringify(event))
        else progress.show(event)
      },
    })
    if (isJson) terminal.out(JSON.stringify({ type: 'record', record }))
    else terminal.out(resultTable(record))
    return EXIT.ok
  },
}

async function dryRun(
  name: ExperimentName,
  options: Parameters<typeof dryRunExperiment>[1],
  line: CommandLine,
  terminal: Terminal,
): Promise<number> {
  const isJson = isOn(line, 'json')
  const results = await dryRunExperiment(name, {
    ...options,
    onResult: (result) => {
      if (isJson) terminal.out(JSON.stringify({ type: 'dryRun', ...result }))
      else terminal.note(`${result.row}: a step in ${duration(result.seconds)}`)
    },
  })
  if (!isJson) terminal.out(dryRunTable(results))
  return EXIT.ok
}

/** The command line as it could be typed again. */
function commandText(name: string, { flags }: CommandLine): string {
  const words = [...flags].map(([flag, value]) =>
    typeof value === 'string' ? `--${flag} ${value}` : `--${flag}`,
  )
  return ['amdim experiment', name, ...words].join(' ')
}

/** Shows what happens to a person. */
class Progress {
  readonly #terminal: Terminal
  readonly #training: TrainProgress

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    this.#training = new TrainProgress(terminal)
  }

  show(event: ExperimentEvent): void {
    if (event.type === 'within') {
      if (event.event.type !== 'progress') this.#training.show(event.event)
      else
        this.#terminal.status(
          `${event.event.stage} ${grouped(event.event.done)}/${grouped(event.event.total)}`,
        )
      return
    }
    const place = `[${event.index}/${event.total}] ${event.row}, seed ${event.seed}`
    if (event.type === 'row') {
      this.#terminal.note(event.state === 'known' ? `${place}: known` : place)
      return
    }
    const measures = event.measures.flatMap(({ name, isShare }) => {
      const value = event.result.measures[name]
      return value === undefined ? [] : [`${name} ${isShare ? percent(value) : value.toFixed(3)}`]
    })
    this.#terminal.note(`${place}: ${measures.join(', ')} in ${duration(event.result.minutes * 60)}`)
  }
}

function resultTable({ measures, rows }: ExperimentRecord): string {
  return table([
    ['row', ...measures.map(({ title, isShare }) => (isShare ? `${title} %` : title)), 'seeds'],
    ...rows.map(({ title, seeds, summary }) => [
      title,
      ...measures.map((measure) => meanAndSpread(measure, summary[measure.name])),
      String(seeds.length),
    ]),
  ])
}

function dryRunTable(results: readonly DryRunResult[]): string {
  return table([
    ['row', 'parameters', 'pictures', 'of a batch of', 'loss', 'seconds'],
    ...results.map((result) => [
      result.row,
      grouped(result.parameters),
      String(result.batchSize),
      String(result.fullBatchSize),
      result.loss.toFixed(3),
      result.seconds.toFixed(1),
    ]),
  ])
}
