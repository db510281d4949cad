//! The fast step against the candle one, and that it allocates nothing.

mod common;

use std::sync::{Mutex, PoisonError};

use amdim_core::encoder::{EncoderConfig, ResNetDepth};
use amdim_core::executor::{ExecutorKind, Precision};
use amdim_core::loss::{ObjectiveConfig, SourcePositions, Term};
use amdim_core::method::MethodConfig;
use amdim_core::model::{Model, ModelConfig, Placement};
use amdim_core::nn::ClassifierConfig;
use amdim_core::optim::AdamConfig;
use amdim_core::train_step::{Learner, Learns, StepConfig};
use candle_core::{DType, Device, Tensor};
use common::counting::Counting;
use common::{classifiers, encoder, flat, mixture, mixture_shape, optimizer, resnet, shake, tensor};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// Held by the test that counts, and by the others, which allocate all the while.
static ALONE: Mutex<()> = Mutex::new(());

const BATCH: usize = 10;
/// What moves the encoder in a fast step.
const LEARNS: [Learns; 2] = [Learns::FromViews, Learns::FromLabels];

fn learner(executor: ExecutorKind, precision: Precision, learns: Learns) -> Learner {
    learner_of(&(encoder(32, false), false), executor, precision, learns)
}

/// A learner of an encoder, with mixture features or without.
fn learner_of(
    (encoder, mixes): &(EncoderConfig, bool),
    executor: ExecutorKind,
    precision: Precision,
    learns: Learns,
) -> Learner {
    learner_with(classifiers(), (encoder, *mixes), executor, precision, learns)
}

fn learner_with(
    classifiers: ClassifierConfig,
    (encoder, mixes): (&EncoderConfig, bool),
    executor: ExecutorKind,
    precision: Precision,
    learns: Learns,
) -> Learner {
    let shape = mixes.then(mixture_shape);
    let config = ModelConfig {
        encoder: encoder.clone(),
        classifiers,
        classes: 3,
        mixture: shape,
        infomax: None,
        bottleneck: false,
    };
    let placement = Placement { device: Device::Cpu, dtype: DType::F32, executor, precision, threads: 2 };
    let mut model = Model::new(config, 5, placement).unwrap();
    shake(&mut model, 8);
    let [coarse, fine] = [1, 2].map(|map| model.scales()[map].side());
    let terms = vec![Term::new(1, coarse), Term::new(1, fine), Term::new(coarse, coarse)];
    let mixture = mixes.then(mixture);
    let objective = ObjectiveConfig { score_clip: Some(20.0), logit_penalty: 0.04, terms, mixture };
    let optimizer = AdamConfig { gradient_clip: Some(2.0), ..optimizer() };
    Learner::new(
        model,
        StepConfig {
            method: MethodConfig::Amdim,
            chunk_size: None,
            statistics_frozen: false,
            objective,
            optimizer,
            learns,
            seed: 3,
        },
    )
    .unwrap()
}

fn views(seed: u64) -> [Tensor; 2] {
    [0, 1].map(|view| tensor(&[BATCH, 3, 32, 32], 1.0, 2 * seed + view).to_dtype(DType::F32).unwrap())
}

const LABELS: [i64; BATCH] = [0, 1, -1, 2, 1, 0, 0, 2, -1, 1];

fn assert_near(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    let norm = theirs.iter().map(|t| t * t).sum::<f64>().sqrt();
    let error = ours.iter().zip(theirs).map(|(o, t)| (o - t).powi(2)).sum::<f64>().sqrt();
    assert!(error <= tolerance * norm, "{what}: off by {error} of {norm}");
}

#[test]
fn gradients_and_reports_are_those_of_candle() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for learns in LEARNS {
        // From labels the gradient passes hidden units that rounding switches on or off.
        let rounding = if learns == Learns::FromLabels { 0.4 } else { 0.15 };
        let tolerances = [(Precision::F32, 2e-4), (Precision::Bf16, rounding)];
        gradients_and_reports(&(encoder(32, false), false), learns, &tolerances);
    }
}

