//! Nearest neighbours among features.

use amdim_train::search::{Neighbors, search_neighbours as run_search};
use napi::Env;
use napi::bindgen_prelude::{Float32Array, Object, Uint32Array};
use napi_derive::napi;

use crate::job::promise;

/// The neighbours of each query, the nearest first.
#[napi(object, object_from_js = false)]
pub struct NeighboursResult {
    /// `[queries, k]`, rows of the base.
    pub indices: Uint32Array,
    /// `[queries, k]`, cosine similarities.
    pub similarities: Float32Array,
}

impl From<Neighbors> for NeighboursResult {
    fn from(found: Neighbors) -> Self {
        Self { indices: Uint32Array::new(found.indices), similarities: Float32Array::new(found.similarities) }
    }
}

#[napi(ts_return_type = "Promise<NeighboursResult | Failure>")]
pub fn search_neighbours(
    env: &Env,
    queries: Float32Array,
    base: Float32Array,
    dim: u32,
    k: u32,
) -> napi::Result<Object<'_>> {
    // Copied here, on JavaScript's thread, so that the program may go on using its arrays.
    let (queries, base) = (queries.to_vec(), base.to_vec());
    promise::<Neighbors, NeighboursResult>(env, "amdim-search", move || {
        run_search(&queries, &base, dim as usize, k as usize)
    })
}
