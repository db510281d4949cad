//! Cancellation of long functions.

use crate::error::{EvalError, Result};

/// Asked often, from several threads, by long functions: `true` means stop.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// The [`Stop`] that never stops.
pub fn never() -> Stop<'static> {
    &|| false
}

/// [`EvalError::Cancelled`] once `stop` answers `true`.
pub(crate) fn check(stop: Stop<'_>) -> Result<()> {
    if stop() { Err(EvalError::Cancelled) } else { Ok(()) }
}
