//! Models from the authors' checkpoints (`amdim_cpt.pth` of Philip-Bachman/amdim-public).

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use amdim_core::checkpoint::{Progress, Stored};
use amdim_core::encoder::{AmdimEncoder, EncoderConfig};
use amdim_core::model::{CLASSIFIER_PREFIX, ENCODER_PREFIX, Model, Placement};
use amdim_files::pth::PthFile;
use amdim_files::pth::reference::{Hyperparameters, ReferenceCheckpoint};
use amdim_files::tensor::Tensor;
use serde::Serialize;

use crate::config::AmdimConfig;
use crate::model::TrainedModel;
use crate::place::on_threads;
use crate::record::RunRecord;
use crate::{Result, RunError};

/// The MLP's first weights, `[hidden units, embedding]`.
const HIDDEN_WEIGHT: &str = "evaluator.block_glb_mlp.block_forward.2.weight";

/// What an authors' checkpoint says of its model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceInfo {
    /// Side of the pictures in pixels (`encoder_size`).
    pub encoder_size: usize,
    /// Width of the first layer (`ndf`).
    pub base_width: usize,
    /// Dimensions of the embeddings (`n_rkhs`).
    pub embedding_dim: usize,
    /// Residual layers a block (`n_depth`).
    pub block_depth: usize,
    /// Whether the optional batch norms are applied (`use_bn`); none where the file doesn't say.
    pub batch_norm: Option<bool>,
    /// Soft clip of the scores (`tclip`); none where the file doesn't say.
    pub score_clip: Option<f64>,
    /// Classes of its classifiers (`n_classes`); 0 where the file has no classifiers.
    pub classes: usize,
    /// Hidden units of the MLP; none where the file has no classifiers.
    pub hidden_units: Option<usize>,
}

/// Reads what a checkpoint says, without its numbers.
///
/// # Errors
/// `AMDIM_IO` if it can't be read, `AMDIM_CHECKPOINT` if it is no checkpoint of the authors' code, is cut off, or holds
/// a pickle that does more than describe tensors.
pub fn inspect(path: &Path) -> Result<ReferenceInfo> {
    Ok(info(&open(path)?))
}

