/** Every reader of a stream of values gets each value that came after it started reading, however slowly it reads. */
export class EventStream<T> {
  readonly #readers = new Set<Reader<T>>()
  #end: { error: unknown } | { error?: never } | undefined

  /** Passes a value to every reader. */
  push(value: T): void {
    for (const reader of this.#readers) reader.push(value)
  }

  /** Ends the stream for every reader, with an error after the last value if there was one. */
  end(outcome: { error: unknown } | { error?: never }): void {
    this.#end = outcome
    for (const reader of this.#readers) reader.end()
  }

  /** A new reader, from now on. */
  read(): AsyncIterableIterator<T> {
    const reader = new Reader<T>()
    this.#readers.add(reader)
    if (this.#end) reader.end()
    return this.#values(reader)
  }

  async *#values(reader: Reader<T>): AsyncIterableIterator<T> {
    try {
      yield* reader.values()
    } finally {
      this.#readers.delete(reader)
    }
    if (this.#end && 'error' in this.#end) throw this.#end.error
  }
}

class Reader<T> {
  #queue: T[] = []
  #ended = false
  #wake: () => void = () => {}

  push(value: T): void {
    this.#queue.push(value)
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async *values(): AsyncGenerator<T> {
    while (true) {
      const ready = this.#queue
      this.#queue = []
      yield* ready
      if (this.#queue.length > 0) continue
      if (this.#ended) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
