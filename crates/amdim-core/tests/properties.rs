//! What must hold for any features: symmetries, known answers, stability, and a slow second implementation.

mod common;

use amdim_core::encoder::{Features, ResNetDepth, Scale};
use amdim_core::estimator::info_nce;
use amdim_core::executor::{ExecutorKind, Precision};
use amdim_core::loss::{
    CrossEntropy, MultiscaleLoss, ObjectiveConfig, SourcePositions, Term, chance_level,
    clipped_cross_entropy, multiscale_loss,
};
use candle_core::{DType, Device, Tensor, Var};
use common::{
    SCALES, TERMS, encoder, features, flat, mixture_model, mixture_shape, resnet, scalar, shake, tensor,
};

fn objective() -> ObjectiveConfig {
    ObjectiveConfig { score_clip: Some(20.0), logit_penalty: 0.04, terms: TERMS.to_vec(), mixture: None }
}

fn loss(views: [&Features; 2], positions: &SourcePositions) -> MultiscaleLoss {
    multiscale_loss(views, positions, &objective()).unwrap()
}

fn assert_close(ours: f64, expected: f64) {
    assert!((ours - expected).abs() <= 1e-10 * expected.abs().max(1.0), "{ours}, {expected} expected");
}

/// The positions of each local map, from those of view 0 and 1.
fn changed<'a>(
    positions: &'a SourcePositions,
    change: impl Fn(&dyn Fn(usize) -> &'a [u32]) -> [Vec<u32>; 2],
) -> SourcePositions {
    let of = |scale: Scale| (scale, change(&|view| positions.of(scale, view).unwrap()));
    SourcePositions::new(SCALES[1..].iter().map(|&scale| of(scale)).collect())
}

#[test]
fn no_clip_is_the_limit_of_a_wide_one() {
    let (a, b) = (features(4, 6, 3.0, 1), features(4, 6, 3.0, 2));
    let positions = SourcePositions::draw(&SCALES, 4, 7, 0);
    let total = |score_clip| {
        let config = ObjectiveConfig { score_clip, ..objective() };
        scalar(&multiscale_loss([&a, &b], &positions, &config).unwrap().total)
    };
    assert_close(total(None), total(Some(1e7)));
    assert!((total(None) - total(Some(3.0))).abs() > 0.1);
}

#[test]
fn a_configuration_must_say_whether_there_is_a_clip() {
    let mut json = serde_json::to_value(ObjectiveConfig { score_clip: None, ..objective() }).unwrap();
    assert_eq!(json["scoreClip"], serde_json::Value::Null);
    assert!(serde_json::from_value::<ObjectiveConfig>(json.clone()).is_ok());
    json.as_object_mut().unwrap().remove("scoreClip");
    assert!(serde_json::from_value::<ObjectiveConfig>(json).is_err());
}

#[test]
fn swapping_the_views_leaves_the_loss() {
    let (a, b) = (features(4, 6, 1.0, 1), features(4, 6, 1.0, 2));
    let positions = SourcePositions::draw(&SCALES, 4, 7, 0);
    let swapped = changed(&positions, |of| [of(1).to_vec(), of(0).to_vec()]);
    let (forward, backward) = (loss([&a, &b], &positions), loss([&b, &a], &swapped));
    assert_close(scalar(&forward.total), scalar(&backward.total));
    assert_close(scalar(&forward.penalty), scalar(&backward.penalty));
}

#[test]
fn permuting_the_batch_leaves_the_loss() {
    let (a, b) = (features(4, 6, 1.0, 1), features(4, 6, 1.0, 2));
    let positions = SourcePositions::draw(&SCALES, 4, 7, 0);
    let order = [2u32, 0, 3, 1];
    let permuted = |features: &Features| {
        let index = Tensor::new(&order, &Device::Cpu).unwrap();
        Features::new(features.maps().iter().map(|map| map.index_select(&index, 0).unwrap()).collect())
            .unwrap()
    };
    let pick = |view: &[u32]| order.iter().map(|&i| view[i as usize]).collect::<Vec<_>>();
    let moved = changed(&positions, |of| [pick(of(0)), pick(of(1))]);
    let expected = scalar(&loss([&a, &b], &positions).total);
    assert_close(scalar(&loss([&permuted(&a), &permuted(&b)], &moved).total), expected);
}

#[test]
fn equal_embeddings_give_the_chance_level() {
    for batch in [2, 3, 16] {
        let maps =
            SCALES.map(|scale| Tensor::full(0.3, (batch, scale.locations(), 5), &Device::Cpu).unwrap());
        let equal = Features::new(maps.to_vec()).unwrap();
        let result = loss([&equal, &equal], &SourcePositions::draw(&SCALES, batch, 1, 1));
        for report in &result.terms {
            assert_close(scalar(&report.loss), chance_level(report.term, batch));
            assert_eq!(scalar(&report.top1), 0.0, "a tie is no hit");
        }
        // The root magnifies the rounding of the mean square.
        assert!(scalar(&result.score_std) < 1e-6);
    }
    assert_close(chance_level(Term::new(1, 7), 64), (1.0 + 63.0 * 49.0f64).ln());
}

