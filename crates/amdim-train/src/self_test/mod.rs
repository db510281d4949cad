//! A few seconds of checks that an installation computes what it should.

use amdim_core::device;
use amdim_core::encoder::{AmdimEncoder, EncoderConfig, Features, Scale};
use amdim_core::executor::{ExecutorKind, Precision};
use amdim_core::loss::{SourcePositions, Term, chance_level, multiscale_loss};
use amdim_core::model::{Model, ModelConfig, Placement};
use amdim_core::tensors;
use amdim_core::train_step::Learner;
use amdim_data::{Limits, decode::decode};
use candle_core::{DType, Device, Tensor};
use serde::Serialize;

use crate::bench::{random_images, reference_classifiers, reference_step};
use crate::place::{on_threads, placement};
use crate::{Result, RunError};

/// Pictures of the checks' batches.
const BATCH: usize = 4;
/// The paper's terms.
const TERMS: [Term; 3] = [Term::new(1, 5), Term::new(1, 7), Term::new(5, 5)];
/// Largest difference between executors, as a share of the largest magnitude.
const TOLERANCE: f32 = 1e-4;
/// An 8x8 picture, red left and blue right.
const PNG: &[u8] = include_bytes!("halves.png");
/// The same picture.
const JPEG: &[u8] = include_bytes!("halves.jpg");

/// The checks of a self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SelfTest {
    /// Whether every check is right.
    pub ok: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether it is right.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// Checks decoding, the objective, the executors against each other, and a training step on a device.
///
/// # Errors
/// `AMDIM_DEVICE` or `AMDIM_INVALID_ARGUMENT` for a device that can't be used; what goes wrong afterwards is a failed
/// check.
pub fn self_test(device_name: &str, threads: usize) -> Result<SelfTest> {
    let place = placement(device_name, ExecutorKind::Auto, Precision::F32, threads)?;
    on_threads(threads, || {
        let checks = vec![
            check("decode PNG", decoded(PNG, 0)),
            check("decode JPEG", decoded(JPEG, 8)),
            check("loss at chance level", chance(&place.device)),
            check("executors agree", executors_agree(&place)),
            check("training step", training_step(&place)),
        ];
        Ok(SelfTest { ok: checks.iter().all(|check| check.ok), checks })
    })
}

/// A finding: whether it is right, and what it is.
type Finding = Result<(bool, String)>;

fn check(name: &'static str, finding: Finding) -> Check {
    match finding {
        Ok((ok, detail)) => Check { name, ok, detail },
        Err(error) => Check { name, ok: false, detail: format!("{}: {error}", error.code()) },
    }
}

/// Both halves of the picture within `tolerance` levels.
fn decoded(bytes: &[u8], tolerance: u8) -> Finding {
    let image = decode(bytes, &Limits::default())?;
    let expected = |x: u32| if x < 4 { [255, 0, 0] } else { [0, 0, 255] };
    let worst = image
        .pixels
        .as_chunks::<3>()
        .0
        .iter()
        .zip((0..image.height).flat_map(|_| 0..image.width))
        .flat_map(|(pixel, x)| std::iter::zip(*pixel, expected(x)))
        .map(|(found, expected): (u8, u8)| found.abs_diff(expected))
        .max()
        .unwrap_or(u8::MAX);
    let detail = format!("{}x{}, off by {worst} levels at most", image.width, image.height);
    Ok(((image.width, image.height) == (8, 8) && worst <= tolerance, detail))
}

/// Equal embeddings give `log(1 + (batch - 1) * locations)`.
fn chance(device: &Device) -> Finding {
    let objective = reference_step(TERMS.to_vec()).objective;
    let scales = Scale::all_of(&tiny_encoder().describe()?);
    let map = |scale: &Scale| Tensor::ones((BATCH, scale.locations(), 16), DType::F32, device);
    let maps =
        scales.iter().map(map).collect::<candle_core::Result<Vec<_>>>().map_err(amdim_core::Error::from)?;
    let features = Features::new(maps)?;
    let positions = SourcePositions::draw(&scales, BATCH, 1, 0);
    let loss = multiscale_loss([&features, &features], &positions, &objective)?;
    let mut worst: f64 = 0.0;
    for term in &loss.terms {
        worst = worst.max((tensors::to_scalar(&term.loss)? - chance_level(term.term, BATCH)).abs());
    }
    Ok((worst < 1e-5, format!("off by {worst:.1e} nats at most")))
}

/// The fast executor, or the device, against candle on the processor.
fn executors_agree(place: &Placement) -> Finding {
    let baseline = Placement { device: Device::Cpu, executor: ExecutorKind::Candle, ..place.clone() };
    let (expected, _) = global_features(baseline)?;
    let (found, executor) = global_features(place.clone())?;
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let worst = std::iter::zip(&expected, &found).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
    let detail = format!(
        "{executor} on {} against candle on cpu: {:.1e} of the largest value",
        device::name(&place.device),
        worst / largest
    );
    let is_finite = expected.iter().chain(&found).all(|value| value.is_finite());
    Ok((is_finite && largest > 0.0 && worst <= TOLERANCE * largest, detail))
}

fn global_features(place: Placement) -> Result<(Vec<f32>, &'static str)> {
    let mut model = tiny_model(place)?;
    // A new encoder has second convolutions of zeros; nothing may hide behind them.
    model.parameters = (&model.parameters + 0.01).map_err(amdim_core::Error::from)?;
    let images = random_images(&model, BATCH, 1)?;
    Ok((tensors::to_vec(&model.embed_global(&images)?)?, model.executor_name()))
}

/// A step has a finite loss and moves the parameters.
fn training_step(place: &Placement) -> Finding {
    let model = tiny_model(place.clone())?;
    let views = [random_images(&model, BATCH, 1)?, random_images(&model, BATCH, 2)?];
    let before = tensors::to_vec(&model.parameters)?;
    let mut learner = Learner::new(model, reference_step(TERMS.to_vec()))?;
    let report = learner.step([&views[0], &views[1]], &[0, 1, 0, 1], 2e-4)?;
    let moved = tensors::to_vec(&learner.model()?.parameters)? != before;
    let loss = report.objective.ok_or_else(|| RunError::internal("a step without objective"))?.total;
    Ok((moved, format!("loss {loss:.3} nats, gradient norm {:.3}", report.gradient_norm)))
}

fn tiny_encoder() -> EncoderConfig {
    AmdimEncoder {
        encoder_size: 32,
        input_channels: 3,
        base_width: 8,
        embedding_dim: 32,
        block_depth: 1,
        batch_norm: false,
    }
    .into()
}

fn tiny_model(place: Placement) -> Result<Model> {
    let config = ModelConfig {
        encoder: tiny_encoder(),
        classifiers: reference_classifiers(),
        classes: 2,
        mixture: None,
        infomax: None,
        bottleneck: false,
    };
    Ok(Model::new(config, 1, place)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_well_on_the_processor() {
        let report = self_test("cpu", 2).unwrap();
        assert!(report.ok, "{report:?}");
        assert_eq!(report.checks.len(), 5);
    }

    #[test]
    fn a_missing_device_is_an_error() {
        assert_eq!(self_test("gpu", 1).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
    }
}
