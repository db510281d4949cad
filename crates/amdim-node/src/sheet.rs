//! A sheet of augmented pictures, being drawn.

use amdim_train::config::from_json;
use amdim_train::sheet::{SheetRequest, draw_sheet};
use napi::Either;
use napi_derive::napi;

use crate::dataset::NativeDataset;
use crate::failure::{Failure, either, json};
use crate::job::NativeJob;

#[napi]
pub fn start_sheet(request: String, dataset: &NativeDataset) -> Either<NativeJob, Failure> {
    either(begin(&request, dataset))
}

fn begin(request: &str, dataset: &NativeDataset) -> Result<NativeJob, Failure> {
    let request: SheetRequest = from_json("sheet", request)?;
    let dataset = dataset.pictures()?.dataset;
    NativeJob::start("amdim-sheet", move |cancel| json(&draw_sheet(&*dataset, request, cancel)?))
}
