//! Every error as one plain object, because error classes do not survive asynchronous functions.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use amdim_train::RunError;
use napi::Either;
use napi_derive::napi;

/// What a fallible function returns in place of its value.
#[napi(object, object_from_js = false)]
#[derive(Debug, Clone)]
pub struct Failure {
    /// Always true; tells a failure from a value.
    pub failure: bool,
    /// Stable code, such as `AMDIM_SHAPE`.
    pub code: String,
    /// For people.
    pub message: String,
    /// A JSON object.
    pub details: String,
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self {
            failure: true,
            code: error.code().into(),
            message: error.to_string(),
            details: error.details().to_string(),
        }
    }
}

impl Failure {
    /// For an object that was disposed.
    pub(crate) fn disposed(what: &str) -> Self {
        RunError::argument(what, "one that is in use", "one that was disposed").into()
    }

    /// For a defect that ended a thread or a call.
    fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic without a message".to_owned());
        RunError::Internal { message: text }.into()
    }
}

/// Does `work`; a panic in it becomes a failure too.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, RunError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Failure::from),
        Err(panic) => Err(Failure::of_panic(&*panic)),
    }
}

/// A result as JavaScript gets it.
pub(crate) fn either<T>(result: Result<T, Failure>) -> Either<T, Failure> {
    match result {
        Ok(value) => Either::A(value),
        Err(failure) => Either::B(failure),
    }
}

/// A value as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, RunError> {
    serde_json::to_string(value).map_err(|error| RunError::Internal { message: error.to_string() })
}
