import {
  AmdimModel,
  type EvaluateOptions,
  type EvaluationReport,
  evaluate,
  type ModelOptions,
  PRESETS,
} from '../../index.js'
import { isOn, pathPair, presetOf, requiredText, textOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type CommandLine, type Flag } from '../flags.js'
import { bar, grouped, percent } from '../format.js'
import { Interrupt } from '../interrupt.js'
import { PLACE_FLAGS, placeOf } from '../place.js'
import { accuracyTable, classTable } from '../report-table.js'
import { flagsOfSchema, optionsFrom } from '../schema-flags.js'
import type { Terminal } from '../terminal.js'

/** Flags that say which pictures heads are fitted and tested on. */
export const HEAD_DATA_FLAGS: Flag[] = [
  { name: 'data', value: 'PATH', description: 'labelled pictures to fit the heads on' },
  {
    name: 'test-data',
    value: 'PATH',
    description: 'labelled pictures to test on; default: the test split of --data',
  },
]

const FLAGS: Flag[] = [
  ...HEAD_DATA_FLAGS,
  { name: 'baselines', description: 'also raw pixels and the same encoder untrained' },
  { name: 'per-class', description: 'also the accuracy of each class' },
  {
    name: 'preset',
    value: Object.keys(PRESETS).join('|'),
    description: 'whose classifier-task schedule is used',
    default: 'tiny',
  },
  { name: 'json', description: 'one JSON object on standard output' },
  ...PLACE_FLAGS,
]

const schemaFlags = async () => flagsOfSchema('evaluate')

/** `amdim evaluate`. */
export const command: Command = {
  name: 'evaluate',
  positionals: ['MODEL'],
  description: 'Fits classifiers on frozen features and tests them. Intervals are 95 % Wilson intervals.',
  async groups() {
    return [
      { title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] },
      { title: 'heads', flags: await schemaFlags() },
    ]
  },
  notes: [
    'example:',
    '  amdim evaluate runs/first/model.safetensors --data photos --heads linear,mlp,knn --baselines',
  ],
  async run(line, terminal) {
    const data = requiredText('evaluate', line, 'data', 'photos')
    const { protocol, options } = planOf(optionsFrom(await schemaFlags(), line))
    const place = placeOf(line)
    using interrupt = new Interrupt(terminal, 'stopping')
    const shared: EvaluateOptions = {
      ...pathPair(data, textOf(line, 'test-data')),
      ...options,
      ...protocol,
      ...presetOf(line),
      signal: interrupt.signal,
    }
    using model = await AmdimModel.load(line.positionals[0] ?? '', place)
    const reports = await evaluateAll(model, shared, place, isOn(line, 'baselines'), terminal)
    print(reports, line, terminal)
    return EXIT.ok
  },
}

type Reports = Record<string, EvaluationReport>

/** `protocol` is a part of the classifier task in the schema, and an option of its own in the function. */
export function planOf(plan: Record<string, unknown>): {
  protocol: Pick<EvaluateOptions, 'protocol'>
  options: Partial<EvaluateOptions>
} {
  const { protocol, ...classifierTask } = (plan['classifierTask'] ?? {}) as Record<string, unknown>
  return {
    protocol: protocol === undefined ? {} : { protocol: protocol as 'corrected' | 'reference' },
    options: { ...plan, classifierTask } as Partial<EvaluateOptions>,
  }
}

async function evaluateAll(
  model: AmdimModel,
  options: EvaluateOptions,
  place: ModelOptions,
  baselines: boolean,
  terminal: Terminal,
): Promise<Reports> {
  const { config } = model
  const one = (name: string, subject: AmdimModel | 'rawPixels') =>
    evaluate(subject, {
      ...options,
      augment: config.augment,
      onProgress: ({ stage, done, total }) =>
        terminal.status(
          `${name}: ${bar(total > 0 ? done / total : 0, 20)} ${stage} ${grouped(done)} of ${grouped(total)}`,
        ),
    }).finally(() => terminal.clearStatus())
  if (!baselines) return { model: await one('model', model) }
  using untrained = await AmdimModel.create({ ...place, config })
  return {
    rawPixels: await one('raw pixels', 'rawPixels'),
    untrained: await one('untrained', untrained),
    model: await one('model', model),
  }
}

function print(reports: Reports, line: CommandLine, terminal: Terminal): void {
  if (isOn(line, 'json')) {
    terminal.out(JSON.stringify(reports))
    return
  }
  const { model } = reports
  if (model === undefined) return
  terminal.out(accuracyTable(reports))
  terminal.out(
    `chance ${percent(model.chance)}; ${grouped(model.trainSize)} training and ${grouped(model.testSize)} test pictures`,
  )
  if (model.skipped.length > 0) terminal.out(`skipped ${model.skipped.length} pictures`)
  if (isOn(line, 'per-class')) terminal.out(`\n${classTable(model)}`)
}
