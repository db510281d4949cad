import type { Writable } from 'node:stream'

/** Where a command writes: results to `out`, everything else to `err`. */
export class Terminal {
  readonly #out: Writable
  readonly #err: Writable & { isTTY?: boolean; columns?: number }
  readonly #env: NodeJS.ProcessEnv
  #hasStatus = false
  /** Notes and progress are left out. */
  quiet = false

  constructor(out: Writable, err: Writable & { isTTY?: boolean; columns?: number }, env: NodeJS.ProcessEnv) {
    this.#out = out
    this.#err = err
    this.#env = env
  }

  /** Whether progress can be drawn in place. */
  get isInteractive(): boolean {
    return this.#err.isTTY === true && this.#env['TERM'] !== 'dumb'
  }

  /** Width in characters. */
  get columns(): number {
    return this.#err.columns ?? 80
  }

  /** A line of results. */
  out(line: string): void {
    this.clearStatus()
    this.#out.write(`${line}\n`)
  }

  /** Bytes of results; resolves when they are taken. */
  async outBytes(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#out.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** A line for the reader, not part of the results. */
  note(line: string): void {
    if (!this.quiet) this.#line(line)
  }

  /** A line about a failure; also shown when quiet. */
  error(line: string): void {
    this.#line(line)
  }

  /** The line at the bottom that shows progress, on a terminal only. */
  status(line: string): void {
    if (this.quiet || !this.isInteractive) return
    this.#err.write(`\r\u001b[2K${line.slice(0, Math.max(1, this.columns - 1))}`)
    this.#hasStatus = true
  }

  /** How far work is: the line at the bottom where there is one, else a line each time. */
  progress(line: string, status = line): void {
    if (this.isInteractive) this.status(status)
    else this.note(line)
  }

  /** Removes the status line. */
  clearStatus(): void {
    if (this.#hasStatus) this.#err.write('\r\u001b[2K')
    this.#hasStatus = false
  }

  /** The text in bold, where colours are wanted. */
  bold(text: string): string {
    return this.#usesColor ? `\u001b[1m${text}\u001b[22m` : text
  }

  /** The text in red, where colours are wanted. */
  red(text: string): string {
    return this.#usesColor ? `\u001b[31m${text}\u001b[39m` : text
  }

  // https://no-color.org: any non-empty value turns colours off.
  get #usesColor(): boolean {
    return this.isInteractive && !this.#env['NO_COLOR']
  }

  #line(line: string): void {
    this.clearStatus()
    this.#err.write(`${line}\n`)
  }
}
