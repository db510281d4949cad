//! Mutual information of samples.

use amdim_train::config::from_json;
use amdim_train::estimate::{EstimateRequest, Samples, estimate};
use napi::Either;
use napi::bindgen_prelude::Float32Array;
use napi_derive::napi;

use crate::callback::Listener;
use crate::failure::{Failure, either, json};
use crate::job::NativeJob;

/// `dimensions` are those of a sample of x and of y.
#[napi(ts_args_type = "request: string, x: Float32Array, y: Float32Array, dimensions: Array<number>, \
                       onEvent: (event: string) => void")]
pub fn start_estimate(
    request: String,
    x: Float32Array,
    y: Float32Array,
    dimensions: Vec<u32>,
    on_event: Listener<String>,
) -> Either<NativeJob, Failure> {
    either(begin(&request, &x, &y, &dimensions, on_event))
}

fn begin(
    request: &str,
    x: &[f32],
    y: &[f32],
    dimensions: &[u32],
    on_event: Listener<String>,
) -> Result<NativeJob, Failure> {
    let request: EstimateRequest = from_json("request", request)?;
    // Copied here, on JavaScript's thread, so that the program may go on using its arrays.
    let (x, y) = (x.to_vec(), y.to_vec());
    let dimension = |place: usize| dimensions.get(place).map_or(0, |&count| count as usize);
    let dimensions = [dimension(0), dimension(1)];
    NativeJob::telling("amdim-estimate", on_event, move |tell, cancel| {
        let samples = |values, place: usize| Samples { values, dimensions: dimensions[place] };
        json(&estimate(&request, samples(&x, 0), samples(&y, 1), tell, cancel)?)
    })
}
