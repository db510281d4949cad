import {
  type EstimateOptions,
  type EstimatePoint,
  estimateMutualInformation,
  type MutualInformationEstimate,
} from '../../index.js'
import { isOn } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type Flag } from '../flags.js'
import { grouped } from '../format.js'
import { Interrupt } from '../interrupt.js'
import { readNpy } from '../npy.js'
import { flagsOfSchema, optionsFrom } from '../schema-flags.js'

const FLAGS: Flag[] = [
  { name: 'json', description: 'one JSON object on standard output, with all evaluations' },
]

const schemaFlags = async () => flagsOfSchema('estimate')

/** `amdim estimate`. */
export const command: Command = {
  name: 'estimate',
  positionals: ['X', 'Y'],
  description:
    'Estimates the mutual information of two variables by training a critic. X and Y are .npy files as amdim embed --out\n' +
    'features.npy writes them; their rows are samples, and rows of the same number belong together.',
  async groups() {
    return [
      { title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] },
      { title: 'estimate', flags: await schemaFlags() },
    ]
  },
  notes: [
    'examples:',
    '  amdim embed runs/first/model.safetensors photos --out x.npy',
    '  amdim embed runs/second/model.safetensors photos --out y.npy',
    '  amdim estimate x.npy y.npy',
    '  amdim estimate x.npy y.npy --bound mine --critic concatenated --updates 5000 --json',
  ],
  async run(line, terminal) {
    const [x = '', y = ''] = line.positionals
    const options = optionsFrom(await schemaFlags(), line) as Partial<EstimateOptions>
    const [first, second] = await Promise.all([readNpy('X', x), readNpy('Y', y)])
    using interrupt = new Interrupt(terminal, 'stopping after this update')
    const found = await estimateMutualInformation(first, second, {
      ...options,
      signal: interrupt.signal,
      onEvaluation: (point) => terminal.progress(pointLine(point)),
    }).finally(() => terminal.clearStatus())
    if (isOn(line, 'json')) terminal.out(JSON.stringify(found))
    else for (const text of describe(found)) terminal.out(text)
    return EXIT.ok
  },
}

function pointLine({ update, nats, trainingNats }: EstimatePoint): string {
  return `update ${grouped(update)}  ${nats.toFixed(4)} nats held out, ${trainingNats.toFixed(4)} in training`
}

function describe(found: MutualInformationEstimate): string[] {
  const { nats, deviation, limit, bound, critic, trainSize, validationSize } = found
  return [
    `information  ${inBoth(nats)}`,
    `deviation    ${inBoth(deviation)} between the last evaluations`,
    `limit        ${limit === null ? `none of ${bound}` : `${inBoth(limit)} of ${bound} with these negatives`}`,
    `critic       ${critic}, trained on ${grouped(trainSize)} samples, ${grouped(validationSize)} held out`,
  ]
}

/** `0.6931 nats (1.0000 bits)` */
function inBoth(nats: number): string {
  return `${nats.toFixed(4)} nats (${(nats / Math.LN2).toFixed(4)} bits)`
}
