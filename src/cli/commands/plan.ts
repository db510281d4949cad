import { extname } from 'node:path'
import { mergeOverrides } from '../../config/merge.js'
import {
  type ConfigFile,
  type ConfigOverrides,
  loadConfig,
  type PlannedMemory,
  type PlanOptions,
  PRESETS,
  type PresetName,
  plan,
  type RunPlan,
} from '../../index.js'
import { didYouMean } from '../../suggest.js'
import { isOn, numberOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { configFlags, configFrom } from '../config-flags.js'
import { COMMON_FLAGS, type CommandLine, type Flag } from '../flags.js'
import { bytes, duration, grouped, table } from '../format.js'
import { Interrupt } from '../interrupt.js'
import { flagsOfSchema, optionsFrom } from '../schema-flags.js'
import { UsageError } from '../usage-error.js'

/** Seconds of timing after which the reader is told that it takes longer than usual. */
const USUAL_SECONDS = 15

const FLAGS: Flag[] = [
  { name: 'minutes', value: 'N', description: 'length in minutes of training; default: as in CONFIG' },
  { name: 'epochs', value: 'N', description: 'length in passes over the training pictures' },
  { name: 'updates', value: 'N', description: 'length in updates' },
  { name: 'freeze-encoder', description: 'only the online classifiers learn' },
  { name: 'json', description: 'one JSON object on standard output' },
]

async function schemaFlags() {
  return {
    plan: await flagsOfSchema('plan'),
    config: await configFlags(),
  }
}

/** `amdim plan`. */
export const command: Command = {
  name: 'plan',
  positionals: ['CONFIG'],
  description:
    'Predicts time and memory of a training run. CONFIG is a preset, or a JSON or YAML file as for train --config. ' +
    'A few steps are timed for it, which takes about ten seconds.',
  async groups() {
    const { plan, config } = await schemaFlags()
    return [
      { title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] },
      { title: 'data, device, threads', flags: plan },
      { title: 'configuration', flags: config },
    ]
  },
  notes: [
    `presets: ${Object.keys(PRESETS).join(', ')}`,
    '',
    'examples:',
    '  amdim plan tiny --pictures 50000',
    '  amdim plan experiment.yaml --epochs 100 --pictures 20000 --batch-size 128 --json',
  ],
  async run(line, terminal) {
    const options = await toOptions(line)
    using interrupt = new Interrupt(terminal, 'stopping after this step')
    const late = setTimeout(
      () => terminal.note('still timing: a step of this encoder takes long on this machine'),
      1000 * USUAL_SECONDS,
    )
    terminal.status('timing a few steps')
    const found = await plan({ ...options, signal: interrupt.signal }).finally(() => {
      clearTimeout(late)
      terminal.clearStatus()
    })
    if (isOn(line, 'json')) terminal.out(JSON.stringify(found))
    else for (const text of describe(found)) terminal.out(text)
    return EXIT.ok
  },
}

async function toOptions(line: CommandLine): Promise<PlanOptions> {
  const flags = await schemaFlags()
  const { preset, config } = await sourceOf(line.positionals[0] ?? '')
  return {
    ...(optionsFrom(flags.plan, line) as Partial<PlanOptions>),
    ...(preset && { preset }),
    ...numberOf('minutes', line),
    ...numberOf('epochs', line),
    ...numberOf('updates', line),
    ...(isOn(line, 'freeze-encoder') && { freezeEncoder: true }),
    config: mergeOverrides(config, await configFrom(line)) as ConfigOverrides,
  }
}

/** What CONFIG means: a preset, or what a file holds. */
async function sourceOf(name: string): Promise<ConfigFile> {
  const presets = Object.keys(PRESETS)
  if (presets.includes(name)) return { preset: name as PresetName, config: {} }
  if (['.json', '.yaml', '.yml'].includes(extname(name).toLowerCase())) return loadConfig(name)
  throw new UsageError(
    `CONFIG: expected one of ${presets.join(', ')}, or a file named *.json, *.yaml or *.yml, got "${name}"`,
    didYouMean(name, presets) || 'see amdim plan --help',
  )
}

function describe(found: RunPlan): string[] {
  const { batchSize, secondsPerUpdate, pairsPerSecond, memory, calibration } = found
  const thousand = (1000 * secondsPerUpdate) / batchSize
  return [
    `speed       ${pairsPerSecond.toFixed(1)} pairs/s: ${secondsPerUpdate.toPrecision(3)} s an update of ` +
      `${batchSize} pictures, ${thousand.toPrecision(3)} s for 1000 pictures`,
    `length      ${lengthOf(found)}`,
    `runs on     ${found.device}: executor ${found.executor}, ${found.precision}, ${found.kernel}, ` +
      `${found.threads} threads`,
    `calibrated  in ${duration(calibration.seconds)}, on batches of ${calibration.batchSizes.join(' and ')}`,
    ...(memory === null
      ? ['memory      not known: the step, or its loss, runs on candle']
      : [
          `memory      ${bytes(memory.total)} at its peak, the data set not counted`,
          '',
          memoryTable(memory),
        ]),
  ]
}

function lengthOf({ updates, epochs, seconds, updatesPerEpoch }: RunPlan): string {
  const passes = epochs === null ? [] : [`${Number(epochs.toPrecision(3))} epochs`]
  if (updates === null || seconds === null)
    return [...passes, '--pictures N tells how many updates that is'].join('; ')
  const each = updatesPerEpoch === null ? '' : ` of ${grouped(updatesPerEpoch)} updates`
  return [`${grouped(updates)} updates`, ...passes.map((text) => text + each), duration(seconds)].join(', ')
}

function memoryTable({ base, parameters, maps, loss, scratch, input, checkpoint }: PlannedMemory): string {
  const parts: [string, number][] = [
    ['this process', base],
    ['parameters, gradients, optimiser', parameters],
    ['maps and their gradients', maps],
    ['loss, online classifiers', loss],
    ['scratch of the threads', scratch],
    ['batches made ahead', input],
    ['while a checkpoint is written', checkpoint],
  ]
  return table([['part', 'size'], ...parts.map(([name, size]) => [name, bytes(size)])])
}
