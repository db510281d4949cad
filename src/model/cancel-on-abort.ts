/** Cancels native work when a signal aborts, also if it already has; returns what stops listening. */
export function cancelOnAbort(signal: AbortSignal | undefined, work: { cancel(): void }): () => void {
  if (signal === undefined) return () => {}
  const cancel = () => work.cancel()
  if (signal.aborted) cancel()
  signal.addEventListener('abort', cancel, { once: true })
  return () => signal.removeEventListener('abort', cancel)
}
