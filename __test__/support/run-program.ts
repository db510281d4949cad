import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The compiled command line. */
export const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** How a program ended. */
export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  out: string
  err: string
}

/** Settings of a program to run. */
export interface ProgramOptions {
  cwd?: string
  uid?: number
  gid?: number
  /** Variables beside those of this process. */
  env?: Record<string, string>
  /** Called with everything on standard error and output so far, for tests that act while it runs. */
  onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void
}

/** Runs the compiled `amdim` in a process of its own. */
export async function runProgram(args: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run "npm run build" first`)
  return runAny(process.execPath, [PROGRAM, ...args], options)
}

/** Runs any program. */
export function runAny(
  program: string,
  args: readonly string[],
  { onOutput, env, ...options }: ProgramOptions = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...options,
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [out, err] = ['', '']
    const notify = () => onOutput?.(err + out, (signal) => child.kill(signal))
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text
      notify()
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      err += text
      notify()
    })
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, out, err }))
  })
}
