//! An evaluation under way.

use amdim_train::config::{EvaluateRequest, from_json};
use amdim_train::evaluate::{EvaluateData, EvaluateEvent, evaluate as run_evaluation};
use napi::bindgen_prelude::Object;
use napi::{Either, Env};
use napi_derive::napi;

use crate::callback::{Callback, Listener};
use crate::dataset::NativeDataset;
use crate::failure::{Failure, either, json};
use crate::job::Job;
use crate::model::{NativeModel, lock};

/// An evaluation.
#[napi]
pub struct NativeEvaluation {
    job: Job<String, String>,
}

#[napi]
impl NativeEvaluation {
    #[napi(ts_args_type = "model: NativeModel | null, request: string, train: NativeDataset, \
                           test: NativeDataset, onEvent: (event: string) => void")]
    pub fn start(
        model: Option<&NativeModel>,
        request: String,
        train: &NativeDataset,
        test: &NativeDataset,
        on_event: Listener<String>,
    ) -> Either<NativeEvaluation, Failure> {
        either(Self::begin(model, &request, train, test, on_event))
    }

    fn begin(
        model: Option<&NativeModel>,
        request: &str,
        train: &NativeDataset,
        test: &NativeDataset,
        on_event: Listener<String>,
    ) -> Result<Self, Failure> {
        let model = model.map(NativeModel::shared).transpose()?;
        let request: EvaluateRequest = from_json("request", request)?;
        let data = EvaluateData { train: train.pictures()?.dataset, test: test.pictures()?.dataset };
        let mut events = Callback::new(on_event);
        let job = Job::start("amdim-evaluate", move |cancel| {
            let mut tell = |event: &EvaluateEvent| {
                // An event of plain numbers and texts always has a JSON form.
                if let Ok(text) = json(event) {
                    events.tell(text);
                }
            };
            let mut model = model.as_ref().map(lock);
            let model = model.as_mut().map(|model| &mut model.model);
            let result = run_evaluation(model, &request, &data, &mut tell, cancel);
            events.wait();
            json(&result?)
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
