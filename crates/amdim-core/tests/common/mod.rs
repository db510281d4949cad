//! What the integration tests share.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod cases;
pub mod counting;

use amdim_core::encoder::{AmdimEncoder, EncoderConfig, Features, ResNetDepth, ResNetEncoder, Scale};
use amdim_core::executor::{ExecutorKind, Precision};
use amdim_core::loss::MixtureConfig;
use amdim_core::loss::Term;
use amdim_core::model::{MixtureShape, Model, ModelConfig, Placement};
use amdim_core::nn::ClassifierConfig;
use amdim_core::optim::AdamConfig;
use amdim_random::{Purpose, Stream};
use candle_core::{DType, Device, Tensor};

/// Scales of the authors' encoders.
pub const SCALES: [Scale; 3] = [Scale::GLOBAL, Scale::new(5), Scale::new(7)];

/// Terms of every form: from global and local vectors, to equal, finer and coarser maps and the global one.
pub const TERMS: [Term; 8] = [
    Term::new(1, 5),
    Term::new(1, 7),
    Term::new(5, 5),
    Term::new(5, 7),
    Term::new(7, 7),
    Term::new(7, 5),
    Term::new(5, 1),
    Term::new(1, 1),
];

/// Reproducible values in `-scale..scale`.
pub fn values(len: usize, scale: f64, seed: u64) -> Vec<f64> {
    let mut stream = Stream::new(seed, Purpose::HeadOrder, 0);
    (0..len).map(|_| (stream.unit() * 2.0 - 1.0) * scale).collect()
}

pub fn tensor(dims: &[usize], scale: f64, seed: u64) -> Tensor {
    Tensor::from_vec(values(dims.iter().product(), scale, seed), dims, &Device::Cpu).unwrap()
}

/// Random maps of one view, f64.
pub fn features(batch: usize, embedding: usize, scale: f64, seed: u64) -> Features {
    let maps = SCALES
        .iter()
        .map(|map| tensor(&[batch, map.locations(), embedding], scale, seed * 10 + map.locations() as u64))
        .collect();
    Features::new(maps).unwrap()
}

pub fn encoder(encoder_size: usize, batch_norm: bool) -> EncoderConfig {
    let embedding_dim = if encoder_size == 32 { 8 } else { 16 };
    AmdimEncoder { encoder_size, input_channels: 3, base_width: 2, embedding_dim, block_depth: 2, batch_norm }
        .into()
}

/// An optimiser with every part but a clip.
pub fn optimizer() -> AdamConfig {
    AdamConfig {
        learning_rate: 1e-3,
        beta1: 0.8,
        beta2: 0.999,
        epsilon: 1e-4,
        weight_decay: 1e-5,
        gradient_clip: None,
    }
}

/// A narrow residual network with maps of 4x4 and 8x8.
pub fn resnet(depth: ResNetDepth, encoder_size: usize) -> EncoderConfig {
    let local_maps = vec![4, 8];
    ResNetEncoder { depth, encoder_size, input_channels: 3, base_width: 2, embedding_dim: 8, local_maps }
        .into()
}

pub fn classifiers() -> ClassifierConfig {
    ClassifierConfig {
        enabled: true,
        hidden_units: 6,
        dropout: 0.2,
        logit_clip: 10.0,
        label_smoothing: 0.1,
        confidence_penalty: 0.2,
        ..ClassifierConfig::default()
    }
}

pub fn model(encoder: EncoderConfig, classes: usize, executor: ExecutorKind, dtype: DType) -> Model {
    mixture_model(encoder, None, classes, executor, dtype)
}

/// A model with mixture features.
pub fn mixture_model(
    encoder: EncoderConfig,
    mixture: Option<MixtureShape>,
    classes: usize,
    executor: ExecutorKind,
    dtype: DType,
) -> Model {
    let config = ModelConfig {
        encoder,
        classifiers: classifiers(),
        classes,
        mixture,
        infomax: None,
        bottleneck: false,
    };
    let placement = Placement { device: Device::Cpu, dtype, executor, precision: Precision::F32, threads: 2 };
    Model::new(config, 5, placement).unwrap()
}

/// Three components with a posterior that is not the best one, and whose gradient counts.
pub fn mixture() -> MixtureConfig {
    MixtureConfig {
        components: 3,
        hidden_units: Some(5),
        entropy_weight: 0.2,
        temperature: Some(1.5),
        stop_posterior: false,
    }
}

/// The network for [`mixture`].
pub fn mixture_shape() -> MixtureShape {
    MixtureShape { components: 3, hidden_units: 5 }
}

/// Moves every parameter off its initial value, so that no branch is dead (second convolutions start at zero).
pub fn shake(model: &mut Model, seed: u64) {
    let noise = tensor(model.parameters.dims(), 0.3, seed).to_dtype(model.parameters.dtype()).unwrap();
    model.parameters = (&model.parameters + noise).unwrap();
}

pub fn scalar(tensor: &Tensor) -> f64 {
    amdim_core::tensors::to_scalar(tensor).unwrap()
}

/// Checks a gradient against central differences along random directions: `value` of `at + h d` and `at - h d`.
///
/// `gradient` and `at` are flat f64 vectors; tolerances are for f64 and smooth values.
pub fn check_directions(what: &str, at: &[f64], gradient: &[f64], value: &mut dyn FnMut(&[f64]) -> f64) {
    for direction in 0..4 {
        let d = values(at.len(), 1.0, 1000 + direction);
        check_direction(&format!("{what}, direction {direction}"), at, gradient, &d, value);
    }
}

pub fn check_direction(
    what: &str,
    at: &[f64],
    gradient: &[f64],
    d: &[f64],
    value: &mut dyn FnMut(&[f64]) -> f64,
) {
    const H: f64 = 1e-6;
    let moved = |sign: f64| -> Vec<f64> { at.iter().zip(d).map(|(x, d)| x + sign * H * d).collect() };
    let numeric = (value(&moved(1.0)) - value(&moved(-1.0))) / (2.0 * H);
    let analytic: f64 = gradient.iter().zip(d).map(|(g, d)| g * d).sum();
    let scale = numeric.abs().max(analytic.abs()).max(1e-2);
    assert!(
        (numeric - analytic).abs() < 2e-5 * scale,
        "{what}: {numeric} numerically, {analytic} analytically"
    );
}

pub fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

pub fn reshaped(values: &[f64], dims: &[usize]) -> Tensor {
    Tensor::from_slice(values, dims, &Device::Cpu).unwrap()
}
