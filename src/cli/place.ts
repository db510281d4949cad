import type { ModelOptions } from '../index.js'
import { given, numberOf } from './arguments.js'
import type { CommandLine, Flag } from './flags.js'

/** Flags that say where a model computes; `--threads` comes from the schema of the command. */
export const PLACE_FLAGS: Flag[] = [
  { name: 'device', value: 'TEXT', description: 'auto, cpu, cuda, cuda:N or metal', default: 'auto' },
  { name: 'executor', value: 'auto|cpu|candle', description: 'what runs the encoder', default: 'auto' },
  {
    name: 'precision',
    value: 'auto|f32|bf16',
    description: 'how the encoder keeps its maps',
    default: 'f32',
  },
]

/** Where a model computes, as the flags say. */
export function placeOf(line: CommandLine): ModelOptions {
  return {
    ...given('device', line),
    ...given('executor', line),
    ...given('precision', line),
    ...numberOf('threads', line),
  } as ModelOptions
}
