import type { EmbedInput, EmbedOptions, SkippedPicture } from '../index.js'
import { given, numberOf, openSplit, textOf } from './arguments.js'
import type { CommandLine, Flag } from './flags.js'
import { bar, grouped } from './format.js'
import { PLACE_FLAGS } from './place.js'
import type { Terminal } from './terminal.js'
import { UsageError } from './usage-error.js'

const PICTURE_FILE = /\.(jpe?g|png|webp|gif|bmp)$/i

/** Flags of commands that run a model over pictures. */
export const PICTURE_FLAGS: Flag[] = [
  { name: 'split', value: 'train|test|all', description: 'which split, where a data set has two' },
  { name: 'batch-size', value: 'N', description: 'pictures encoded at once', default: '256' },
  {
    name: 'on-bad-image',
    value: 'error|skip',
    description: 'a picture that cannot be read',
    default: 'error',
  },
  { name: 'threads', value: 'N', description: 'threads; default: one a core' },
  ...PLACE_FLAGS,
]

/** How pictures are read, as the flags say, with progress on the terminal. */
export function pictureOptions(
  line: CommandLine,
  terminal: Terminal,
): Pick<EmbedOptions, 'threads' | 'onBadImage' | 'batchSize' | 'onProgress'> {
  const batchSize = numberOf('batch-size', line)['batch-size']
  return {
    ...numberOf('threads', line),
    ...(given('onBadImage', line, 'on-bad-image') as { onBadImage?: 'error' | 'skip' }),
    ...(batchSize !== undefined && { batchSize }),
    onProgress: (done, total) =>
      terminal.status(`${bar(done / total, 20)} ${grouped(done)} of ${grouped(total)} pictures`),
  }
}

/** Ends the progress of {@link pictureOptions}, and says which pictures were left out. */
export function noteSkipped(skipped: readonly SkippedPicture[], terminal: Terminal): void {
  terminal.clearStatus()
  for (const { name, message } of skipped) terminal.note(`skipped ${name}: ${message}`)
}

/** What PICTURES... of a command means: picture files, or one data set. */
export async function openPictures(command: string, paths: string[], line: CommandLine): Promise<EmbedInput> {
  if (paths.every((path) => PICTURE_FILE.test(path))) return paths
  const [path, second] = paths
  if (path === undefined || second !== undefined)
    throw new UsageError(
      'PICTURES: expected one data set, or picture files only',
      `MODEL is a file named *.safetensors; see amdim ${command} --help`,
    )
  return openSplit(path, textOf(line, 'split'))
}