#[test]
fn classifiers_learn_at_a_rate_of_their_own() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for executor in [ExecutorKind::Candle, ExecutorKind::Cpu] {
        // How far the parameters of the encoder and of the classifiers move in a step.
        let moves = |learning_rate_factor| {
            let classifiers = ClassifierConfig { learning_rate_factor, ..classifiers() };
            let encoder = (&encoder(32, false), false);
            let mut learner = learner_with(classifiers, encoder, executor, Precision::F32, Learns::FromViews);
            let values = |learner: &mut Learner| {
                let model = learner.model().unwrap();
                [&model.parameters, &model.classifiers.as_ref().unwrap().values].map(flat)
            };
            let before = values(&mut learner);
            let [first, second] = views(1);
            learner.step([&first, &second], &LABELS, 1e-3).unwrap();
            let after = values(&mut learner);
            [0, 1].map(|group| {
                after[group].iter().zip(&before[group]).map(|(a, b)| a - b).collect::<Vec<f64>>()
            })
        };
        let ([encoder, heads], [encoder_at_four, heads_at_four]) = (moves(1.0), moves(4.0));
        assert_eq!(encoder, encoder_at_four);
        let expected: Vec<f64> = heads.iter().map(|by| 4.0 * by).collect();
        assert_near(&heads_at_four, &expected, 1e-3, "moves of the classifiers");
    }
}

#[test]
fn those_with_mixture_features_too() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let tolerances = [(Precision::F32, 2e-4), (Precision::Bf16, 0.15)];
    gradients_and_reports(&(encoder(32, false), true), Learns::FromViews, &tolerances);
}

/// Deep networks with a ReLU after every layer have more units that rounding switches.
#[test]
fn those_of_residual_networks_too() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for depth in [ResNetDepth::ResNet18, ResNetDepth::ResNet50] {
        for learns in LEARNS {
            gradients_and_reports(&(resnet(depth, 32), false), learns, &[(Precision::F32, 0.1)]);
        }
    }
}

fn gradients_and_reports(kind: &(EncoderConfig, bool), learns: Learns, tolerances: &[(Precision, f64)]) {
    let learner = |executor, precision| learner_of(kind, executor, precision, learns);
    let mixes = kind.1;
    let mut candle = learner(ExecutorKind::Candle, Precision::F32);
    let scales = candle.model().unwrap().scales().to_vec();
    let positions = SourcePositions::draw(&scales, BATCH, 3, 0);
    let [first, second] = views(1);
    let labels = [LABELS, LABELS].concat();
    let expected = candle.compute([&first, &second], &labels, &positions).unwrap();
    for &(precision, tolerance) in tolerances {
        let mut fast = learner(ExecutorKind::Cpu, precision);
        let computed = fast.compute([&first, &second], &labels, &positions).unwrap();
        let gradient =
            |computed: &amdim_core::train_step::Computed| flat(computed.encoder_gradient.as_ref().unwrap());
        assert_near(&gradient(&computed), &gradient(&expected), tolerance, "gradient of the encoder");
        let heads = |computed: &amdim_core::train_step::Computed| {
            flat(computed.classifier_gradient.as_ref().unwrap())
        };
        assert_near(&heads(&computed), &heads(&expected), tolerance, "gradient of the classifiers");
        for (ours, theirs) in computed.features.iter().zip(&expected.features) {
            for &scale in &scales {
                let [ours, theirs] = [ours, theirs].map(|features| flat(features.at(scale).unwrap()));
                assert_near(&ours, &theirs, tolerance, "features");
            }
            if let [Some(ours), Some(theirs)] = [ours.mixture(), theirs.mixture()] {
                assert_near(&flat(ours), &flat(theirs), tolerance, "mixture features");
            }
            assert_eq!([ours.mixture().is_some(), theirs.mixture().is_some()], [mixes; 2]);
        }
        assert_eq!(computed.report.objective.is_some(), learns == Learns::FromViews);
        if let (Some(ours), Some(theirs)) = (&computed.report.objective, &expected.report.objective) {
            let numbers = |report: &amdim_core::train_step::ObjectiveReport| {
                let terms = report.parts.iter().map(|part| part.loss);
                let entropy = report.posterior_entropy.unwrap_or(0.0);
                let rest = [report.total, report.penalty, report.score_std, report.score_max, entropy];
                terms.chain(rest).collect::<Vec<f64>>()
            };
            assert_near(&numbers(ours), &numbers(theirs), tolerance, "losses");
        }
        let (ours, theirs) = (computed.report.classifier.unwrap(), expected.report.classifier.unwrap());
        let losses = |report: amdim_core::train_step::ClassifierReport| [report.linear_loss, report.mlp_loss];
        assert_near(&losses(ours), &losses(theirs), tolerance, "losses of the classifiers");
    }
}

