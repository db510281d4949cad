//! Reading a folder of reference numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use thiserror::Error;

/// Why a folder can't be compared.
#[derive(Debug, Error)]
pub enum ParityError {
    /// A file can't be read.
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    /// The manifest or a file is not of the expected format.
    #[error("{0}")]
    Manifest(String),
    /// The compared code refused an input.
    #[error("{0}")]
    Core(#[from] amdim_core::Error),
    /// Candle refused an input.
    #[error("{0}")]
    Candle(#[from] candle_core::Error),
}

/// `manifest.json`; fields that only describe are not read.
#[derive(Debug, Deserialize)]
pub struct Manifest {
    #[serde(default)]
    pub model_and_loss: Vec<Entry>,
    pub augmentation: Option<Augmentation>,
    /// Bounds on given features, as one entry a case and measure.
    #[serde(default)]
    pub cases: Vec<BoundCase>,
}

/// One measure on the features of one case; its numbers are in the folder's one safetensors file.
#[derive(Debug, Deserialize)]
pub struct BoundCase {
    /// Prefix of its tensors.
    pub case: String,
    /// Name of the measure, the middle of its tensors' names.
    pub measure: String,
    /// Largest error allowed, where it is not a share of the tensor's largest magnitude.
    pub suggested_atol: Option<f64>,
}

/// One file of a model or of a loss alone.
#[derive(Debug, Deserialize)]
pub struct Entry {
    pub file: String,
    pub kind: String,
    pub config: Option<ModelSettings>,
    /// Clip of a loss file; a model's is in its `config`.
    pub tclip: Option<f64>,
    #[serde(default)]
    pub null_gradient_parameters: Vec<String>,
    /// A sentence; where it stands, few elements of parameters after steps may lie outside the tolerance.
    pub step_outliers: Option<String>,
    pub adam: Option<AdamSettings>,
    pub tensors: BTreeMap<String, TensorInfo>,
}

#[derive(Debug, Deserialize)]
pub struct ModelSettings {
    pub tclip: f64,
    pub use_bn: bool,
    pub encoder_size: usize,
    pub ndf: usize,
    pub n_rkhs: usize,
    pub n_depth: usize,
}

#[derive(Debug, Deserialize)]
pub struct AdamSettings {
    pub lr: f64,
    pub betas: [f64; 2],
    pub weight_decay: f64,
    pub eps: f64,
}

#[derive(Debug, Deserialize)]
pub struct TensorInfo {
    pub shape: Vec<usize>,
    pub suggested_atol: Option<f64>,
}

/// The augmentation cases.
#[derive(Debug, Deserialize)]
pub struct Augmentation {
    pub file: String,
    pub ops: Vec<Operation>,
}

/// One image operation.
#[derive(Debug, Deserialize)]
pub struct Operation {
    pub op: String,
    pub source: String,
    pub index: usize,
    pub params: serde_json::Value,
    pub output: String,
}

impl Manifest {
    pub fn read(folder: &Path) -> Result<Self, ParityError> {
        let path = folder.join("manifest.json");
        let text =
            fs::read_to_string(&path).map_err(|error| ParityError::Io(path.display().to_string(), error))?;
        serde_json::from_str(&text)
            .map_err(|error| ParityError::Manifest(format!("{}: {error}", path.display())))
    }
}

/// Names of the safetensors files in the folder.
pub fn tensor_files(folder: &Path) -> Result<Vec<String>, ParityError> {
    let failed = |error| ParityError::Io(folder.display().to_string(), error);
    let mut names = Vec::new();
    for item in fs::read_dir(folder).map_err(failed)? {
        let name = item.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".safetensors") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// One tensor of a file.
#[derive(Debug, Clone)]
pub struct Values {
    pub shape: Vec<usize>,
    pub data: Data,
}

/// Its values.
#[derive(Debug, Clone)]
pub enum Data {
    Float(Vec<f32>),
    Integer(Vec<i64>),
    Bytes(Vec<u8>),
}

/// A safetensors file in memory.
#[derive(Debug)]
pub struct TensorFile {
    pub tensors: BTreeMap<String, Values>,
}

impl TensorFile {
    pub fn read(folder: &Path, name: &str) -> Result<Self, ParityError> {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|error| ParityError::Io(path.display().to_string(), error))?;
        let broken = |error: safetensors::SafeTensorError| {
            ParityError::Manifest(format!("{}: {error}", path.display()))
        };
        let file = SafeTensors::deserialize(&bytes).map_err(broken)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let bytes = view.data();
            let data = match view.dtype() {
                Dtype::F32 => Data::Float(
                    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
                ),
                Dtype::I64 => Data::Integer(
                    bytes
                        .chunks_exact(8)
                        .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                        .collect(),
                ),
                Dtype::U8 => Data::Bytes(bytes.to_vec()),
                other => {
                    return Err(ParityError::Manifest(format!("{name}: {other:?}; F32, I64 or U8 expected")));
                }
            };
            tensors.insert(name.to_string(), Values { shape: view.shape().to_vec(), data });
        }
        Ok(Self { tensors })
    }

    pub fn get(&self, name: &str) -> Result<&Values, ParityError> {
        self.tensors
            .get(name)
            .ok_or_else(|| ParityError::Manifest(format!("{name}: the file has no such tensor")))
    }

    pub fn floats(&self, name: &str) -> Result<(&[usize], &[f32]), ParityError> {
        match self.get(name)? {
            Values { shape, data: Data::Float(values) } => Ok((shape, values)),
            _ => Err(ParityError::Manifest(format!("{name}: F32 expected"))),
        }
    }

    pub fn integers(&self, name: &str) -> Result<&[i64], ParityError> {
        match self.get(name)? {
            Values { data: Data::Integer(values), .. } => Ok(values),
            _ => Err(ParityError::Manifest(format!("{name}: I64 expected"))),
        }
    }
}
