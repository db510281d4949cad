//! Timing of the bare training step, or of the encoder alone, on random pictures.

use std::time::Instant;

use amdim_core::device;
use amdim_core::executor::Precision;
use amdim_core::loss::{ObjectiveConfig, Term};
use amdim_core::method::MethodConfig;
use amdim_core::model::{Model, ModelConfig};
use amdim_core::nn::ClassifierConfig;
use amdim_core::optim::AdamConfig;
use amdim_core::tensors;
use amdim_core::train_step::{Learner, Learns, StepConfig};
use amdim_kernels::Kernel;
use amdim_random::{Purpose, Stream};
use candle_core::Tensor;
use serde::Serialize;

use crate::config::{BenchMode, BenchRequest};
use crate::place::{on_threads, placement};
use crate::{Result, RunError};

/// Seed of weights, pictures and labels.
const SEED: u64 = 1;
/// Learning rate, at which no encoder diverges within a few steps on noise.
pub(crate) const RATE: f64 = 2e-4;
/// Classes of the online classifiers, as of CIFAR-10.
const CLASSES: usize = 10;

/// Timings; the names are those of the reference's benchmark script.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchResult {
    /// Pictures (pairs of views when training) a second: batch / median.
    pub images_per_s: f64,
    /// Median seconds a step.
    pub median_s: f64,
    /// Fastest step in seconds.
    pub min_s: f64,
    /// Slowest step in seconds.
    pub max_s: f64,
    /// Steps timed.
    pub steps: usize,
    /// Device used.
    pub device: String,
    /// Executor used.
    pub executor: String,
    /// How the maps were kept: `f32` or `bf16`.
    pub precision: Precision,
    /// Instructions used on the processor.
    pub kernel: String,
    /// Threads used.
    pub threads: usize,
    /// Loss of the last step; none when encoding.
    pub last_loss: Option<f64>,
}

/// Times steps on one batch of random pictures and labels; the online classifiers are on.
///
/// # Errors
/// `AMDIM_INVALID_ARGUMENT` for a bad request, `AMDIM_DEVICE` for a device that is not there.
pub fn bench(request: &BenchRequest) -> Result<BenchResult> {
    request.validate()?;
    on_threads(request.threads, || {
        let place = placement(&request.device, request.executor, request.precision, request.threads)?;
        let precision = place.precision;
        let device = device::name(&place.device);
        let config = ModelConfig {
            encoder: request.encoder.clone(),
            classifiers: reference_classifiers(),
            classes: CLASSES,
            mixture: None,
            infomax: None,
            bottleneck: false,
        };
        let model = Model::new(config, SEED, place)?;
        let executor = model.executor_name().to_owned();
        let (seconds, last_loss) = match request.mode {
            BenchMode::Train => time_training(model, request)?,
            BenchMode::Encode => (time_encoding(model, request)?, None),
        };
        Ok(summary(request, seconds, Place { device, executor, precision }, last_loss))
    })
}

fn time_training(model: Model, request: &BenchRequest) -> Result<(Vec<f64>, Option<f64>)> {
    let batch = request.batch_size;
    let views = [random_images(&model, batch, 1)?, random_images(&model, batch, 2)?];
    let labels = random_labels(batch, CLASSES);
    let mut learner = Learner::new(model, reference_step(request.terms.clone()))?;
    let mut last_loss = None;
    let seconds = time(request, || {
        let report = learner.step([&views[0], &views[1]], &labels, RATE)?;
        last_loss = report.objective.map(|objective| objective.total);
        Ok(())
    })?;
    Ok((seconds, last_loss))
}

fn time_encoding(mut model: Model, request: &BenchRequest) -> Result<Vec<f64>> {
    let images = random_images(&model, request.batch_size, 1)?;
    time(request, || {
        // Reading a value back waits for devices that work on their own.
        tensors::to_vec(&model.embed_global(&images)?)?;
        Ok(())
    })
}

/// Seconds of each timed step.
fn time(request: &BenchRequest, mut step: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    for _ in 0..request.warmup {
        step()?;
    }
    (0..request.steps)
        .map(|_| {
            let began = Instant::now();
            step()?;
            Ok(began.elapsed().as_secs_f64())
        })
        .collect()
}

/// What a timing was taken on.
struct Place {
    device: String,
    executor: String,
    precision: Precision,
}

