//! The parts of a training step at the `tiny` preset: `cargo bench -p amdim-core`.
#![allow(missing_docs)]

use amdim_core::encoder::{AmdimEncoder, Features, Scale};
use amdim_core::executor::ExecutorKind;
use amdim_core::loss::{MixtureConfig, ObjectiveConfig, SourcePositions, Term, multiscale_loss};
use amdim_core::method::MethodConfig;
use amdim_core::model::{MixtureShape, Model, ModelConfig, Placement};
use amdim_core::nn::{ClassifierConfig, Classifiers, Mode};
use amdim_core::optim::{Adam, AdamConfig};
use amdim_core::train_step::{Learner, Learns, StepConfig};
use candle_core::{DType, Device, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};

const BATCH: usize = 64;
const EMBEDDING: usize = 256;
const SCALES: [Scale; 3] = [Scale::GLOBAL, Scale::new(5), Scale::new(7)];

fn objective() -> ObjectiveConfig {
    ObjectiveConfig {
        score_clip: Some(20.0),
        logit_penalty: 0.04,
        terms: vec![Term::new(1, 5), Term::new(1, 7), Term::new(5, 5)],
        mixture: None,
    }
}

fn optimizer() -> AdamConfig {
    AdamConfig {
        learning_rate: 2e-4,
        beta1: 0.8,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 1e-5,
        gradient_clip: None,
    }
}

fn classifiers() -> ClassifierConfig {
    ClassifierConfig {
        enabled: true,
        hidden_units: 1024,
        dropout: 0.2,
        logit_clip: 10.0,
        logit_penalty: 1e-3,
        ..ClassifierConfig::default()
    }
}

fn normal(dims: &[usize]) -> Tensor {
    Tensor::randn(0f32, 1f32, dims, &Device::Cpu).unwrap()
}

fn step(c: &mut Criterion) {
    let encoder = AmdimEncoder {
        encoder_size: 32,
        input_channels: 3,
        base_width: 32,
        embedding_dim: EMBEDDING,
        block_depth: 3,
        batch_norm: false,
    };
    let views = [normal(&[BATCH, 3, 32, 32]), normal(&[BATCH, 3, 32, 32])];
    let labels: Vec<i64> = (0..BATCH as i64).map(|i| i % 10).collect();
    let mixture = MixtureConfig {
        components: 8,
        hidden_units: None,
        entropy_weight: 1.0,
        temperature: None,
        stop_posterior: true,
    };
    for (name, executor, mixture) in [
        ("cpu", ExecutorKind::Cpu, None),
        ("cpu, 8 mixture features", ExecutorKind::Cpu, Some(mixture)),
        ("candle", ExecutorKind::Candle, None),
    ] {
        let shape = mixture.as_ref().map(|_| MixtureShape { components: 8, hidden_units: EMBEDDING });
        let config = ModelConfig {
            encoder: encoder.clone().into(),
            classifiers: classifiers(),
            classes: 10,
            mixture: shape,
            infomax: None,
            bottleneck: false,
        };
        let objective = ObjectiveConfig { mixture, ..objective() };
        let placement = Placement { executor, ..Placement::cpu(2) };
        let model = Model::new(config, 1, placement).unwrap();
        let config = StepConfig {
            method: MethodConfig::Amdim,
            chunk_size: None,
            statistics_frozen: false,
            objective,
            optimizer: optimizer(),
            learns: Learns::FromViews,
            seed: 1,
        };
        let mut learner = Learner::new(model, config).unwrap();
        c.bench_function(&format!("step/{name}"), |b| {
            b.iter(|| learner.step([&views[0], &views[1]], &labels, 2e-4).unwrap());
        });
        c.bench_function(&format!("embed/{name}"), |b| {
            b.iter(|| learner.model().unwrap().embed(&views[0]).unwrap());
        });
    }
}

fn loss(c: &mut Criterion) {
    let leaves = || -> Vec<Var> {
        SCALES
            .iter()
            .map(|scale| Var::from_tensor(&normal(&[BATCH, scale.locations(), EMBEDDING])).unwrap())
            .collect()
    };
    let features =
        |leaves: &[Var]| Features::new(leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect()).unwrap();
    let (first, second) = (leaves(), leaves());
    let positions = SourcePositions::draw(&SCALES, BATCH, 1, 0);
    c.bench_function("multiscale loss and gradient", |b| {
        b.iter(|| {
            let views = [features(&first), features(&second)];
            let loss = multiscale_loss([&views[0], &views[1]], &positions, &objective()).unwrap();
            loss.total.backward().unwrap()
        });
    });
}

fn small_parts(c: &mut Criterion) {
    let mut heads = Classifiers::new(classifiers(), EMBEDDING, 10, 1, DType::F32, &Device::Cpu).unwrap();
    let rows = normal(&[2 * BATCH, EMBEDDING]);
    let labels: Vec<i64> = (0..2 * BATCH as i64).map(|i| i % 10).collect();
    c.bench_function("classifiers", |b| {
        b.iter(|| heads.pass(&rows, &labels, Mode::Train { seed: 1, update: 1 }).unwrap());
    });
    let mut values = normal(&[1_258_816]);
    let gradient = normal(&[1_258_816]);
    let mut adam = Adam::new(&values).unwrap();
    c.bench_function("adam", |b| {
        b.iter(|| adam.update(&mut values, &gradient, None, 1e-4, &optimizer()).unwrap());
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = step, loss, small_parts
}
criterion_main!(benches);
