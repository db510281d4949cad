//! Measures of features, and what needs features or pictures alone: comparisons, duplicates.

use amdim_train::compare::compare;
use amdim_train::config::{CompareRequest, DuplicatesRequest, MeasureRequest, from_json};
use amdim_train::duplicates::duplicates;
use amdim_train::measure::measure;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi::{Either, Env};
use napi_derive::napi;

use crate::callback::Listener;
use crate::dataset::NativeDataset;
use crate::failure::{Failure, either, json};
use crate::job::{NativeJob, promise};
use crate::model::{NativeModel, lock};

#[napi(ts_args_type = "model: NativeModel | null, request: string, data: NativeDataset, \
                       gallery: NativeDataset | null, onEvent: (event: string) => void")]
pub fn start_measure(
    model: Option<&NativeModel>,
    request: String,
    data: &NativeDataset,
    gallery: Option<&NativeDataset>,
    on_event: Listener<String>,
) -> Either<NativeJob, Failure> {
    either(begin_measure(model, &request, data, gallery, on_event))
}

fn begin_measure(
    model: Option<&NativeModel>,
    request: &str,
    data: &NativeDataset,
    gallery: Option<&NativeDataset>,
    on_event: Listener<String>,
) -> Result<NativeJob, Failure> {
    let model = model.map(NativeModel::shared).transpose()?;
    let request: MeasureRequest = from_json("request", request)?;
    let dataset = data.pictures()?.dataset;
    let gallery = gallery.map(|gallery| Ok::<_, Failure>(gallery.pictures()?.dataset)).transpose()?;
    NativeJob::telling("amdim-measure", on_event, move |tell, cancel| {
        let mut model = model.as_ref().map(lock);
        let model = model.as_mut().map(|model| &mut model.model);
        json(&measure(model, &request, &dataset, gallery.as_ref(), tell, cancel)?)
    })
}

#[napi(ts_args_type = "request: string, train: NativeDataset, test: NativeDataset, \
                       onEvent: (event: string) => void")]
pub fn start_duplicates(
    request: String,
    train: &NativeDataset,
    test: &NativeDataset,
    on_event: Listener<String>,
) -> Either<NativeJob, Failure> {
    either(begin_duplicates(&request, train, test, on_event))
}

fn begin_duplicates(
    request: &str,
    train: &NativeDataset,
    test: &NativeDataset,
    on_event: Listener<String>,
) -> Result<NativeJob, Failure> {
    let request: DuplicatesRequest = from_json("request", request)?;
    let (train, test) = (train.pictures()?.dataset, test.pictures()?.dataset);
    NativeJob::telling("amdim-duplicates", on_event, move |tell, cancel| {
        json(&duplicates(&request, train.as_ref(), test.as_ref(), tell, cancel)?)
    })
}

/// Outcomes are 1 for a picture classified rightly, else 0.
#[napi(ts_return_type = "Promise<string | Failure>")]
pub fn compare_outcomes(
    env: &Env,
    request: String,
    first: Uint8Array,
    second: Uint8Array,
) -> napi::Result<Object<'_>> {
    // Copied here, on JavaScript's thread, so that the program may go on using its arrays.
    let outcomes = |array: Uint8Array| -> Vec<bool> { array.iter().map(|&right| right != 0).collect() };
    let (first, second) = (outcomes(first), outcomes(second));
    promise::<String, String>(env, "amdim-compare", move || {
        let request: CompareRequest = from_json("request", &request)?;
        json(&compare(&request, &first, &second)?)
    })
}
