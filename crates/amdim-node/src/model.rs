//! A model held by the addon.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amdim_data::Dataset;
use amdim_train::classify::classify as run_classification;
use amdim_train::config::{AmdimConfig, ClassifyRequest, EmbedRequest, ExportRequest, from_json};
use amdim_train::embed::{Embedding, embed as run_embedding};
use amdim_train::export::export as run_export;
use amdim_train::model::{NamedTensor, TrainedModel};
use amdim_train::place::placement;
use amdim_train::{Result, RunError, reference};
use napi::bindgen_prelude::{Float32Array, Null, Object};
use napi::{Either, Env};
use napi_derive::napi;

use crate::callback::{Callback, Listener};
use crate::dataset::NativeDataset;
use crate::embedding::NativeEmbedding;
use crate::failure::{Failure, either, json};
use crate::job::{Job, failed, promise};

/// A model that several jobs may share; they use it one after another.
pub(crate) type SharedModel = Arc<Mutex<TrainedModel>>;

/// A model.
#[napi]
pub struct NativeModel {
    model: Option<SharedModel>,
    /// Made once, so that asking for it never waits for a job that uses the model.
    info: String,
    description: String,
}

/// Every f32 tensor of a model.
#[napi(object, object_from_js = false)]
pub struct TensorsResult {
    pub tensors: Vec<TensorResult>,
}

/// A tensor with its values.
#[napi(object, object_from_js = false)]
pub struct TensorResult {
    pub name: String,
    pub shape: Vec<u32>,
    /// Row-major.
    pub data: Float32Array,
}

impl From<Vec<NamedTensor>> for TensorsResult {
    fn from(tensors: Vec<NamedTensor>) -> Self {
        let result = |NamedTensor { name, shape, values }| TensorResult {
            name,
            shape: shape.iter().map(|&length| length as u32).collect(),
            data: Float32Array::new(values),
        };
        Self { tensors: tensors.into_iter().map(result).collect() }
    }
}

/// The model, whatever became of the job before: jobs leave it as it was.
pub(crate) fn lock(model: &SharedModel) -> MutexGuard<'_, TrainedModel> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NativeModel {
    fn new(model: TrainedModel) -> Result<Self> {
        let info = json(&model.info()?)?;
        let description = json(&model.describe())?;
        Ok(Self { model: Some(Arc::new(Mutex::new(model))), info, description })
    }

    /// The model, unless it was disposed.
    pub(crate) fn shared(&self) -> std::result::Result<SharedModel, Failure> {
        self.model.clone().ok_or_else(|| Failure::disposed("model"))
    }
}

