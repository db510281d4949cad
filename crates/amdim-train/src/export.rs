//! The encoder in the formats of other programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use amdim_core::checkpoint::{Checkpoint, FORMAT_VERSION, Header, Stored, write_aside_with};
use amdim_core::encoder::{EncoderConfig, Scale};
use amdim_core::model::{Model, ModelConfig, classifier_state};
use amdim_core::nn::Classifiers;
use amdim_core::{Error as CoreError, tensors};
use amdim_data::augment::Views;
use amdim_files::onnx::Export;
use amdim_files::pth;
use amdim_files::pth::reference::{Cursor, Hyperparameters, checkpoint_pickle};
use amdim_files::tensor::Tensor;
use serde::Serialize;

use crate::config::{ExportFormat, ExportRequest};
use crate::model::TrainedModel;
use crate::record::VERSION;
use crate::{Result, RunError};

/// Hidden units of the MLP in the authors' `Evaluator`, which has no argument for them.
const REFERENCE_HIDDEN_UNITS: usize = 1024;
/// Channels of a picture in the authors' `Model`, which has no argument for them.
const REFERENCE_CHANNELS: usize = 3;
/// Classes of the untrained classifiers that a model without any gets in an authors' checkpoint.
const STAND_IN_CLASSES: usize = 2;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// The files: the one asked for first.
    pub files: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
}

/// Writes the encoder; every file aside, then renamed.
///
/// # Errors
/// `AMDIM_INVALID_ARGUMENT` for a bad request, normalisation with views whose pictures need more than that, a model that the format can't hold, and a model whose run is not at its
/// end unless the request allows it; `AMDIM_IO`.
pub fn export(model: &TrainedModel, request: &ExportRequest) -> Result<Exported> {
    request.validate()?;
    let done = model.share_done();
    if done < 1.0 && !request.unfinished {
        return Err(RunError::argument(
            "model",
            "one whose run came to its end; resume the run, or allow an unfinished one (unfinished)",
            format!("one at {:.1} % of its run", 100.0 * done),
        ));
    }
    let views = model.record.config.augment.views;
    if request.normalise && !matches!(views, Views::Augmented | Views::Patches) {
        let expected =
            "false for an encoder of lightness and colour or of halves: only embed makes its input";
        return Err(RunError::argument("normalise", expected, true));
    }
    let path = &request.path;
    let mut files = vec![path.clone()];
    match request.format {
        ExportFormat::Onnx => files.extend(write_onnx(model, request)?),
        ExportFormat::Pth => write_pth(model, path)?,
        ExportFormat::Safetensors => write_safetensors(model, path)?,
    }
    let mut bytes = 0;
    for path in &files {
        let metadata = path.metadata().map_err(|source| RunError::Io { path: path.clone(), source })?;
        bytes += metadata.len();
    }
    Ok(Exported { files, bytes })
}

/// Writes the graph; returns the file of weights beside it, where the model is too large for one.
fn write_onnx(model: &TrainedModel, request: &ExportRequest) -> Result<Option<PathBuf>> {
    let TrainedModel { model: Model { parameters, running, .. }, record, .. } = model;
    let encoder = model.model.encoder();
    let (mut parameters, mut running) = (tensors::to_vec(parameters)?, tensors::to_vec(running)?);
    parameters.truncate(encoder.parameter_len());
    running.truncate(encoder.buffer_len());
    let names: Vec<String> = request.layers.iter().map(ToString::to_string).collect();
    let outputs: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(places(model, request)?).collect();
    let augment = &record.config.augment;
    let single = |values: &[f64]| -> Vec<f32> { values.iter().map(|&value| value as f32).collect() };
    let (mean, std) = (single(&augment.mean), single(&augment.std));
    let config = serde_json::to_string(&record.config).map_err(RunError::internal)?;
    let input = if request.normalise { "pixels in 0..1" } else { "normalised pixels" };
    let export = Export {
        network: encoder,
        parameters: &parameters,
        running: &running,
        outputs: &outputs,
        normalisation: request.normalise.then_some((&mean[..], &std[..])),
        version: VERSION,
        metadata: &[("amdim.config", config), ("amdim.input", input.into())],
    };
    let path = &request.path;
    if !export.needs_file_beside() {
        write_aside_with(path, |file| Ok(export.write(file)?))?;
        return Ok(None);
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".data");
    let beside = path.with_file_name(&name);
    // The weights get their name first, so that there is never a graph without them.
    write_aside_with(path, |graph| {
        let write = |weights: &mut std::fs::File| {
            Ok(export.write_with_file_beside(graph, &name.to_string_lossy(), weights)?)
        };
        write_aside_with(&beside, write).map_err(|error| match error {
            CoreError::Io { source, .. } => source,
            other => std::io::Error::other(other),
        })
    })?;
    Ok(Some(beside))
}

