import type { EmbedInput } from '../index.js'
import { openSplit, textOf } from './arguments.js'
import type { CommandLine } from './flags.js'
import { UsageError } from './usage-error.js'

const PICTURE_FILE = /\.(jpe?g|png|webp|gif|bmp)$/i

/** What PICTURES... of a command means: picture files, or one data set. */
export async function openPictures(command: string, paths: string[], line: CommandLine): Promise<EmbedInput> {
  if (paths.every((path) => PICTURE_FILE.test(path))) return paths
  const [path, second] = paths
  if (path === undefined || second !== undefined)
    throw new UsageError(
      'PICTURES: expected one data set, or picture files only',
      `see amdim ${command} --help`,
    )
  return openSplit(path, textOf(line, 'split'))
}
