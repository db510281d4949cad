import type { Terminal } from './terminal.js'

/** Turns Ctrl-C into a clean stop: the first asks for it, the second ends the process at once. */
export class Interrupt implements Disposable {
  readonly #controller = new AbortController()
  readonly #terminal: Terminal
  readonly #message: string
  readonly #listener = () => this.#stop()

  /** @param message - what the first Ctrl-C leads to */
  constructor(terminal: Terminal, message: string) {
    this.#terminal = terminal
    this.#message = message
    process.on('SIGINT', this.#listener)
    process.on('SIGTERM', this.#listener)
  }

  /** Aborts at the first interrupt. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#listener)
    process.off('SIGTERM', this.#listener)
  }

  #stop(): void {
    if (this.signal.aborted) process.exit(130)
    this.#terminal.error(`${this.#message} (interrupt again to quit at once)`)
    this.#controller.abort()
  }
}
