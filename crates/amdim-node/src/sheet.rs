//! A sheet of augmented pictures, being drawn.

use amdim_train::config::from_json;
use amdim_train::sheet::{SheetRequest, draw_sheet};
use napi::bindgen_prelude::Object;
use napi::{Either, Env};
use napi_derive::napi;

use crate::dataset::NativeDataset;
use crate::failure::{Failure, either, json};
use crate::job::Job;

/// A sheet being drawn.
#[napi]
pub struct NativeSheet {
    job: Job<String, String>,
}

#[napi]
impl NativeSheet {
    #[napi]
    pub fn start(request: String, dataset: &NativeDataset) -> Either<NativeSheet, Failure> {
        either(Self::begin(&request, dataset))
    }

    fn begin(request: &str, dataset: &NativeDataset) -> Result<Self, Failure> {
        let request: SheetRequest = from_json("sheet", request)?;
        let dataset = dataset.pictures()?.dataset;
        let job = Job::start("amdim-sheet", move |cancel| json(&draw_sheet(&*dataset, request, cancel)?))?;
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
