import {
  type Criterion,
  type MeasureReport,
  type Selection,
  type SelectOptions,
  selectModel,
} from '../../index.js'
import { given, isOn, requiredText } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type Flag } from '../flags.js'
import { bar, grouped, percent, table } from '../format.js'
import { Interrupt } from '../interrupt.js'
import { PLACE_FLAGS, placeOf } from '../place.js'
import { flagsOfSchema, optionsFrom } from '../schema-flags.js'

const FLAGS: Flag[] = [
  { name: 'data', value: 'PATH', description: 'pictures to measure on; the test split, where there are two' },
  {
    name: 'gallery',
    value: 'PATH',
    description:
      'retrieval: pictures to search in; the training split, where there are two; default: the others of --data',
  },
  {
    name: 'by',
    value: 'rankMe|effectiveRank|uniformity|alignmentUniformity|meanAveragePrecision|nmi',
    description: 'what the best of several models has most of; the last two need labels',
    default: 'rankMe',
  },
  { name: 'json', description: 'one JSON object on standard output' },
  ...PLACE_FLAGS,
]

const schemaFlags = async () => flagsOfSchema('measure')

/** `amdim measure`. */
export const command: Command = {
  name: 'measure',
  positionals: ['MODEL...'],
  description:
    'Measures features without a classifier, most of it without labels, and chooses the best of several model or\n' +
    'checkpoint files.',
  async groups() {
    return [
      { title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] },
      { title: 'measures', flags: await schemaFlags() },
    ]
  },
  notes: [
    'examples:',
    '  amdim measure runs/first/model.safetensors --data photos',
    '  amdim measure runs/*/model.safetensors --data photos --by alignmentUniformity --json',
    '  amdim measure runs/first/model.safetensors --data queries --gallery album --by meanAveragePrecision',
  ],
  async run(line, terminal) {
    const data = requiredText('measure', line, 'data', 'photos')
    using interrupt = new Interrupt(terminal, 'stopping')
    let name = ''
    const selection = await selectModel(line.positionals, {
      data,
      ...(optionsFrom(await schemaFlags(), line) as Partial<SelectOptions>),
      ...given('gallery', line),
      ...(given('by', line) as { by?: Criterion }),
      place: placeOf(line),
      signal: interrupt.signal,
      onModel: (path) => {
        name = path
      },
      onProgress: ({ stage, done, total }) =>
        terminal.status(
          `${name}: ${bar(total > 0 ? done / total : 0, 20)} ${stage} ${grouped(done)} of ${grouped(total)}`,
        ),
    }).finally(() => terminal.clearStatus())
    if (isOn(line, 'json')) terminal.out(JSON.stringify(selection))
    else for (const text of describe(selection)) terminal.out(text)
    return EXIT.ok
  },
}

function describe({ best, by, models }: Selection): string[] {
  const [first] = models
  if (first === undefined) return []
  const columns = COLUMNS.filter(([, cell]) => cell(first.report) !== undefined)
  const header = ['model', ...columns.map(([title]) => title)]
  const rows = models.map(({ path, report }) => [path, ...columns.map(([, cell]) => cell(report) ?? '')])
  const { pictures, featureDim, skipped } = first.report
  return [
    table([header, ...rows]),
    `${grouped(pictures)} pictures, ${grouped(featureDim)} values each`,
    ...(skipped.length > 0 ? [`skipped ${skipped.length} pictures`] : []),
    ...(models.length > 1 ? [`best by ${by}: ${best}`] : []),
  ]
}

/** Titles of columns, and what stands in them for a report that has it. */
const COLUMNS: [string, (report: MeasureReport) => string | undefined][] = [
  ['RankMe', ({ rankMe }) => rankMe?.toFixed(1)],
  ['effective rank', ({ spectrum }) => spectrum?.effectiveRank.toFixed(1)],
  ['axes of 90 %', ({ spectrum }) => spectrum && String(spectrum.axes90)],
  ['decay', ({ spectrum }) => spectrum && (spectrum.decay?.toFixed(2) ?? '-')],
  ['alignment', ({ alignment }) => alignment?.toFixed(3)],
  ['uniformity', ({ uniformity }) => uniformity?.toFixed(3)],
  ['condition', ({ jacobian }) => jacobian?.conditionNumber.toPrecision(3)],
  ['mAP', ({ retrieval }) => retrieval && percent(retrieval.meanAveragePrecision)],
  [
    'recall',
    ({ retrieval }) => retrieval?.recall.map(({ k, recall }) => `${percent(recall)} at ${k}`).join(', '),
  ],
  ['NMI', ({ clustering }) => clustering?.nmi.toFixed(3)],
  ['ARI', ({ clustering }) => clustering?.ari.toFixed(3)],
  ['clusters right', ({ clustering }) => clustering && percent(clustering.accuracy)],
]