#[test]
fn any_finite_score_gives_a_finite_loss_and_gradient() {
    for (scale, dtype) in [(1e4, DType::F32), (1e-30, DType::F32), (1e150, DType::F64), (0.0, DType::F32)] {
        let leaf = Var::from_tensor(&tensor(&[3, 3, 4], scale, 5).to_dtype(dtype).unwrap()).unwrap();
        let result = info_nce(&leaf).unwrap();
        assert!(scalar(&result.loss).is_finite(), "loss at scores of {scale}");
        let gradients = result.loss.backward().unwrap();
        assert!(
            flat(gradients.get(&leaf).unwrap()).iter().all(|g| g.is_finite()),
            "gradient at scores of {scale}"
        );
    }
    // Through the clip, embeddings of any size: saturated, but finite.
    let (a, b) = (features(3, 4, 1e6, 1), features(3, 4, 1e6, 2));
    assert!(scalar(&loss([&a, &b], &SourcePositions::draw(&SCALES, 3, 1, 0)).total).is_finite());
}

/// The objective as plain loops over numbers, straight from the definition.
#[test]
fn equals_a_slow_second_implementation() {
    let (batch, embedding) = (3, 4);
    let views = [features(batch, embedding, 2.0, 3), features(batch, embedding, 2.0, 4)];
    let positions = SourcePositions::draw(&SCALES, batch, 9, 9);
    let result = loss([&views[0], &views[1]], &positions);
    let at = |view: usize, scale: Scale, i: usize, location: usize| -> Vec<f64> {
        flat(&views[view].at(scale).unwrap().get(i).unwrap().get(location).unwrap())
    };
    let mut penalty = 0.0;
    for report in &result.terms {
        let (source, target) = (report.term.source(), report.term.target());
        let mut term = 0.0;
        for (from, to) in [(0, 1), (1, 0)] {
            let location = |i: usize| positions.of(source, from).map_or(0, |of| of[i] as usize);
            let score = |i: usize, j: usize, l: usize| -> f64 {
                let (s, t) = (at(from, source, i, location(i)), at(to, target, j, l));
                s.iter().zip(&t).map(|(a, b)| a * b).sum::<f64>() / (embedding as f64).sqrt()
            };
            let clip = |s: f64| 20.0 * (s / 20.0).tanh();
            let locations = target.locations();
            let (mut nce, mut squares) = (0.0, 0.0);
            for i in 0..batch {
                let mut negatives = 0.0;
                for j in 0..batch {
                    for l in 0..locations {
                        squares += score(i, j, l).powi(2);
                        if j != i {
                            negatives += clip(score(i, j, l)).exp();
                        }
                    }
                }
                for l in 0..locations {
                    let positive = clip(score(i, i, l));
                    nce += (positive.exp() + negatives).ln() - positive;
                }
            }
            term += 0.5 * nce / (batch * locations) as f64;
            penalty += 0.5 * 0.04 * squares / (batch * batch * locations) as f64;
        }
        assert_close(scalar(&report.loss), term);
    }
    assert_close(scalar(&result.penalty), penalty);
    let sum: f64 = result.terms.iter().map(|report| scalar(&report.loss)).sum();
    assert_close(scalar(&result.total), sum + penalty);
}

#[test]
fn a_term_can_be_switched_off() {
    let (a, b) = (features(3, 4, 1.0, 1), features(3, 4, 1.0, 2));
    let positions = SourcePositions::draw(&SCALES, 3, 1, 0);
    let all = loss([&a, &b], &positions);
    for (index, term) in TERMS.into_iter().enumerate() {
        let config = ObjectiveConfig { terms: vec![term], ..objective() };
        let alone = multiscale_loss([&a, &b], &positions, &config).unwrap();
        assert_eq!(alone.terms.len(), 1);
        assert_close(scalar(&alone.terms[0].loss), scalar(&all.terms[index].loss));
    }
}

#[test]
fn bad_objectives_and_batches_are_refused() {
    let (one, two) = (features(1, 4, 1.0, 1), features(2, 4, 1.0, 1));
    let code = |views: [&Features; 2], config: ObjectiveConfig, positions: SourcePositions| {
        multiscale_loss(views, &positions, &config).unwrap_err().code()
    };
    let draw = |batch| SourcePositions::draw(&SCALES, batch, 1, 1);
    assert_eq!(code([&one, &one], objective(), draw(1)), "AMDIM_INVALID_ARGUMENT");
    assert_eq!(code([&two, &two], objective(), draw(3)), "AMDIM_SHAPE");
    for bad in [
        ObjectiveConfig { terms: vec![], ..objective() },
        ObjectiveConfig { terms: vec![Term::new(1, 5), Term::new(1, 5)], ..objective() },
        ObjectiveConfig { terms: vec![Term::new(1, 6)], ..objective() },
        ObjectiveConfig { terms: vec![Term::new(4, 5)], ..objective() },
        ObjectiveConfig { score_clip: Some(0.0), ..objective() },
        ObjectiveConfig { score_clip: Some(f64::INFINITY), ..objective() },
        ObjectiveConfig { logit_penalty: f64::NAN, ..objective() },
    ] {
        assert_eq!(code([&two, &two], bad, draw(2)), "AMDIM_INVALID_ARGUMENT");
    }
}

