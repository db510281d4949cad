//! The request of an export.

use std::path::PathBuf;

use amdim_core::encoder::Scale;
use serde::{Deserialize, Serialize};

use crate::{Result, RunError};

/// What an encoder is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExportFormat {
    /// A graph with its weights, for ONNX runtimes.
    Onnx,
    /// A checkpoint of the authors' code.
    Pth,
    /// The encoder's weights and configuration alone.
    Safetensors,
}

/// An encoder in the format of another program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportRequest {
    /// File to write.
    pub path: PathBuf,
    /// Its format.
    pub format: ExportFormat,
    /// Maps that an ONNX model returns, each once, at least one.
    pub layers: Vec<Scale>,
    /// Whether an ONNX model takes pictures in 0..1 and normalises them itself.
    pub normalise: bool,
    /// Whether a model whose run has not come to its end may be exported.
    pub unfinished: bool,
}

impl ExportRequest {
    /// Checks the layers.
    ///
    /// # Errors
    /// `AMDIM_INVALID_ARGUMENT`.
    pub(crate) fn validate(&self) -> Result<()> {
        let is_repeated = |(i, layer)| self.layers[..i].contains(layer);
        if self.layers.is_empty() || self.layers.iter().enumerate().any(is_repeated) {
            let actual = self.layers.iter().map(Scale::to_string).collect::<Vec<_>>().join(", ");
            return Err(RunError::argument("layers", "at least one layer, each once", actual));
        }
        Ok(())
    }
}
