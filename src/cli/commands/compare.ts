import { resolveCompare } from '../../evaluate/compare.js'
import { resolvePlan } from '../../evaluate/evaluate.js'
import {
  AmdimModel,
  type CompareOptions,
  compareModels,
  type EvaluateOptions,
  type ModelComparison,
} from '../../index.js'
import { isOn, pathPair, presetOf, requiredText, textOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type Flag } from '../flags.js'
import { bar, grouped, percent, table } from '../format.js'
import { Interrupt } from '../interrupt.js'
import { PLACE_FLAGS, placeOf } from '../place.js'
import { flagsOfSchema, optionsFrom } from '../schema-flags.js'
import { HEAD_DATA_FLAGS, planOf } from './evaluate.js'

const FLAGS: Flag[] = [
  ...HEAD_DATA_FLAGS,
  { name: 'preset', value: 'NAME', description: 'whose classifier-task schedule is used', default: 'tiny' },
  { name: 'json', description: 'one JSON object on standard output' },
  ...PLACE_FLAGS,
]

async function schemaFlags() {
  return {
    tests: await flagsOfSchema('compare'),
    heads: await flagsOfSchema('evaluate', ['predictions']),
  }
}

/** `amdim compare`. */
export const command: Command = {
  name: 'compare',
  positionals: ['MODEL', 'MODEL'],
  description:
    'Fits the same heads on the features of two models and tests whether they differ on the same test pictures.\n' +
    'A MODEL may be rawPixels.',
  async groups() {
    const { tests, heads } = await schemaFlags()
    return [
      { title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] },
      { title: 'tests', flags: tests },
      { title: 'heads', flags: heads },
    ]
  },
  notes: [
    'example:',
    '  amdim compare runs/first/model.safetensors runs/second/model.safetensors --data labelled-photos',
  ],
  async run(line, terminal) {
    const data = requiredText('compare', line, 'data', 'photos')
    const flags = await schemaFlags()
    const { protocol, options } = planOf(optionsFrom(flags.heads, line))
    const tests = optionsFrom(flags.tests, line)
    // Checked before models are loaded, so that a mistake costs no time.
    await Promise.all([resolveCompare(tests), resolvePlan({ ...options, ...protocol, ...presetOf(line) })])
    using interrupt = new Interrupt(terminal, 'stopping')
    const all: CompareOptions = {
      ...pathPair(data, textOf(line, 'test-data')),
      ...(options as Partial<Omit<EvaluateOptions, 'onProgress'>>),
      ...protocol,
      ...presetOf(line),
      ...(tests as Partial<CompareOptions>),
      signal: interrupt.signal,
      onProgress: (model, { stage, done, total }) =>
        terminal.status(
          `${model} model: ${bar(total > 0 ? done / total : 0, 20)} ${stage} ${grouped(done)} of ${grouped(total)}`,
        ),
    }
    const [first = '', second = ''] = line.positionals
    const load = async (path: string) =>
      path === 'rawPixels' ? path : await AmdimModel.load(path, placeOf(line))
    const models = [await load(first), await load(second)] as const
    try {
      const found = await compareModels(...models, all).finally(() => terminal.clearStatus())
      if (isOn(line, 'json')) terminal.out(JSON.stringify(found))
      else terminal.out(describe(found))
      return EXIT.ok
    } finally {
      for (const model of models) if (model !== 'rawPixels') model.dispose()
    }
  },
}

function describe({ heads, first, second }: ModelComparison): string {
  const names = Object.keys(heads) as (keyof typeof heads)[]
  const rows = names.flatMap((name) => {
    const test = heads[name]
    if (test === undefined) return []
    const [low, high] = test.interval.map(points)
    return [
      [
        name,
        percent(first.heads[name]?.top1 ?? Number.NaN),
        percent(second.heads[name]?.top1 ?? Number.NaN),
        points(test.difference),
        `${low} to ${high}`,
        grouped(test.onlyFirst),
        grouped(test.onlySecond),
        test.pValue.toPrecision(2),
      ],
    ]
  })
  const header = ['head', 'first', 'second', 'difference', 'interval', 'only first', 'only second', 'p']
  return table([header, ...rows])
}

/** A difference of shares in points: `0.012` -> `+1.2`. */
function points(share: number): string {
  return `${share < 0 ? '-' : '+'}${Math.abs(100 * share).toFixed(1)}`
}
