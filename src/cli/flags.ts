import { parseArgs } from 'node:util'
import { didYouMean, suggest } from '../suggest.js'
import { UsageError } from './usage-error.js'

/** A flag of a command. */
export interface Flag {
  /** Name without dashes. */
  name: string
  /** Other names of the same flag. */
  aliases?: string[]
  /** What stands for its value in the help; a flag without one is on or off. */
  value?: string
  /** Whether `--no-NAME` turns it off. */
  negatable?: boolean
  description: string
  /** Text of the default value. */
  default?: string
}

/** A parsed command line: flags by their main name, the last one counts. */
export interface CommandLine {
  flags: Map<string, string | boolean>
  positionals: string[]
}

/** Flags that every command has. */
export const COMMON_FLAGS: Flag[] = [
  { name: 'help', description: 'show this help' },
  { name: 'quiet', description: 'nothing but results and errors' },
]

/**
 * Parses the arguments of a command.
 *
 * @throws UsageError for unknown flags (with the nearest known one) and missing or superfluous values
 */
export function parseCommandLine(command: string, args: string[], flags: readonly Flag[]): CommandLine {
  const byName = new Map<string, { flag: Flag; isOn: boolean }>()
  for (const flag of flags) {
    for (const name of [flag.name, ...(flag.aliases ?? [])]) {
      byName.set(name, { flag, isOn: true })
      if (flag.negatable) byName.set(`no-${name}`, { flag, isOn: false })
    }
  }
  const hint = `see amdim ${command} --help`
  const line: CommandLine = { flags: new Map(), positionals: [] }
  for (const token of tokenise(args, byName)) {
    if (token.kind === 'positional') line.positionals.push(token.value)
    if (token.kind !== 'option') continue
    const known = byName.get(token.name)
    if (known === undefined) throw unknownFlag(command, token.rawName, [...byName.keys()])
    line.flags.set(known.flag.name, flagValue(known.flag, known.isOn, token.rawName, token.value, hint))
  }
  return line
}

function tokenise(args: string[], byName: Map<string, { flag: Flag }>) {
  const options = Object.fromEntries(
    [...byName].map(([name, { flag }]) => [
      name,
      {
        type:
          flag.value !== undefined && !isNegation(name, flag) ? ('string' as const) : ('boolean' as const),
      },
    ]),
  )
  return parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true }).tokens
}

function isNegation(name: string, flag: Flag): boolean {
  return name !== flag.name && !flag.aliases?.includes(name)
}

function flagValue(
  flag: Flag,
  isOn: boolean,
  written: string,
  value: string | undefined,
  hint: string,
): string | boolean {
  if (flag.value !== undefined) {
    // `--seed --json`: the next flag is no value; `--shift=-1` writes a value that begins with a dash.
    const isMissing =
      value === undefined || (value.startsWith('-') && value.length > 1 && Number.isNaN(Number(value)))
    if (isMissing) throw new UsageError(`${written} needs a value: ${written} ${flag.value}`, hint)
    return value
  }
  if (value !== undefined) throw new UsageError(`${written} takes no value, got "${value}"`, hint)
  return isOn
}

function unknownFlag(command: string, written: string, known: string[]): UsageError {
  const near = suggest(written.replace(/^-+/, ''), known)
  const advice = near === undefined ? '' : `; did you mean --${near}?`
  return new UsageError(
    `unknown option ${written} for "amdim ${command}"${advice}`,
    `see amdim ${command} --help`,
  )
}

/**
 * Checks the number of arguments that are not flags.
 *
 * @param names - what they are called, in their order; one in brackets may be left out, the last may be repeated if it
 *   ends in `...`
 * @throws UsageError when there are too few or too many
 */
export function expectPositionals(
  command: string,
  { positionals }: CommandLine,
  names: readonly string[],
): void {
  const hint = `usage: amdim ${[command, ...names].join(' ')} [options]; see amdim ${command} --help`
  const needed = names.filter((name) => !name.startsWith('['))
  const missing = needed[positionals.length]
  if (missing !== undefined) throw new UsageError(`${missing} is missing`, hint)
  const isOpen = names.at(-1)?.endsWith('...') ?? false
  if (positionals.length > names.length && !isOpen)
    throw new UsageError(`unexpected argument "${positionals[names.length]}"`, hint)
}

/** The error for a command that does not exist. */
export function unknownCommand(name: string, known: readonly string[]): UsageError {
  const advice = didYouMean(name, known)
  return new UsageError(`unknown command "${name}"${advice && `; ${advice}`}`, 'see amdim --help')
}
