//! A model with everything that belongs to it: configuration, classes, how far it was trained.

use std::collections::BTreeMap;
use std::path::Path;

use amdim_core::checkpoint::{Checkpoint, FORMAT_VERSION, Header, Progress, Stored};
use amdim_core::model::{Model, Placement};
use serde::Serialize;

use crate::config::AmdimConfig;
use crate::description::{Description, describe};
use crate::place::on_threads;
use crate::record::RunRecord;
use crate::{Result, RunError};

/// Tensors of a checkpoint that are no weights.
const OPTIMIZER_PREFIX: &str = "optimizer.";

/// A model, trained or not, ready to embed.
pub struct TrainedModel {
    /// Encoder and classifiers.
    pub model: Model,
    /// Where it comes from.
    pub record: RunRecord,
    /// Names of the classes of its classifiers; empty without.
    pub classes: Vec<String>,
    /// How far it was trained.
    pub progress: Progress,
}

/// What a model or a file of weights is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// The whole configuration.
    pub config: AmdimConfig,
    /// Parameters of the encoder, projections included.
    pub parameters: usize,
    /// Every tensor, by name.
    pub tensors: Vec<TensorInfo>,
    /// How far training went.
    pub position: PositionInfo,
    /// Names of the classes; empty without.
    pub classes: Vec<String>,
    /// Bytes of the weights, the optimiser's state not counted.
    pub size: usize,
}

/// A tensor's name and shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    /// Its name (the reference's `state_dict` names).
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
}

/// A tensor with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Its name (the reference's `state_dict` names).
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// `shape.product()` values, row-major.
    pub values: Vec<f32>,
}

/// How far training went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PositionInfo {
    /// Epoch of the next batch, from 0.
    pub epoch: u64,
    /// Updates done.
    pub update: u64,
    /// Pairs of views seen.
    pub pairs: u64,
    /// Seconds of training.
    pub seconds: f64,
}

impl TrainedModel {
    /// A new model whose weights `seed` alone fixes, without classifiers.
    ///
    /// # Errors
    /// `AMDIM_INVALID_ARGUMENT` for a bad configuration.
    pub fn create(config: AmdimConfig, seed: u64, placement: Placement) -> Result<Self> {
        config.validate()?;
        let model = on_threads(placement.threads, || Ok(Model::new(config.model(0), seed, placement)?))?;
        let progress = Progress::default();
        Ok(Self { model, record: RunRecord::untrained(config), classes: vec![], progress })
    }

    /// Reads a model file or checkpoint.
    ///
    /// # Errors
    /// `AMDIM_IO` if it can't be read, `AMDIM_CHECKPOINT` if it is truncated or not ours, `AMDIM_SHAPE` if a tensor is
    /// missing or of another shape than its configuration says.
    pub fn load(path: &Path, placement: Placement) -> Result<Self> {
        let file = Checkpoint::read(path)?;
        let record = RunRecord::of_file(&file, path)?;
        check_size(&file, path)?;
        let Checkpoint { header, tensors } = file;
        let Header { model: config, classes, progress, .. } = header;
        let model = on_threads(placement.threads, || Ok(Model::from_state(config, &tensors, placement)?))?;
        Ok(Self { model, record, classes, progress })
    }

    /// Writes weights and configuration aside and renames the file.
    ///
    /// # Errors
    /// `AMDIM_IO`; an older file of this name is left as it was.
    pub fn save(&self, path: &Path) -> Result<()> {
        Ok(self.to_file()?.write(path)?)
    }

    /// Share of its run that the model has behind it, `0..=1`; 1 for a model that is of no run of ours.
    pub fn share_done(&self) -> f64 {
        let Some(data) = &self.record.data else { return 1.0 };
        let AmdimConfig { length, batch_size, .. } = self.record.config;
        let updates_per_epoch = (data.pictures / batch_size.max(1)) as u64;
        length.share_done(self.progress.update, self.progress.seconds, updates_per_epoch.max(1))
    }

    /// What the model is.
    pub fn info(&self) -> Result<ModelInfo> {
        info(&self.to_file()?, self.record.config.clone())
    }

    /// The encoder as data.
    pub fn describe(&self) -> Description {
        describe(self.model.encoder())
    }

    /// Every f32 tensor under its name in [`ModelInfo`]; the counters of batch norms are left out.
    pub fn tensors(&self) -> Result<Vec<NamedTensor>> {
        let named = |(name, stored)| match stored {
            Stored::Float { shape, values } => Some(NamedTensor { name, shape, values }),
            Stored::Integer { .. } => None,
        };
        Ok(self.model.state()?.into_iter().filter_map(named).collect())
    }

    fn to_file(&self) -> Result<Checkpoint> {
        let header = Header {
            format_version: FORMAT_VERSION,
            model: self.model.config().clone(),
            classes: self.classes.clone(),
            progress: self.progress,
            optimizer_steps: BTreeMap::new(),
            run: self.record.to_value()?,
        };
        Ok(Checkpoint { header, tensors: self.model.state()? })
    }
}

/// What a model file or checkpoint holds, without building the model.
///
/// # Errors
/// As [`TrainedModel::load`].
pub fn inspect(path: &Path) -> Result<ModelInfo> {
    let file = Checkpoint::read(path)?;
    let record = RunRecord::of_file(&file, path)?;
    check_size(&file, path)?;
    info(&file, record.config)
}

fn info(file: &Checkpoint, config: AmdimConfig) -> Result<ModelInfo> {
    let Progress { update, epoch, pairs, seconds, .. } = file.header.progress;
    let weights = file.tensors.iter().filter(|(name, _)| !name.starts_with(OPTIMIZER_PREFIX));
    Ok(ModelInfo {
        parameters: file.header.model.describe()?.parameter_len(),
        tensors: file
            .tensors
            .iter()
            .map(|(name, stored)| TensorInfo { name: name.clone(), shape: stored.shape().to_vec() })
            .collect(),
        position: PositionInfo { epoch, update, pairs, seconds },
        classes: file.header.classes.clone(),
        size: weights.map(|(_, stored)| stored.byte_len()).sum(),
        config,
    })
}

/// Checks that a file has as many values as the encoder it describes, before memory is taken for that encoder.
fn check_size(file: &Checkpoint, path: &Path) -> Result<()> {
    let described = file.header.model.describe()?.parameter_len();
    let stored: usize = file.tensors.values().map(|stored| stored.shape().iter().product::<usize>()).sum();
    if stored >= described {
        return Ok(());
    }
    let problem = format!("its encoder has {described} parameters, but the file holds {stored} values");
    Err(RunError::Checkpoint { path: path.into(), problem })
}
