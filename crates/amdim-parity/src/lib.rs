//! Compares the shipped training step with reference numbers: any folder with a `manifest.json` and its safetensors.
//!
//! A folder whose manifest has `cases` holds bounds on given features, computed by the public code of Deep InfoMax.
//!
//! Every tensor that the manifest lists and that is no input is an expectation, and so is every augmentation case of
//! the Pillow back-end. An expectation that is missing from its file, or that nothing here computes, fails. The
//! tolerance is the manifest's `suggested_atol`, or 1e-5 of the largest magnitude where it has none.

mod augment_case;
mod bound_case;
mod compare;
mod loss_case;
mod manifest;
mod model_case;

use std::collections::BTreeSet;
use std::path::Path;

use amdim_core::executor::ExecutorKind;
use candle_core::{DType, Device};

pub use compare::{Group, Report};
pub use manifest::ParityError;

use manifest::{Entry, Manifest, TensorFile};

/// Where the compared code runs.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Device of all tensors.
    pub device: Device,
    /// f32 as shipped, or f64; bounds on given features are compared in f64.
    pub dtype: DType,
    /// Executor of the encoder.
    pub executor: ExecutorKind,
    /// Threads of the `cpu` executor.
    pub threads: usize,
}

/// Compares everything that the folder's manifest lists.
///
/// # Errors
/// [`ParityError`] if the manifest or a file can't be read at all; wrong, missing and unknown tensors are failures in
/// the report.
pub fn run(folder: &Path, setup: &Setup) -> Result<Report, ParityError> {
    let manifest = Manifest::read(folder)?;
    let mut report = Report::default();
    let mut known = BTreeSet::new();
    for entry in &manifest.model_and_loss {
        known.insert(entry.file.clone());
        match TensorFile::read(folder, &entry.file) {
            Ok(file) => report.groups.extend(run_entry(entry, &file, setup)),
            Err(error) => report.fail(&entry.file, &error.to_string()),
        }
    }
    if let Some(augmentation) = &manifest.augmentation {
        known.insert(augmentation.file.clone());
        match TensorFile::read(folder, &augmentation.file) {
            Ok(file) => augment_case::run(augmentation, &file, &mut report),
            Err(error) => report.fail(&augmentation.file, &error.to_string()),
        }
    }
    if !manifest.cases.is_empty() {
        bound_case::run(folder, &manifest.cases, &mut known, &mut report)?;
    }
    for file in manifest::tensor_files(folder)? {
        if !known.contains(&file) {
            report.fail(&file, "a file that the manifest does not list");
        }
    }
    Ok(report)
}

fn run_entry(entry: &Entry, file: &TensorFile, setup: &Setup) -> Vec<Group> {
    let mut comparison = compare::Comparison::new(entry, file);
    let result = match entry.kind.as_str() {
        "model" => model_case::run(entry, file, setup, &mut comparison),
        "loss" => loss_case::run(entry, file, setup, &mut comparison),
        other => {
            Err(ParityError::Manifest(format!("{}: kind {other:?}; model or loss expected", entry.file)))
        }
    };
    if let Err(error) = result {
        comparison.fail("run", &error.to_string());
    }
    comparison.finish()
}
