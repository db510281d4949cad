//! Generative adversarial networks on samples.

use amdim_train::config::from_json;
use amdim_train::estimate::Samples;
use amdim_train::gan::{GanRequest, train_gan};
use napi::Either;
use napi::bindgen_prelude::Float32Array;
use napi_derive::napi;

use crate::callback::Listener;
use crate::failure::{Failure, either, json};
use crate::job::NativeJob;

/// `dimensions` are those of a sample.
#[napi(ts_args_type = "request: string, samples: Float32Array, dimensions: number, \
                       onEvent: (event: string) => void")]
pub fn start_gan(
    request: String,
    samples: Float32Array,
    dimensions: u32,
    on_event: Listener<String>,
) -> Either<NativeJob, Failure> {
    either(begin(&request, &samples, dimensions, on_event))
}

fn begin(
    request: &str,
    samples: &[f32],
    dimensions: u32,
    on_event: Listener<String>,
) -> Result<NativeJob, Failure> {
    let request: GanRequest = from_json("request", request)?;
    // Copied here, on JavaScript's thread, so that the program may go on using its array.
    let values = samples.to_vec();
    NativeJob::telling("amdim-gan", on_event, move |tell, cancel| {
        let samples = Samples { values: &values, dimensions: dimensions as usize };
        json(&train_gan(&request, samples, tell, cancel)?)
    })
}
