import type { CommandLine } from './flags.js'
import type { FlagGroup } from './help.js'
import type { Terminal } from './terminal.js'

/** Exit codes of the command line. */
export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const

/** A command of `amdim`. */
export interface Command {
  name: string
  /** Arguments that are not flags, in their order; one in brackets may be left out, the last repeated if it ends in `...`. */
  positionals: readonly string[]
  /** What it does, for its help. */
  description: string
  /** Its flags; made when needed, because they come from the schemas. */
  groups(): Promise<FlagGroup[]>
  /** Lines at the end of its help. */
  notes?: readonly string[]
  /** Does the work and returns the exit code. */
  run(line: CommandLine, terminal: Terminal): Promise<number>
}