#[test]
fn unlabelled_rows_do_not_count() {
    let logits = tensor(&[4, 3], 2.0, 2);
    let plain = CrossEntropy { clip: 10.0, penalty: 0.0, label_smoothing: 0.0, confidence_penalty: 0.0 };
    let labelled = clipped_cross_entropy(&logits.narrow(0, 0, 2).unwrap(), &[1, 2], &plain).unwrap();
    let mixed = clipped_cross_entropy(&logits, &[1, 2, -1, -1], &plain).unwrap();
    assert_close(scalar(&mixed.loss), scalar(&labelled.loss));
    assert_eq!((mixed.labelled, mixed.correct), (2, labelled.correct));
    assert_eq!(scalar(&clipped_cross_entropy(&logits, &[-1; 4], &plain).unwrap().loss), 0.0);
    let error = clipped_cross_entropy(&logits, &[0, 1, 2, 3], &plain).unwrap_err();
    assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT");
}

/// Computed by hand from softmax probabilities.
#[test]
fn smoothing_and_confidence_penalty_are_those_of_the_definition() {
    let logits = tensor(&[3, 4], 2.0, 6);
    let labels = [2, -1, 0];
    let (label_smoothing, confidence_penalty) = (0.2, 0.4);
    let config = CrossEntropy { clip: 1e6, penalty: 0.0, label_smoothing, confidence_penalty };
    let mut expected = 0.0;
    for (row, label) in logits.to_vec2::<f64>().unwrap().into_iter().zip(labels) {
        let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
        for (class, logit) in row.iter().enumerate().filter(|_| label >= 0) {
            let probability = logit.exp() / sum;
            let target = 0.05 + if class as i64 == label { 0.8 } else { 0.0 };
            expected += (confidence_penalty * probability - target) * probability.ln() / 2.0;
        }
    }
    let found = scalar(&clipped_cross_entropy(&logits, &labels, &config).unwrap().loss);
    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
}

/// Features, running statistics and parameter gradients of the two executors, for every encoder, size and option.
#[test]
fn both_executors_compute_the_same() {
    for (encoder, batch, mixes) in [
        (encoder(32, false), 5, false),
        (encoder(32, true), 3, false),
        (encoder(64, true), 2, false),
        (encoder(128, false), 2, false),
        (resnet(ResNetDepth::ResNet18, 32), 3, false),
        (resnet(ResNetDepth::ResNet34, 64), 2, false),
        (resnet(ResNetDepth::ResNet50, 128), 2, false),
        (encoder(32, false), 5, true),
    ] {
        let size = encoder.encoder_size();
        let images = tensor(&[batch, 3, size, size], 1.5, 21);
        let mut runs = Vec::new();
        for kind in [ExecutorKind::Cpu, ExecutorKind::Candle] {
            let shape = mixes.then(mixture_shape);
            let mut model = mixture_model(encoder.clone(), shape, 0, kind, DType::F64);
            shake(&mut model, 3);
            let evaluated = model.embed(&images).unwrap();
            let placement = model.placement().clone();
            let network = model.network().clone();
            let mut executor = amdim_core::executor::build(
                kind,
                network,
                &placement.device,
                placement.dtype,
                Precision::F32,
                2,
            )
            .unwrap();
            let mut running = model.running.clone();
            let pass = executor.forward(&model.parameters, &mut running, &images).unwrap();
            let outputs = pass.outputs.clone();
            let gradients: Vec<Tensor> =
                outputs.iter().enumerate().map(|(i, map)| tensor(map.dims(), 1.0, 40 + i as u64)).collect();
            let gradient = pass.backward(&gradients).unwrap();
            let mut all = evaluated.maps().to_vec();
            assert_eq!(evaluated.mixture().is_some(), mixes);
            all.extend(evaluated.mixture().cloned());
            all.extend(outputs);
            all.extend([running, gradient]);
            runs.push(all);
        }
        for (cpu, candle) in runs[0].iter().zip(&runs[1]) {
            assert_eq!(cpu.dims(), candle.dims());
            let largest = flat(candle).iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
            for (a, b) in flat(cpu).iter().zip(flat(candle)) {
                assert!((a - b).abs() <= 1e-9 * largest, "{encoder:?}: {a} and {b}");
            }
        }
    }
}
