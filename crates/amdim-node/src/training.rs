//! A training run.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use amdim_train::RunError;
use amdim_train::config::{TrainRequest, from_json};
use amdim_train::event::TrainEvent;
use amdim_train::pictures::Pictures;
use amdim_train::run::{TrainData, train as run_training};
use napi::Either;
use napi_derive::napi;

use crate::callback::Listener;
use crate::dataset::NativeDataset;
use crate::failure::{Failure, either, json};
use crate::job::NativeJob;
use crate::transform::{TransformFunction, transform};

/// What a run works on.
struct Inputs {
    request: TrainRequest,
    train: Pictures,
    test: Option<Pictures>,
    transform: Option<TransformFunction>,
}

/// Starts a run; it goes on whether or not anybody waits for it.
#[napi(ts_args_type = "request: string, train: NativeDataset, test: NativeDataset | null, \
                       onEvent: (event: string) => void, \
                       transform: ((image: NativeImage) => NativeImage) | null")]
pub fn start_training(
    request: String,
    train: &NativeDataset,
    test: Option<&NativeDataset>,
    on_event: Listener<String>,
    transform: Option<TransformFunction>,
) -> Either<NativeJob, Failure> {
    either(begin(&request, train, test, on_event, transform))
}

fn begin(
    request: &str,
    train: &NativeDataset,
    test: Option<&NativeDataset>,
    on_event: Listener<String>,
    transform: Option<TransformFunction>,
) -> Result<NativeJob, Failure> {
    let inputs = Inputs {
        request: from_json("request", request)?,
        train: train.pictures()?,
        test: test.map(NativeDataset::pictures).transpose()?,
        transform,
    };
    NativeJob::telling("amdim-train", on_event, move |tell, cancel| train_to_the_end(inputs, tell, cancel))
}

fn train_to_the_end(
    inputs: Inputs,
    tell: &mut (dyn FnMut(&TrainEvent) + Send),
    cancel: &Arc<AtomicBool>,
) -> Result<String, RunError> {
    let data = TrainData {
        train: inputs.train.dataset,
        test: inputs.test.map(|test| test.dataset),
        transform: inputs.transform.map(|function| transform(function, Arc::clone(cancel))),
    };
    json(&run_training(&inputs.request, data, tell, cancel)?)
}