/// A model from a checkpoint.
///
/// The encoder of `config` must be that of the file; everything else that the file doesn't say is `config`'s.
/// `classes` are names for the classes, as many as the file has. The numbers become f32. Its position is the file's
/// number of epochs and updates; pairs and seconds are not known and 0.
///
/// # Errors
/// As [`inspect`]; `AMDIM_INVALID_ARGUMENT` for a configuration or names that don't fit the file, `AMDIM_SHAPE` for
/// tensors that don't fit the file's own description.
pub fn import(
    path: &Path,
    config: AmdimConfig,
    classes: Vec<String>,
    placement: Placement,
) -> Result<TrainedModel> {
    let checkpoint = open(path)?;
    let info = info(&checkpoint);
    check_config(&info, &checkpoint.hyperparameters, &config)?;
    config.validate()?;
    let takes_classifiers = config.classifiers.enabled && info.classes > 0;
    let expected = if takes_classifiers { info.classes } else { 0 };
    if classes.len() != expected {
        return Err(RunError::argument("classes", format!("{expected} names"), classes.len()));
    }
    check_names(path, &checkpoint, &config, takes_classifiers)?;
    let cursor = checkpoint.cursor;
    let tensors = checkpoint.read().map_err(RunError::of_file(path))?;
    let state = tensors
        .into_iter()
        .map(|(name, tensor)| Ok((name.clone(), stored(path, &name, &tensor)?)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    let model = on_threads(placement.threads, || {
        Ok(Model::from_state(config.model(classes.len()), &state, placement)?)
    })?;
    let progress = Progress { update: cursor.info_step, epoch: cursor.info_epoch, ..Progress::default() };
    Ok(TrainedModel { model, record: RunRecord::untrained(config), classes, progress })
}

fn open(path: &Path) -> Result<ReferenceCheckpoint> {
    PthFile::open(path).and_then(ReferenceCheckpoint::find).map_err(RunError::of_file(path))
}

fn info(checkpoint: &ReferenceCheckpoint) -> ReferenceInfo {
    let Hyperparameters { ndf, n_rkhs, n_depth, encoder_size, n_classes, tclip, use_bn } =
        checkpoint.hyperparameters;
    let hidden_units = checkpoint.shape(HIDDEN_WEIGHT).and_then(|shape| shape.first().copied());
    ReferenceInfo {
        encoder_size,
        base_width: ndf,
        embedding_dim: n_rkhs,
        block_depth: n_depth,
        batch_norm: use_bn,
        score_clip: tclip,
        classes: if hidden_units.is_some() { n_classes } else { 0 },
        hidden_units,
    }
}

/// Checks that the encoder of a configuration is that of the file.
fn check_config(info: &ReferenceInfo, found: &Hyperparameters, config: &AmdimConfig) -> Result<()> {
    let EncoderConfig::Amdim(encoder) = &config.encoder else {
        return Err(RunError::argument("encoder.kind", "amdim, as the file has it", "another"));
    };
    let AmdimEncoder { encoder_size, input_channels, base_width, embedding_dim, block_depth, batch_norm } =
        *encoder;
    for (name, expected, actual) in [
        ("encoder.encoderSize", info.encoder_size, encoder_size),
        ("encoder.inputChannels", 3, input_channels),
        ("encoder.baseWidth", info.base_width, base_width),
        ("encoder.embeddingDim", info.embedding_dim, embedding_dim),
        ("encoder.blockDepth", info.block_depth, block_depth),
    ] {
        if expected != actual {
            return Err(RunError::argument(name, format!("{expected}, as the file has it"), actual));
        }
    }
    match found.use_bn {
        Some(found) if found != batch_norm => {
            Err(RunError::argument("encoder.batchNorm", format!("{found}, as the file has it"), batch_norm))
        }
        _ => Ok(()),
    }
}

/// Checks names and shapes before any number is read, and that nothing is left over.
fn check_names(
    path: &Path,
    checkpoint: &ReferenceCheckpoint,
    config: &AmdimConfig,
    takes_classifiers: bool,
) -> Result<()> {
    let network = config.encoder.describe()?;
    let parameters =
        network.parameters.iter().map(|p| (format!("{ENCODER_PREFIX}{}", p.name), p.shape.clone()));
    let buffers = network.buffers.iter().flat_map(|buffer| {
        let name = format!("{ENCODER_PREFIX}{}", buffer.name);
        let counter =
            name.strip_suffix("running_mean").map(|norm| (format!("{norm}num_batches_tracked"), vec![]));
        std::iter::once((name, vec![buffer.len])).chain(counter)
    });
    let expected: HashMap<String, Vec<usize>> = parameters.chain(buffers).collect();
    let mut found = 0;
    for name in checkpoint.names() {
        if name.starts_with(CLASSIFIER_PREFIX) {
            continue;
        }
        let shape = checkpoint.shape(name).unwrap_or_default();
        match expected.get(name) {
            Some(expected) if expected == shape => found += 1,
            Some(expected) => return Err(amdim_core::Error::shape(name, expected, shape).into()),
            None => {
                let problem =
                    format!("its tensor {name} has no place in the encoder that its hyperparams describe");
                return Err(RunError::Checkpoint { path: path.into(), problem });
            }
        }
    }
    if found < expected.len() {
        let is_missing = |name: &&String| checkpoint.shape(name).is_none();
        let missing = expected.keys().filter(is_missing).min().map_or("", String::as_str);
        let problem =
            format!("{} tensors of its encoder are missing, {missing} for one", expected.len() - found);
        return Err(RunError::Checkpoint { path: path.into(), problem });
    }
    if takes_classifiers
        && checkpoint.shape(HIDDEN_WEIGHT).and_then(|s| s.first().copied())
            != Some(config.classifiers.hidden_units)
    {
        let actual = config.classifiers.hidden_units;
        return Err(RunError::argument("classifiers.hiddenUnits", "the number of the file", actual));
    }
    Ok(())
}

fn stored(path: &Path, name: &str, tensor: &Tensor) -> Result<Stored> {
    let shape = tensor.shape.clone();
    if let Some(values) = tensor.to_f32() {
        return Ok(Stored::float(shape, values));
    }
    let values = tensor.to_i64().ok_or_else(|| RunError::Checkpoint {
        path: path.into(),
        problem: format!("its tensor {name} has elements of a kind that is not read"),
    })?;
    Ok(Stored::Integer { shape, values })
}
