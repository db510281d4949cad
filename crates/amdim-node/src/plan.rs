//! A prediction of what a run takes.

use amdim_train::config::{PlanRequest, from_json};
use amdim_train::plan::plan as run_plan;
use napi::Either;
use napi_derive::napi;

use crate::failure::{Failure, either, json};
use crate::job::NativeJob;

#[napi]
pub fn start_plan(request: String) -> Either<NativeJob, Failure> {
    either(begin(&request))
}

fn begin(request: &str) -> Result<NativeJob, Failure> {
    let request: PlanRequest = from_json("plan", request)?;
    NativeJob::start("amdim-plan", move |cancel| json(&run_plan(&request, cancel)?))
}