#[test]
fn several_updates_lead_to_the_same_model() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for learns in LEARNS {
        several_updates(learns, false);
    }
    several_updates(Learns::FromViews, true);
}

fn several_updates(learns: Learns, mixes: bool) {
    let kind = (encoder(32, false), mixes);
    let mut candle = learner_of(&kind, ExecutorKind::Candle, Precision::F32, learns);
    let mut fast = learner_of(&kind, ExecutorKind::Cpu, Precision::F32, learns);
    for update in 0..5 {
        let [first, second] = views(update);
        candle.step([&first, &second], &LABELS, 1e-3).unwrap();
        fast.step([&first, &second], &LABELS, 1e-3).unwrap();
    }
    let (ours, theirs) = (fast.model().unwrap(), candle.model().unwrap());
    assert_near(&flat(&ours.parameters), &flat(&theirs.parameters), 1e-4, "parameters");
    assert_near(&flat(&ours.running), &flat(&theirs.running), 1e-4, "running statistics");
    assert_eq!(ours.passes, theirs.passes);
    let (ours, theirs) = (ours.classifiers.as_ref().unwrap(), theirs.classifiers.as_ref().unwrap());
    assert_near(&flat(&ours.values), &flat(&theirs.values), 1e-4, "classifiers");
    assert_near(&flat(&ours.running), &flat(&theirs.running), 1e-4, "the classifiers' statistics");
    assert_eq!(ours.passes, theirs.passes);
}

/// What is changed in the model between two steps counts.
#[test]
fn a_changed_model_is_what_goes_on() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut fast = learner(ExecutorKind::Cpu, Precision::F32, Learns::FromViews);
    let [first, second] = views(1);
    let once = fast.step([&first, &second], &LABELS, 1e-3).unwrap();
    let zeros = fast.model().unwrap().parameters.zeros_like().unwrap();
    fast.model().unwrap().parameters = zeros;
    let again = fast.step([&first, &second], &LABELS, 1e-3).unwrap();
    assert_ne!(once.objective.unwrap().total, again.objective.unwrap().total);
}

/// Random positions, labels of both views and the report are a few hundred bytes; everything else is used again.
#[test]
fn a_step_allocates_nothing_but_its_report() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let encoders =
        [(encoder(32, false), false), (resnet(ResNetDepth::ResNet50, 32), false), (encoder(32, false), true)];
    let kinds = [Precision::F32, Precision::Bf16].map(|p| LEARNS.map(|l| (p, l))).concat();
    for (encoder, &(precision, learns)) in encoders.iter().flat_map(|e| kinds.iter().map(move |k| (e, k))) {
        let mut fast = learner_of(encoder, ExecutorKind::Cpu, precision, learns);
        let [first, second] = views(1);
        for _ in 0..2 {
            fast.step([&first, &second], &LABELS, 1e-3).unwrap();
        }
        // Threads that the harness and earlier tests left may allocate, so that the least of several counts is what a
        // step takes.
        let least = (0..40)
            .map(|_| {
                let before = ALLOCATOR.asked();
                fast.step([&first, &second], &LABELS, 1e-3).unwrap();
                ALLOCATOR.asked() - before
            })
            .min();
        assert!(least < Some(1024), "{encoder:?}, {precision}, {learns:?}: {least:?} bytes");
    }
}

#[test]
fn a_supervised_step_wants_labels() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for executor in [ExecutorKind::Candle, ExecutorKind::Cpu] {
        let [first, second] = views(1);
        let mut learner = learner(executor, Precision::F32, Learns::FromLabels);
        let before = flat(&learner.model().unwrap().running);
        let error = learner.step([&first, &second], &[-1; BATCH], 1e-3).unwrap_err();
        assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT", "{error}");
        assert_eq!(flat(&learner.model().unwrap().running), before);
    }
}
