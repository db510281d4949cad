//! Entropy and mutual information of samples, without a trained critic.

use amdim_train::config::from_json;
use amdim_train::estimate::Samples;
use amdim_train::information::{InformationRequest, Variables, information};
use napi::Either;
use napi::bindgen_prelude::{Float32Array, Uint32Array};
use napi_derive::napi;

use crate::failure::{Failure, either, json};
use crate::job::NativeJob;

/// `dimensions` are those of a sample of x and of y.
#[napi(
    ts_args_type = "request: string, x: Float32Array, y: Float32Array | null, labels: Uint32Array | null, \
                       dimensions: Array<number>"
)]
pub fn start_information(
    request: String,
    x: Float32Array,
    y: Option<Float32Array>,
    labels: Option<Uint32Array>,
    dimensions: Vec<u32>,
) -> Either<NativeJob, Failure> {
    // Copied here, on JavaScript's thread, so that the program may go on using its arrays.
    let (y, labels) = (y.map(|y| y.to_vec()), labels.map(|labels| labels.to_vec()));
    either(begin(&request, x.to_vec(), y, labels, &dimensions))
}

fn begin(
    request: &str,
    x: Vec<f32>,
    y: Option<Vec<f32>>,
    labels: Option<Vec<u32>>,
    dimensions: &[u32],
) -> Result<NativeJob, Failure> {
    let request: InformationRequest = from_json("request", request)?;
    let dimension = |place: usize| dimensions.get(place).map_or(0, |&count| count as usize);
    let dimensions = [dimension(0), dimension(1)];
    NativeJob::start("amdim-information", move |cancel| {
        let variables = Variables {
            x: Samples { values: &x, dimensions: dimensions[0] },
            y: y.as_deref().map(|values| Samples { values, dimensions: dimensions[1] }),
            labels: labels.as_deref(),
        };
        json(&information(&request, &variables, cancel)?)
    })
}
