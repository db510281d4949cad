//! A training run: batches from the loader through the training step, with its files and events.
//!
//! A run goes through [`train`]: `prepare` opens everything and makes the first batch, so that bad input is met
//! before anything is written; then `session` makes updates until the length is reached or the run is cancelled.

mod clock;
mod folder;
mod labels;
mod meter;
mod online;
mod prepare;
mod session;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use amdim_data::Dataset;
use amdim_data::loader::Transform;

use crate::Result;
use crate::config::TrainRequest;
use crate::event::{TrainEvent, TrainResult};
use crate::place::on_threads;

/// The pictures of a run.
#[derive(Clone)]
pub struct TrainData {
    /// Pictures to learn from.
    pub train: Arc<dyn Dataset>,
    /// Pictures to test the online classifiers on.
    pub test: Option<Arc<dyn Dataset>>,
    /// A user's function, applied to every decoded training picture on the loader's threads.
    pub transform: Option<Transform>,
}

/// Runs a request to its end, or until `cancel` is set: then it stops before the next update and writes its files.
///
/// `events` is called on a thread of the run; it must not block for long. With the same request and pictures on a
/// processor the numbers are the same bit for bit, whether or not the run was interrupted and resumed in between; only
/// a length in minutes depends on the machine's speed.
///
/// # Errors
/// - `AMDIM_INVALID_ARGUMENT`: a bad request, a batch larger than the data set, a checkpoint of another run
/// - `AMDIM_DATA`, `AMDIM_DECODE`, `AMDIM_LIMIT`: pictures that can't be used
/// - `AMDIM_CHECKPOINT`, `AMDIM_SHAPE`: a file of weights that can't be used
/// - `AMDIM_NON_FINITE`: the run diverged; the last checkpoint is left as it is
/// - `AMDIM_IO`: a file of the run can't be written; those that were are whole
///
/// After an error of the pictures or of writing, the state before it is written as a checkpoint where that is possible.
pub fn train(
    request: &TrainRequest,
    data: TrainData,
    events: &mut (dyn FnMut(&TrainEvent) + Send),
    cancel: &AtomicBool,
) -> Result<TrainResult> {
    request.validate()?;
    on_threads(request.threads, || prepare::prepare(request, data, events, cancel)?.run())
}