/// Places of the maps asked for among the encoder's outputs.
fn places(model: &TrainedModel, request: &ExportRequest) -> Result<Vec<usize>> {
    let place = |layer: &Scale| Ok(layer.place("layers", model.model.scales())?);
    request.layers.iter().map(place).collect()
}

/// Writes a checkpoint that the authors' code loads, strictly.
///
/// Their `Model` always has classifiers: a model without gets untrained ones.
fn write_pth(model: &TrainedModel, path: &Path) -> Result<()> {
    let ModelConfig { encoder, classifiers: config, .. } = model.model.config();
    let EncoderConfig::Amdim(encoder) = encoder else {
        return Err(RunError::argument("format", "onnx or safetensors for a residual network", "pth"));
    };
    if encoder.input_channels != REFERENCE_CHANNELS {
        let expected = format!("{REFERENCE_CHANNELS}, which is all that the authors' Model takes");
        return Err(RunError::argument("encoder.inputChannels", expected, encoder.input_channels));
    }
    let stand_in;
    let classifiers = if let Some(classifiers) = &model.model.classifiers {
        classifiers
    } else {
        let config =
            amdim_core::nn::ClassifierConfig { hidden_units: REFERENCE_HIDDEN_UNITS, ..config.clone() };
        let (dtype, device) = (candle_core::DType::F32, candle_core::Device::Cpu);
        stand_in = Classifiers::new(config, encoder.embedding_dim, STAND_IN_CLASSES, 0, dtype, &device)?;
        &stand_in
    };
    let hidden = classifiers.config().hidden_units;
    if hidden != REFERENCE_HIDDEN_UNITS {
        let expected = format!("{REFERENCE_HIDDEN_UNITS}, which is all that the authors' Model takes");
        return Err(RunError::argument("classifiers.hiddenUnits", expected, hidden));
    }
    let hyperparameters = Hyperparameters {
        ndf: encoder.base_width,
        n_rkhs: encoder.embedding_dim,
        n_depth: encoder.block_depth,
        encoder_size: encoder.encoder_size,
        n_classes: classifiers.classes(),
        // The original always clips; a file that leaves the clip out means 20 there, which no feature depends on.
        tclip: model.record.config.objective.score_clip,
        use_bn: Some(encoder.batch_norm),
    };
    let cursor =
        Cursor { info_epoch: model.progress.epoch, info_step: model.progress.update, ..Cursor::default() };
    let mut state = model.model.encoder_state()?;
    state.append(&mut classifier_state(classifiers)?);
    let state: BTreeMap<String, Tensor> =
        state.into_iter().map(|(name, stored)| (name, tensor(stored))).collect();
    let (pickle, storages) = checkpoint_pickle(&hyperparameters, cursor, state);
    Ok(write_aside_with(path, |file| Ok(pth::write(file, &pickle, &storages)?))?)
}

fn tensor(stored: Stored) -> Tensor {
    match stored {
        Stored::Float { shape, values } => Tensor::from_f32(shape, &values),
        Stored::Integer { shape, values } => Tensor::from_i64(shape, &values),
    }
}

/// Writes the encoder alone, as a model file: any reader of safetensors opens it, and so does this library.
fn write_safetensors(model: &TrainedModel, path: &Path) -> Result<()> {
    let header = Header {
        format_version: FORMAT_VERSION,
        model: ModelConfig { classes: 0, ..model.model.config().clone() },
        classes: vec![],
        progress: model.progress,
        optimizer_steps: BTreeMap::new(),
        run: model.record.to_value()?,
    };
    Ok(Checkpoint { header, tensors: model.model.encoder_state()? }.write(path)?)
}
