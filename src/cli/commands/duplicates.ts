import { type DuplicateOptions, type DuplicateReport, findDuplicates } from '../../index.js'
import { isOn, pathPair, requiredText, textOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type Flag } from '../flags.js'
import { bar, grouped, percent, table } from '../format.js'
import { Interrupt } from '../interrupt.js'
import { flagsOfSchema, optionsFrom } from '../schema-flags.js'

/** Pairs that are printed; `--json` has all. */
const SHOWN = 20

const FLAGS: Flag[] = [
  { name: 'data', value: 'PATH', description: 'training pictures' },
  { name: 'test-data', value: 'PATH', description: 'test pictures; default: the test split of --data' },
  { name: 'json', description: 'one JSON object with every pair on standard output' },
]

const schemaFlags = async () => flagsOfSchema('duplicates')

/** `amdim duplicates`. */
export const command: Command = {
  name: 'duplicates',
  positionals: [],
  description: 'Finds test pictures that are in the training set too, or nearly.',
  async groups() {
    return [
      { title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] },
      { title: 'what counts', flags: await schemaFlags() },
    ]
  },
  notes: ['example:', '  amdim duplicates --data cifar-10 --similarity 0.85 --json > duplicates.json'],
  async run(line, terminal) {
    const data = requiredText('duplicates', line, 'data', 'photos')
    using interrupt = new Interrupt(terminal, 'stopping')
    const found = await findDuplicates({
      ...pathPair(data, textOf(line, 'test-data')),
      ...(optionsFrom(await schemaFlags(), line) as Partial<DuplicateOptions>),
      signal: interrupt.signal,
      onProgress: ({ stage, done, total }) =>
        terminal.status(
          `${bar(total > 0 ? done / total : 0, 20)} ${stage} ${grouped(done)} of ${grouped(total)}`,
        ),
    }).finally(() => terminal.clearStatus())
    if (isOn(line, 'json')) terminal.out(JSON.stringify(found))
    else for (const text of describe(found)) terminal.out(text)
    return EXIT.ok
  },
}

function describe({ exact, near, pairs, trainSize, testSize, skipped }: DuplicateReport): string[] {
  const kind = ({ exact, mirrored }: DuplicateReport['pairs'][number]) =>
    exact ? 'same pixels' : mirrored ? 'mirrored' : 'near'
  const rows = pairs
    .slice(0, SHOWN)
    .map((pair) => [pair.test, pair.train, pair.similarity.toFixed(3), kind(pair)])
  return [
    ...(rows.length > 0 ? [table([['test', 'train', 'similarity', 'kind'], ...rows])] : []),
    ...(pairs.length > SHOWN ? [`and ${grouped(pairs.length - SHOWN)} more: --json has all`] : []),
    `${grouped(exact + near)} of ${grouped(testSize)} test pictures (${percent((exact + near) / Math.max(1, testSize))}) ` +
      `are among the ${grouped(trainSize)} training pictures: ${grouped(exact)} with the same pixels, ${grouped(near)} nearly`,
    ...(skipped.length > 0 ? [`skipped ${skipped.length} pictures`] : []),
  ]
}
