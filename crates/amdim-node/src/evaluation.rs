//! Heads on frozen features.

use amdim_train::config::{EvaluateRequest, from_json};
use amdim_train::evaluate::{EvaluateData, evaluate as run_evaluation};
use napi::Either;
use napi_derive::napi;

use crate::callback::Listener;
use crate::dataset::NativeDataset;
use crate::failure::{Failure, either, json};
use crate::job::NativeJob;
use crate::model::{NativeModel, lock};

#[napi(ts_args_type = "model: NativeModel | null, request: string, train: NativeDataset, \
                       test: NativeDataset, onEvent: (event: string) => void")]
pub fn start_evaluation(
    model: Option<&NativeModel>,
    request: String,
    train: &NativeDataset,
    test: &NativeDataset,
    on_event: Listener<String>,
) -> Either<NativeJob, Failure> {
    either(begin(model, &request, train, test, on_event))
}

fn begin(
    model: Option<&NativeModel>,
    request: &str,
    train: &NativeDataset,
    test: &NativeDataset,
    on_event: Listener<String>,
) -> Result<NativeJob, Failure> {
    let model = model.map(NativeModel::shared).transpose()?;
    let request: EvaluateRequest = from_json("request", request)?;
    let data = EvaluateData { train: train.pictures()?.dataset, test: test.pictures()?.dataset };
    NativeJob::telling("amdim-evaluate", on_event, move |tell, cancel| {
        let mut model = model.as_ref().map(lock);
        let model = model.as_mut().map(|model| &mut model.model);
        json(&run_evaluation(model, &request, &data, tell, cancel)?)
    })
}
