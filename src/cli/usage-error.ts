/** A command line that does not say what to do; the process then exits with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  /** What to do instead. */
  readonly hint: string

  constructor(message: string, hint: string) {
    super(message)
    this.hint = hint
  }
}
