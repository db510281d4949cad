import { invalidArgument } from './errors.js'
import { type Failure, unwrap } from './native.js'

/** Work of the addon under way. */
interface Work<T> {
  cancel(): void
  finished(): Promise<T | Failure>
}

/**
 * The result of work that was started, which stops when the signal aborts.
 *
 * @throws {@link AmdimError} what the start or the work failed with, `AMDIM_CANCELLED` when it was stopped
 */
export async function resultOf<T>(started: Work<T> | Failure, signal: AbortSignal | undefined): Promise<T> {
  const work = unwrap(started)
  const release = cancelOnAbort(signal, work)
  try {
    return unwrap(await work.finished())
  } finally {
    release()
  }
}

/** Who listens to work of the addon, and what stops it. */
export interface Listening<E> {
  /** Called with each event; what it throws stops the work. */
  listener: ((event: E) => void) | undefined
  /** Stops the work too. */
  signal: AbortSignal | undefined
}

/**
 * {@link resultOf} of work that a user's function listens to. A function that throws can't do so across the border to the
 * addon: what it threw is kept, stops the work and is thrown here.
 *
 * @throws what the listener threw; {@link AmdimError} as `resultOf`
 */
export async function resultListened<T, E>(
  start: (onEvent: (event: E) => void) => Work<T> | Failure,
  { listener, signal }: Listening<E>,
): Promise<T> {
  let thrown: { error: unknown } | undefined
  const stop = new AbortController()
  const onEvent = (event: E) => {
    if (thrown !== undefined) return
    try {
      listener?.(event)
    } catch (error) {
      thrown = { error }
      stop.abort()
    }
  }
  const signals = signal === undefined ? [stop.signal] : [stop.signal, signal]
  const outcome = await resultOf(start(onEvent), AbortSignal.any(signals)).then(
    (result) => () => result,
    (error: unknown) => () => {
      throw error
    },
  )
  // Work that was stopped for the listener's sake says no more than that.
  if (thrown !== undefined) throw (thrown as { error: unknown }).error
  return outcome()
}

/** A listener of events that come as JSON. */
export function ofJson<E>(listener: ((event: E) => void) | undefined): (json: string) => void {
  return (json) => listener?.(JSON.parse(json) as E)
}

/** Checks a listener before it is needed. */
export function assertListener(name: string, listener: unknown): void {
  if (listener !== undefined && typeof listener !== 'function')
    throw invalidArgument(name, 'a function', listener)
}

/** Cancels native work when a signal aborts, also if it already has; returns what stops listening. */
export function cancelOnAbort(signal: AbortSignal | undefined, work: { cancel(): void }): () => void {
  if (signal === undefined) return () => {}
  const cancel = () => work.cancel()
  if (signal.aborted) cancel()
  signal.addEventListener('abort', cancel, { once: true })
  return () => signal.removeEventListener('abort', cancel)
}
