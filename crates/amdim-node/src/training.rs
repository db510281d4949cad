//! A training run under way.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use amdim_train::RunError;
use amdim_train::config::{TrainRequest, from_json};
use amdim_train::event::TrainEvent;
use amdim_train::pictures::Pictures;
use amdim_train::run::{TrainData, train as run_training};
use napi::bindgen_prelude::Object;
use napi::{Either, Env};
use napi_derive::napi;

use crate::callback::{Callback, Listener};
use crate::dataset::NativeDataset;
use crate::failure::{Failure, either, json};
use crate::job::Job;
use crate::transform::{TransformFunction, transform};

/// A training run; it goes on whether or not anybody waits for it.
#[napi]
pub struct NativeTraining {
    job: Job<String, String>,
}

/// What a run works on.
struct Inputs {
    request: TrainRequest,
    train: Pictures,
    test: Option<Pictures>,
    transform: Option<TransformFunction>,
}

#[napi]
impl NativeTraining {
    #[napi(ts_args_type = "request: string, train: NativeDataset, test: NativeDataset | null, \
                           onEvent: (event: string) => void, \
                           transform: ((image: NativeImage) => NativeImage) | null")]
    pub fn start(
        request: String,
        train: &NativeDataset,
        test: Option<&NativeDataset>,
        on_event: Listener<String>,
        transform: Option<TransformFunction>,
    ) -> Either<NativeTraining, Failure> {
        either(Self::begin(&request, train, test, on_event, transform))
    }

    fn begin(
        request: &str,
        train: &NativeDataset,
        test: Option<&NativeDataset>,
        on_event: Listener<String>,
        transform: Option<TransformFunction>,
    ) -> Result<Self, Failure> {
        let inputs = Inputs {
            request: from_json("request", request)?,
            train: train.pictures()?,
            test: test.map(NativeDataset::pictures).transpose()?,
            transform,
        };
        let mut events = Callback::new(on_event);
        let job = Job::start("amdim-train", move |cancel| {
            let result = train_to_the_end(inputs, &mut events, cancel);
            events.wait();
            result
        })?;
        Ok(Self { job })
    }

    #[napi]
    pub fn cancel(&self) {
        self.job.cancel();
    }

    #[napi(ts_return_type = "Promise<string | Failure>")]
    pub fn finished<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.job.finished(env)
    }
}

fn train_to_the_end(
    inputs: Inputs,
    events: &mut Callback<String>,
    cancel: &Arc<AtomicBool>,
) -> Result<String, RunError> {
    let data = TrainData {
        train: inputs.train.dataset,
        test: inputs.test.map(|test| test.dataset),
        transform: inputs.transform.map(|function| transform(function, Arc::clone(cancel))),
    };
    let mut tell = |event: &TrainEvent| {
        // An event of plain numbers and texts always has a JSON form.
        if let Ok(text) = json(event) {
            events.tell(text);
        }
    };
    json(&run_training(&inputs.request, data, &mut tell, cancel)?)
}
