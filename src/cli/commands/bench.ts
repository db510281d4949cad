import { type BenchOptions, bench, type EncoderConfig } from '../../index.js'
import { given, numberOf, textOf } from '../arguments.js'
import { type Command, EXIT } from '../command.js'
import { COMMON_FLAGS, type CommandLine, type Flag } from '../flags.js'

// The names are those of the reference's benchmark script, so that command lines can be exchanged.
const FLAGS: Flag[] = [
  {
    name: 'mode',
    value: 'train|encode',
    description: 'a training step of two views, or the encoder alone',
    default: 'train',
  },
  {
    name: 'encoder-kind',
    value: 'amdim|resnet18|resnet34|resnet50',
    description: 'which encoder',
    default: 'amdim',
  },
  { name: 'size', value: '32|64|128', description: 'side of the pictures in pixels', default: '32' },
  { name: 'ndf', value: 'N', description: 'baseWidth; default: 32, with a ResNet 64' },
  { name: 'rkhs', value: 'N', description: 'embeddingDim', default: '256' },
  { name: 'depth', value: 'N', description: 'blockDepth, amdim alone; default: 3' },
  { name: 'batch', value: 'N', description: 'pictures a step', default: '64' },
  { name: 'steps', value: 'N', description: 'steps timed', default: '10' },
  { name: 'warmup', value: 'N', description: 'steps before those', default: '2' },
  { name: 'threads', value: 'N', description: 'threads; default: one a core' },
  {
    name: 'precision',
    value: 'auto|f32|bf16',
    description: 'how the encoder keeps its maps',
    default: 'f32',
  },
  { name: 'executor', value: 'auto|cpu|candle', description: 'what runs the encoder', default: 'auto' },
  { name: 'device', value: 'TEXT', description: 'auto, cpu, cuda, cuda:N or metal', default: 'auto' },
]

/** `amdim bench`. */
export const command: Command = {
  name: 'bench',
  positionals: [],
  description:
    'Times the bare training step or the encoder. The last line of standard output is one JSON object.',
  async groups() {
    return [{ title: 'options', flags: [...FLAGS, ...COMMON_FLAGS] }]
  },
  notes: ['example:', '  amdim bench --mode encode --ndf 64 --rkhs 512'],
  async run(line, terminal) {
    const result = await bench(toOptions(line))
    const { images_per_s, median_s, max_rss_mb, executor, device, precision, kernel, threads } = result
    terminal.note(
      `${images_per_s.toFixed(1)} pictures/s, ${(median_s * 1000).toFixed(1)} ms a step, ${max_rss_mb.toFixed(0)} MiB ` +
        `(${executor} on ${device}, ${precision}, ${kernel}, ${threads} threads)`,
    )
    terminal.out(JSON.stringify(result))
    return EXIT.ok
  },
}

function toOptions(line: CommandLine): BenchOptions {
  const { size } = numberOf('size', line)
  const { ndf } = numberOf('ndf', line)
  const { rkhs } = numberOf('rkhs', line)
  const { depth } = numberOf('depth', line)
  const { batch } = numberOf('batch', line)
  const kind = textOf(line, 'encoder-kind') as EncoderConfig['kind'] | undefined
  const encoder: Partial<EncoderConfig> = {
    ...(kind !== undefined && { kind }),
    ...(size !== undefined && { encoderSize: size as EncoderConfig['encoderSize'] }),
    ...(ndf !== undefined && { baseWidth: ndf }),
    ...(rkhs !== undefined && { embeddingDim: rkhs }),
    ...(depth !== undefined && { blockDepth: depth }),
  }
  return {
    encoder,
    ...(batch !== undefined && { batchSize: batch }),
    ...numberOf('steps', line),
    ...numberOf('warmup', line),
    ...numberOf('threads', line),
    ...(given('mode', line) as Pick<BenchOptions, 'mode'>),
    ...(given('precision', line) as Pick<BenchOptions, 'precision'>),
    ...(given('executor', line) as Pick<BenchOptions, 'executor'>),
    ...given('device', line),
  }
}
