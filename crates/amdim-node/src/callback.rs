//! A JavaScript function that a thread tells things without waiting for it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use napi::Status;
use napi::bindgen_prelude::{JsValuesTupleIntoVec, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};

/// How often a waiting thread looks whether Node is being torn down.
const GLANCE: Duration = Duration::from_millis(50);

/// `(value) => void` in JavaScript; the queue of calls is unbounded.
pub(crate) type Listener<T> = ThreadsafeFunction<T, Unknown<'static>, T, Status, false>;

/// A listener that a job tells things, in order.
pub(crate) struct Callback<T: 'static + JsValuesTupleIntoVec> {
    listener: Listener<T>,
    last: Option<Receiver<()>>,
}

impl<T: 'static + JsValuesTupleIntoVec> Callback<T> {
    /// Tells `listener`.
    pub(crate) fn new(listener: Listener<T>) -> Self {
        Self { listener, last: None }
    }

    /// Queues a call. What the function throws is its own affair: training goes on.
    pub(crate) fn tell(&mut self, value: T) {
        let (sender, receiver) = sync_channel(1);
        let delivered = move |_, _| {
            // Nobody may be waiting.
            let _ = sender.send(());
            Ok(())
        };
        self.listener.call_with_return_value(value, ThreadsafeFunctionCallMode::NonBlocking, delivered);
        self.last = Some(receiver);
    }

    /// Waits until the last call was made, so that no event comes after the promise of the result.
    pub(crate) fn wait(self) {
        let Some(last) = self.last else { return };
        while last.recv_timeout(GLANCE) == Err(RecvTimeoutError::Timeout) {
            if self.listener.aborted() {
                return;
            }
        }
    }
}
