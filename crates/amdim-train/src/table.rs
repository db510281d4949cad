//! Features with names and labels as a Parquet file.

use std::path::Path;

use amdim_core::checkpoint::write_aside_with;
use amdim_files::table::{self, Features};

use crate::{Result, RunError};

/// Writes features aside and renames the file.
///
/// # Shapes
/// - values: `[pictures, ...shape]`, row-major; labels, names: `[pictures]`, negative labels for none
///
/// # Errors
/// `AMDIM_INVALID_ARGUMENT` for lengths that don't fit each other; `AMDIM_IO`.
pub fn write_table(
    path: &Path,
    values: &[f32],
    shape: &[usize],
    labels: &[i32],
    names: &[String],
) -> Result<()> {
    let features = Features { values, shape, names, labels };
    features.check().map_err(RunError::of_file(path))?;
    Ok(write_aside_with(path, |file| Ok(table::write(&features, file)?))?)
}
