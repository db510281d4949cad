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

/** Cancels native work when a signal aborts, also if it already has; returns what stops listening. */
export function cancelOnAbort(signal: AbortSignal | undefined, work: { cancel(): void }): () => void {
  if (signal === undefined) return () => {}
  const cancel = () => work.cancel()
  if (signal.aborted) cancel()
  signal.addEventListener('abort', cancel, { once: true })
  return () => signal.removeEventListener('abort', cancel)
}
