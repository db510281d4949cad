//! The memory of a step as it is foretold, against what is really allocated; and the rehearsal of its loss.

mod common;

use std::sync::{Mutex, PoisonError};

use amdim_core::encoder::{EncoderConfig, ResNetDepth};
use amdim_core::executor::{ExecutorKind, Precision};
use amdim_core::loss::{MixtureConfig, ObjectiveConfig, Term};
use amdim_core::method::MethodConfig;
use amdim_core::model::{MixtureShape, Model, ModelConfig, Placement};
use amdim_core::train_step::{Learner, Learns, StepConfig};
use candle_core::{DType, Device, Tensor};
use common::counting::Counting;
use common::{classifiers, encoder, mixture, optimizer, resnet, tensor};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// Held by a test, so that no other allocates beside it.
static ALONE: Mutex<()> = Mutex::new(());

/// Descriptions, names (a ResNet-50 has hundreds), running statistics outside the step.
const BOOKKEEPING: usize = 192 << 10;

fn learner(executor: ExecutorKind, precision: Precision, encoder: EncoderConfig) -> Learner {
    learner_of(executor, precision, encoder, false, None)
}

fn learner_of(
    executor: ExecutorKind,
    precision: Precision,
    encoder: EncoderConfig,
    mixes: bool,
    chunk_size: Option<usize>,
) -> Learner {
    let shape = mixes.then_some(MixtureShape { components: 4, hidden_units: 40 });
    let config = ModelConfig {
        encoder,
        classifiers: classifiers(),
        classes: 3,
        mixture: shape,
        infomax: None,
        bottleneck: false,
    };
    let placement = Placement { device: Device::Cpu, dtype: DType::F32, executor, precision, threads: 2 };
    let model = Model::new(config, 5, placement).unwrap();
    let sides: Vec<usize> = model.scales().iter().map(|scale| scale.side()).collect();
    let terms = vec![Term::new(1, sides[1]), Term::new(1, sides[2]), Term::new(sides[1], sides[1])];
    let mixture = mixes.then(|| MixtureConfig { components: 4, ..mixture() });
    let objective = ObjectiveConfig { score_clip: Some(20.0), logit_penalty: 0.04, terms, mixture };
    Learner::new(
        model,
        StepConfig {
            method: MethodConfig::Amdim,
            chunk_size,
            statistics_frozen: false,
            objective,
            optimizer: optimizer(),
            learns: Learns::FromViews,
            seed: 3,
        },
    )
    .unwrap()
}

fn pictures(batch: usize, size: usize) -> ([Tensor; 2], Vec<i64>) {
    let view = |seed| tensor(&[batch, 3, size, size], 1.0, seed).to_dtype(DType::F32).unwrap();
    ([view(1), view(2)], (0..batch as i64).map(|picture| picture % 3).collect())
}

#[test]
fn a_step_holds_what_was_foretold() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (precision, encoder, mixes, chunk_size) in [
        (Precision::F32, encoder(32, false), false, None),
        (Precision::F32, encoder(32, true), false, None),
        (Precision::Bf16, encoder(32, false), false, None),
        (Precision::Bf16, encoder(64, true), false, None),
        (Precision::F32, resnet(ResNetDepth::ResNet18, 32), false, None),
        (Precision::Bf16, resnet(ResNetDepth::ResNet50, 128), false, None),
        (Precision::F32, encoder(32, false), true, None),
        (Precision::Bf16, encoder(32, false), true, None),
        (Precision::F32, encoder(32, true), false, Some(16)),
        (Precision::Bf16, encoder(32, false), true, Some(16)),
    ] {
        let what = format!("{precision}, {encoder:?}, mixture {mixes}, parts of {chunk_size:?}");
        let size = encoder.encoder_size();
        // So many more that vectors, which at least double, grow to just what is needed.
        let [few, many] = [8, 64].map(|batch| (batch, pictures(batch, size)));
        let before = ALLOCATOR.held();
        let mut learner = learner_of(ExecutorKind::Cpu, precision, encoder, mixes, chunk_size);
        let mut held = [&few, &many].map(|(batch, ([first, second], labels))| {
            let foretold = learner.memory(*batch).unwrap();
            learner.step([first, second], labels, 1e-3).unwrap();
            assert_eq!(learner.memory(*batch).unwrap(), foretold, "{what}: a step changes nothing about it");
            (ALLOCATOR.held() - before, foretold.step())
        });
        for (held, foretold) in held {
            let extra = held.checked_sub(foretold);
            assert!(
                extra.is_some_and(|extra| extra < BOOKKEEPING),
                "{what}: {foretold} foretold, {held} held"
            );
        }
        held.reverse();
        let [(held, foretold), (held_few, foretold_few)] = held;
        // The test runner beside this thread has a few bytes of its own now and then.
        let off = (held - held_few).abs_diff(foretold - foretold_few);
        assert!(off < 512, "{what}: growth with the batch is off by {off} bytes");
    }
    assert_eq!(learner(ExecutorKind::Candle, Precision::F32, encoder(32, false)).memory(8), None);
}

#[test]
fn a_loss_is_rehearsed_as_often_as_asked_and_nothing_is_learnt() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let ([first, second], labels) = pictures(8, 32);
    let reports = [0, 3].map(|laps| {
        let mut learner = learner(ExecutorKind::Cpu, Precision::F32, encoder(32, false));
        let mut left = laps;
        if laps > 0 {
            let mut lap = || {
                left -= 1;
                left > 0
            };
            assert!(learner.rehearse_loss(12, &mut lap).unwrap());
        }
        assert_eq!(left, 0);
        learner.step([&first, &second], &labels, 1e-3).unwrap()
    });
    assert_eq!(reports[0], reports[1]);
    let mut candle = learner(ExecutorKind::Candle, Precision::F32, encoder(32, false));
    assert!(!candle.rehearse_loss(8, &mut || panic!("nothing is done")).unwrap());
}
