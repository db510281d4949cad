//! A prediction of what a run takes, under way.

use amdim_train::config::{PlanRequest, from_json};
use amdim_train::plan::plan as run_plan;
use napi::bindgen_prelude::Object;
use napi::{Either, Env};
use napi_derive::napi;

use crate::failure::{Failure, either, json};
use crate::job::Job;

/// A prediction under way.
#[napi]
pub struct NativePlan {
    job: Job<String, String>,
}

#[napi]
impl NativePlan {
    #[napi]
    pub fn start(request: String) -> Either<NativePlan, Failure> {
        either(Self::begin(&request))
    }

    fn begin(request: &str) -> Result<Self, Failure> {
        let request: PlanRequest = from_json("plan", request)?;
        let job = Job::start("amdim-plan", move |cancel| json(&run_plan(&request, cancel)?))?;
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
