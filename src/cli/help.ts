import type { Flag } from './flags.js'

/** A titled part of a help text. */
export interface FlagGroup {
  title: string
  flags: readonly Flag[]
}

/** Help of a command: usage, what it does, flags by group, examples. */
export function commandHelp(
  usage: string,
  description: string,
  groups: readonly FlagGroup[],
  notes: readonly string[] = [],
): string {
  const width = 34
  const lines = [`usage: ${usage}`, '', description]
  for (const { title, flags } of groups) {
    lines.push('', `${title}:`)
    for (const flag of flags) lines.push(...flagLines(flag, width))
  }
  return [...lines, ...(notes.length ? ['', ...notes] : []), ''].join('\n')
}

function flagLines(flag: Flag, width: number): string[] {
  const name = `  --${flag.negatable ? '[no-]' : ''}${flag.name}${flag.value === undefined ? '' : ` ${flag.value}`}`
  const isStated = flag.default === undefined || flag.description.includes('default')
  const text = isStated ? flag.description : `${flag.description} (default ${flag.default})`
  return name.length < width ? [name.padEnd(width) + text] : [name, ' '.repeat(width) + text]
}
