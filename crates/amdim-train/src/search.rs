//! Nearest neighbours among features.

use amdim_eval::{Features, never, search};

pub use amdim_eval::Neighbors;

use crate::Result;
use crate::place::on_threads;

/// The `k` rows of `base` of highest cosine similarity to each query, exactly; see [`amdim_eval::search`].
///
/// # Shapes
/// - queries: `[queries, dim]`, base: `[rows, dim]`
///
/// # Errors
/// `AMDIM_SHAPE` for incomplete rows, `AMDIM_NON_FINITE` for NaN, `AMDIM_INVALID_ARGUMENT` for a `k` out of range.
pub fn search_neighbours(queries: &[f32], base: &[f32], dim: usize, k: usize) -> Result<Neighbors> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    on_threads(threads, || {
        let queries = Features::new("queries", queries, dim)?;
        let base = Features::new("base", base, dim)?;
        Ok(search(queries, base, k, never())?)
    })
}
