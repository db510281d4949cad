// What the comparisons with other programs share.
import { execFileSync } from 'node:child_process'

/** The middle one of some numbers. */
export const median = (numbers) => numbers.toSorted((x, y) => x - y)[Math.floor(numbers.length / 2)]

/** Runs a program to its end and parses the last line that it prints. */
export function lastLine(program, args) {
  const output = execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return JSON.parse(output.trim().split('\n').at(-1))
}