#[napi]
impl NativeModel {
    #[napi(ts_return_type = "Promise<NativeModel | Failure>")]
    pub fn create(
        env: &Env,
        config_json: String,
        seed: i64,
        device: String,
        executor: String,
        precision: String,
        threads: u32,
    ) -> napi::Result<Object<'_>> {
        promise::<Self, Self>(env, "amdim-create", move || {
            let config: AmdimConfig = from_json("config", &config_json)?;
            let seed = u64::try_from(seed).map_err(|_| RunError::argument("seed", "0 or more", seed))?;
            Self::new(TrainedModel::create(config, seed, place(&device, &executor, &precision, threads)?)?)
        })
    }

    #[napi(ts_return_type = "Promise<NativeModel | Failure>")]
    pub fn load(
        env: &Env,
        path: String,
        device: String,
        executor: String,
        precision: String,
        threads: u32,
    ) -> napi::Result<Object<'_>> {
        promise::<Self, Self>(env, "amdim-load", move || {
            let place = place(&device, &executor, &precision, threads)?;
            Self::new(TrainedModel::load(&PathBuf::from(path), place)?)
        })
    }

    #[napi(ts_return_type = "Promise<NativeModel | Failure>")]
    pub fn import_reference(
        env: &Env,
        path: String,
        config_json: String,
        classes: Vec<String>,
        device: String,
        executor: String,
        precision: String,
        threads: u32,
    ) -> napi::Result<Object<'_>> {
        promise::<Self, Self>(env, "amdim-import", move || {
            let config: AmdimConfig = from_json("config", &config_json)?;
            let place = place(&device, &executor, &precision, threads)?;
            Self::new(reference::import(&PathBuf::from(path), config, classes, place)?)
        })
    }

    #[napi]
    pub fn info(&self) -> String {
        self.info.clone()
    }

    #[napi]
    pub fn describe(&self) -> String {
        self.description.clone()
    }

    #[napi(ts_return_type = "Promise<TensorsResult | Failure>")]
    pub fn tensors<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        match self.shared() {
            Ok(model) => promise::<Vec<NamedTensor>, TensorsResult>(env, "amdim-tensors", move || {
                lock(&model).tensors()
            }),
            Err(failure) => failed::<TensorsResult>(env, failure),
        }
    }

    #[napi(ts_return_type = "Promise<null | Failure>")]
    pub fn save<'env>(&self, env: &'env Env, path: String) -> napi::Result<Object<'env>> {
        match self.shared() {
            Ok(model) => promise::<Null, Null>(env, "amdim-save", move || {
                lock(&model).save(&PathBuf::from(path))?;
                Ok(Null)
            }),
            Err(failure) => failed::<Null>(env, failure),
        }
    }

    #[napi(ts_return_type = "Promise<string | Failure>")]
    pub fn export<'env>(&self, env: &'env Env, request_json: String) -> napi::Result<Object<'env>> {
        match self.shared() {
            Ok(model) => promise::<String, String>(env, "amdim-export", move || {
                let request: ExportRequest = from_json("request", &request_json)?;
                json(&run_export(&lock(&model), &request)?)
            }),
            Err(failure) => failed::<String>(env, failure),
        }
    }

    #[napi(ts_args_type = "dataset: NativeDataset, requestJson: string, \
                           onProgress: ((done: number) => void) | null")]
    pub fn embed(
        &self,
        dataset: &NativeDataset,
        request_json: String,
        on_progress: Option<Listener<u32>>,
    ) -> Either<NativeEmbedding, Failure> {
        either(self.begin_embedding(dataset, &request_json, on_progress))
    }

    #[napi(ts_args_type = "dataset: NativeDataset, requestJson: string, \
                           onProgress: ((done: number) => void) | null")]
    pub fn classify(
        &self,
        dataset: &NativeDataset,
        request_json: String,
        on_progress: Option<Listener<u32>>,
    ) -> Either<NativeEmbedding, Failure> {
        either(self.begin_classification(dataset, &request_json, on_progress))
    }

    fn begin_embedding(
        &self,
        dataset: &NativeDataset,
        request_json: &str,
        on_progress: Option<Listener<u32>>,
    ) -> std::result::Result<NativeEmbedding, Failure> {
        let request: EmbedRequest = from_json("request", request_json)?;
        self.begin("amdim-embed", dataset, on_progress, move |model, pictures, tell, cancel| {
            run_embedding(model, pictures, &request, tell, cancel)
        })
    }

    fn begin_classification(
        &self,
        dataset: &NativeDataset,
        request_json: &str,
        on_progress: Option<Listener<u32>>,
    ) -> std::result::Result<NativeEmbedding, Failure> {
        let request: ClassifyRequest = from_json("request", request_json)?;
        self.begin("amdim-classify", dataset, on_progress, move |model, pictures, tell, cancel| {
            run_classification(model, pictures, &request, tell, cancel)
        })
    }

    /// Starts work on the pictures of a data set, one value or map for each.
    fn begin(
        &self,
        name: &str,
        dataset: &NativeDataset,
        on_progress: Option<Listener<u32>>,
        work: impl FnOnce(
            &mut TrainedModel,
            &dyn Dataset,
            &mut (dyn FnMut(usize) + Send),
            &AtomicBool,
        ) -> Result<Embedding>
        + Send
        + 'static,
    ) -> std::result::Result<NativeEmbedding, Failure> {
        let model = self.shared()?;
        let pictures = dataset.pictures()?;
        let mut listener = on_progress.map(Callback::new);
        let job = Job::start(name, move |cancel| {
            let mut tell = |done: usize| {
                if let Some(listener) = &mut listener {
                    listener.tell(done as u32);
                }
            };
            let result = work(&mut lock(&model), pictures.dataset.as_ref(), &mut tell, cancel);
            if let Some(listener) = listener {
                listener.wait();
            }
            result
        })?;
        Ok(NativeEmbedding { job })
    }

    #[napi]
    pub fn dispose(&mut self) {
        self.model = None;
    }
}

fn place(
    device: &str,
    executor: &str,
    precision: &str,
    threads: u32,
) -> Result<amdim_train::place::Placement> {
    let executor = from_json("executor", &json(&executor)?)?;
    let precision = from_json("precision", &json(&precision)?)?;
    placement(device, executor, precision, threads as usize)
}
