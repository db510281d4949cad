import { EventStream } from './event-stream.js'
import type { TrainEvent } from './events.js'
import type { TrainOutcome } from './outcome.js'

/** The work behind a run: passes events on and listens to cancellation. */
export type RunWork = (emit: (event: TrainEvent) => void, cancellation: AbortSignal) => Promise<TrainOutcome>

/**
 * A run under way. Await it for its outcome; iterate over it for its events, from the moment on that iteration
 * starts, by as many readers as wanted; cancel it to stop at the next step with a checkpoint.
 *
 * @example
 * ```ts
 * import { trainAmdim } from 'amdim';
 *
 * const run = trainAmdim({ data: 'data/cifar10-sample.tar.gz', minutes: 1 });
 * for await (const event of run) {
 *   if (event.type === 'step') console.log(event.update, event.loss, `${event.pairsPerSecond.toFixed(0)} pairs/s`);
 * }
 * const { model, paths } = await run;
 * ```
 */
export class TrainingRun implements PromiseLike<TrainOutcome>, AsyncIterable<TrainEvent> {
  readonly #events = new EventStream<TrainEvent>()
  readonly #abort = new AbortController()
  readonly #outcome: Promise<TrainOutcome>

  /** @internal */
  constructor(work: RunWork) {
    this.#outcome = this.#execute(work)
  }

  async #execute(work: RunWork): Promise<TrainOutcome> {
    try {
      const outcome = await work((event) => this.#events.push(event), this.#abort.signal)
      this.#events.end({})
      return outcome
    } catch (error) {
      this.#events.end({ error })
      throw error
    }
  }

  /** Stops at the next step and writes a checkpoint; the run resolves with `cancelled: true`. */
  cancel(): void {
    this.#abort.abort()
  }

  /** Makes the run awaitable; it resolves with the outcome or rejects with an `AmdimError`. */
  // biome-ignore lint/suspicious/noThenProperty: being awaitable is the purpose.
  then<A = TrainOutcome, B = never>(
    onFulfilled?: ((outcome: TrainOutcome) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#outcome.then(onFulfilled, onRejected)
  }

  /** The events from now on. When the run fails, the iteration ends with its error. */
  [Symbol.asyncIterator](): AsyncIterableIterator<TrainEvent> {
    // Who iterates learns of a failure there; it is no unhandled rejection then.
    this.#outcome.catch(() => {})
    return this.#events.read()
  }
}