fn summary(
    request: &BenchRequest,
    mut seconds: Vec<f64>,
    Place { device, executor, precision }: Place,
    last_loss: Option<f64>,
) -> BenchResult {
    let median_s = median(&mut seconds);
    BenchResult {
        images_per_s: request.batch_size as f64 / median_s,
        median_s,
        min_s: seconds[0],
        max_s: seconds[seconds.len() - 1],
        steps: request.steps,
        device,
        executor,
        precision,
        kernel: Kernel::selected().map_or_else(|_| String::new(), |kernel| kernel.to_string()),
        threads: request.threads,
        last_loss,
    }
}

/// The median of at least one value, which are sorted by the way.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// Labels of so many classes; -1 where there are none.
pub(crate) fn random_labels(batch: usize, classes: usize) -> Vec<i64> {
    let mut stream = Stream::new(SEED, Purpose::HeadOrder, 0);
    let mut draw = || if classes == 0 { -1 } else { stream.below(classes as u64) as i64 };
    (0..batch).map(|_| draw()).collect()
}

/// Pictures of uniform noise with mean 0 and variance 1, as normalised pictures have.
pub(crate) fn random_images(model: &Model, batch: usize, index: u64) -> Result<Tensor> {
    let input = model.network().input;
    let mut stream = Stream::new(SEED, Purpose::SourcePositions, index);
    let values: Vec<f32> = (0..batch * input.channels * input.height * input.width)
        .map(|_| ((stream.unit() - 0.5) * 12f64.sqrt()) as f32)
        .collect();
    model.images(&values, batch).map_err(RunError::from)
}

/// The online classifiers of the reference.
pub(crate) fn reference_classifiers() -> ClassifierConfig {
    ClassifierConfig {
        enabled: true,
        hidden_units: 1024,
        dropout: 0.2,
        logit_clip: 10.0,
        logit_penalty: 1e-3,
        ..ClassifierConfig::default()
    }
}

/// The training step of the paper, with these terms.
pub(crate) fn reference_step(terms: Vec<Term>) -> StepConfig {
    StepConfig {
        method: MethodConfig::Amdim,
        chunk_size: None,
        statistics_frozen: false,
        objective: ObjectiveConfig { score_clip: Some(20.0), logit_penalty: 4e-2, terms, mixture: None },
        optimizer: AdamConfig {
            learning_rate: 2e-4,
            beta1: 0.8,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 1e-5,
            gradient_clip: None,
        },
        learns: Learns::FromViews,
        seed: SEED,
    }
}

#[cfg(test)]
mod tests {
    use amdim_core::encoder::AmdimEncoder;
    use amdim_core::executor::ExecutorKind;

    use super::*;

    fn request(mode: BenchMode, steps: usize) -> BenchRequest {
        let encoder = AmdimEncoder {
            encoder_size: 32,
            input_channels: 1,
            base_width: 2,
            embedding_dim: 8,
            block_depth: 1,
            batch_norm: false,
        };
        BenchRequest {
            mode,
            encoder: encoder.into(),
            terms: vec![Term::new(1, 5), Term::new(5, 5)],
            batch_size: 2,
            steps,
            warmup: 0,
            threads: 1,
            device: "cpu".into(),
            executor: ExecutorKind::Candle,
            precision: Precision::F32,
        }
    }

    #[test]
    fn a_summary_has_the_median_of_its_steps() {
        let summary = |seconds: &[f64]| {
            let request = request(BenchMode::Encode, seconds.len());
            let place = Place { device: "cpu".into(), executor: "candle".into(), precision: Precision::F32 };
            summary(&request, seconds.to_vec(), place, None)
        };
        let odd = summary(&[4.0, 1.0, 2.0]);
        assert_eq!((odd.median_s, odd.min_s, odd.max_s, odd.images_per_s), (2.0, 1.0, 4.0, 1.0));
        assert_eq!(summary(&[4.0, 1.0]).median_s, 2.5);
    }

    #[test]
    fn both_modes_run() {
        let trained = bench(&request(BenchMode::Train, 1)).unwrap();
        assert!(trained.last_loss.unwrap().is_finite());
        let encoded = bench(&request(BenchMode::Encode, 2)).unwrap();
        assert_eq!((encoded.last_loss, encoded.executor.as_str()), (None, "candle"));
        assert!(bench(&request(BenchMode::Train, 0)).is_err());
    }
}
