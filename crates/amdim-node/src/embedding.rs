//! Features of pictures being computed.

use amdim_train::embed::Embedding;
use napi::Env;
use napi::bindgen_prelude::{Float32Array, Int32Array, Object};
use napi_derive::napi;

use crate::failure::json;
use crate::job::Job;

/// Features under way.
#[napi]
pub struct NativeEmbedding {
    pub(crate) job: Job<Embedding, EmbeddingResult>,
}

/// Features of pictures, in their order.
#[napi(object, object_from_js = false)]
pub struct EmbeddingResult {
    /// `[pictures, embedding, side, side]`, row-major.
    pub data: Float32Array,
    /// The shape of `data`.
    pub shape: Vec<u32>,
    /// `[pictures]`, -1 for none.
    pub labels: Int32Array,
    /// `[pictures]`.
    pub names: Vec<String>,
    /// JSON list of pictures that were left out.
    pub skipped: String,
}

impl From<Embedding> for EmbeddingResult {
    fn from(embedding: Embedding) -> Self {
        Self {
            data: Float32Array::new(embedding.data),
            shape: embedding.shape.iter().map(|&length| length as u32).collect(),
            labels: Int32Array::new(embedding.labels),
            names: embedding.names,
            // A list of texts always has a JSON form.
            skipped: json(&embedding.skipped).unwrap_or_default(),
        }
    }
}

#[napi]
impl NativeEmbedding {
    #[napi]
    pub fn cancel(&self) {
        self.job.cancel();
    }

    #[napi(ts_return_type = "Promise<EmbeddingResult | Failure>")]
    pub fn finished<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.job.finished(env)
    }
}
