//! Work on a thread of its own, whose result a promise waits for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use amdim_train::RunError;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Either, Env, JsDeferred};
use napi_derive::napi;
use serde::Serialize;

use crate::callback::{Callback, Listener};
use crate::failure::{Failure, either, guarded, json};

/// Makes the JavaScript value, on the thread of JavaScript.
type Resolver<J> = Box<dyn FnOnce(Env) -> napi::Result<Either<J, Failure>>>;
type Deferred<J> = JsDeferred<Either<J, Failure>, Resolver<J>>;

/// Work under way or done. `R` is its result, `J` what JavaScript gets for it.
pub(crate) struct Job<R, J: ToNapiValue> {
    state: Arc<Mutex<State<R, J>>>,
    cancel: Arc<AtomicBool>,
}

enum State<R, J: ToNapiValue> {
    Running,
    /// Somebody waits.
    Awaited(Deferred<J>),
    /// Nobody has asked yet.
    Done(Result<R, Failure>),
    Taken,
}

impl<R, J> Job<R, J>
where
    R: Into<J> + Send + 'static,
    J: ToNapiValue + 'static,
{
    /// Starts `work` on a thread called `name`; it should stop soon after the flag that it gets is set.
    pub(crate) fn start(
        name: &str,
        work: impl FnOnce(&Arc<AtomicBool>) -> Result<R, RunError> + Send + 'static,
    ) -> Result<Self, Failure> {
        let state = Arc::new(Mutex::new(State::Running));
        let cancel = Arc::new(AtomicBool::new(false));
        let (their_state, their_cancel) = (Arc::clone(&state), Arc::clone(&cancel));
        thread::Builder::new()
            .name(name.into())
            .spawn(move || settle(&their_state, guarded(|| work(&their_cancel))))
            .map_err(|error| RunError::Internal { message: format!("no thread for {name}: {error}") })?;
        Ok(Self { state, cancel })
    }

    /// Asks the work to stop.
    pub(crate) fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// A promise of the result. The result can be asked for once.
    pub(crate) fn finished<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (deferred, promise) = env.create_deferred()?;
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Running => *state = State::Awaited(deferred),
            State::Done(result) => resolve(deferred, result),
            taken => {
                *state = taken;
                let error = RunError::argument("finished", "to be asked for once", "a second time");
                resolve(deferred, Err::<R, Failure>(error.into()));
            }
        }
        Ok(promise)
    }
}

/// Work under way whose result is a JSON text.
#[napi]
pub struct NativeJob {
    job: Job<String, String>,
}

#[napi]
impl NativeJob {
    /// Asks the work to stop; what it then comes to depends on its kind.
    #[napi]
    pub fn cancel(&self) {
        self.job.cancel();
    }

    /// A promise of the result, which can be asked for once.
    #[napi(ts_return_type = "Promise<string | Failure>")]
    pub fn finished<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.job.finished(env)
    }
}

impl NativeJob {
    /// As [`Job::start`].
    pub(crate) fn start(
        name: &str,
        work: impl FnOnce(&Arc<AtomicBool>) -> Result<String, RunError> + Send + 'static,
    ) -> Result<Self, Failure> {
        Ok(Self { job: Job::start(name, work)? })
    }

    /// As [`NativeJob::start`], for work that tells `listener` of its events, as JSON; all are delivered before the end.
    pub(crate) fn telling<E: Serialize>(
        name: &str,
        listener: Listener<String>,
        work: impl FnOnce(&mut (dyn FnMut(&E) + Send), &Arc<AtomicBool>) -> Result<String, RunError>
        + Send
        + 'static,
    ) -> Result<Self, Failure> {
        let mut events = Callback::new(listener);
        Self::start(name, move |cancel| {
            let mut tell = |event: &E| {
                // An event of plain numbers and texts always has a JSON form.
                if let Ok(text) = json(event) {
                    events.tell(text);
                }
            };
            let result = work(&mut tell, cancel);
            events.wait();
            result
        })
    }
}

/// Does `work` on a thread of its own; the promise is of its result.
pub(crate) fn promise<'env, R, J>(
    env: &'env Env,
    name: &str,
    work: impl FnOnce() -> Result<R, RunError> + Send + 'static,
) -> napi::Result<Object<'env>>
where
    R: Into<J> + Send + 'static,
    J: ToNapiValue + 'static,
{
    match Job::<R, J>::start(name, |_| work()) {
        Ok(job) => job.finished(env),
        Err(failure) => failed::<J>(env, failure),
    }
}

/// A promise that is a failure already.
pub(crate) fn failed<J: ToNapiValue + 'static>(env: &Env, failure: Failure) -> napi::Result<Object<'_>> {
    let (deferred, promise): (Deferred<J>, _) = env.create_deferred()?;
    deferred.resolve(Box::new(move |_| Ok(Either::B(failure))));
    Ok(promise)
}

fn settle<R, J>(state: &Mutex<State<R, J>>, result: Result<R, Failure>)
where
    R: Into<J> + Send + 'static,
    J: ToNapiValue + 'static,
{
    let mut state = lock(state);
    match std::mem::replace(&mut *state, State::Taken) {
        State::Awaited(deferred) => resolve(deferred, result),
        _ => *state = State::Done(result),
    }
}

fn resolve<R, J>(deferred: Deferred<J>, result: Result<R, Failure>)
where
    R: Into<J> + Send + 'static,
    J: ToNapiValue + 'static,
{
    deferred.resolve(Box::new(move |_| Ok(either(result.map(Into::into)))));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds the lock; the value is whole in any case.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
