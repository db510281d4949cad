//! Steps over batches in parts equal the plain step.

mod common;

use amdim_core::executor::ExecutorKind;
use amdim_core::loss::SourcePositions;
use amdim_core::train_step::Learner;
use candle_core::{DType, Tensor};
use common::cases::{Case, cases};
use common::{encoder, flat, tensor};

const BATCH: usize = 7;

const PLACES: [(ExecutorKind, DType, f64); 3] = [
    (ExecutorKind::Cpu, DType::F32, 1e-5),
    (ExecutorKind::Candle, DType::F64, 1e-12),
    (ExecutorKind::Cpu, DType::F64, 1e-12),
];

fn assert_near(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    let largest = theirs.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let worst = ours.iter().zip(theirs).fold(0.0f64, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst <= tolerance * largest, "{what}: off by {worst} of {largest}");
}

fn compute(learner: &mut Learner, dtype: DType) -> (Vec<f64>, Vec<f64>, f64, Vec<f64>) {
    let view = |seed| tensor(&[BATCH, 3, 32, 32], 1.0, seed).to_dtype(dtype).unwrap();
    let views = [view(1), view(2)];
    let labels = [0, 1, 2, -1, 0, 1, 2];
    let scales = learner.model().unwrap().scales().to_vec();
    let positions = SourcePositions::draw(&scales, BATCH, 3, 0);
    let twice = [labels, labels].concat();
    let computed = learner.compute([&views[0], &views[1]], &twice, &positions).unwrap();
    let total = computed.report.objective.as_ref().map_or(0.0, |objective| objective.total);
    let gradient = flat(computed.encoder_gradient.as_ref().unwrap());
    let heads = flat(computed.classifier_gradient.as_ref().unwrap());
    let global: Vec<Tensor> = computed.features.iter().map(|features| features.global().unwrap()).collect();
    (gradient, heads, total, global.iter().flat_map(flat).collect())
}

/// A batch of 7 in parts of 4 and 3, and of 3, 2 and 2 (neither divides it).
#[test]
fn with_frozen_statistics_they_equal_the_plain_step() {
    for case in cases() {
        for (executor, dtype, tolerance) in PLACES {
            let mut plain = case.learner((executor, dtype), None, true);
            let running = flat(&plain.model().unwrap().running);
            let expected = compute(&mut plain, dtype);
            assert_eq!(flat(&plain.model().unwrap().running), running, "running statistics moved");
            for most in [4, 3] {
                let mut learner = case.learner((executor, dtype), Some(most), true);
                let found = compute(&mut learner, dtype);
                assert_near(&found.0, &expected.0, tolerance, "gradient of the encoder");
                assert_near(&found.1, &expected.1, tolerance, "gradient of the classifiers");
                assert_near(&[found.2], &[expected.2], tolerance, "loss");
                assert_near(&found.3, &expected.3, tolerance, "features");
                assert_eq!(flat(&learner.model().unwrap().running), running, "running statistics moved");
            }
        }
    }
}

/// Both executors derive through a batch norm whose statistics are constants in the same way.
#[test]
fn with_frozen_statistics_the_executors_agree() {
    for case in cases() {
        let [candle, cpu] = [ExecutorKind::Candle, ExecutorKind::Cpu]
            .map(|executor| compute(&mut case.learner((executor, DType::F64), None, true), DType::F64));
        assert_near(&cpu.0, &candle.0, 1e-10, "gradient of the encoder");
        assert_near(&[cpu.2], &[candle.2], 1e-12, "loss");
    }
}

/// Each part normalises by itself, as each of several devices does; the running statistics move once a part and view.
#[test]
fn with_batch_statistics_each_part_has_its_own() {
    let case = Case::amdim(encoder(32, true));
    for (executor, dtype, tolerance) in PLACES {
        let mut learner = case.learner((executor, dtype), Some(4), false);
        let found = compute(&mut learner, dtype);
        // The features of a part are those of a batch of its pictures alone.
        let mut alone = case.learner((executor, dtype), None, false);
        let mut parts = vec![];
        for (seed, part) in [(1, 0..3), (1, 3..7), (2, 0..3), (2, 3..7)] {
            let view = tensor(&[BATCH, 3, 32, 32], 1.0, seed).to_dtype(dtype).unwrap();
            let images = view.narrow(0, part.start, part.len()).unwrap();
            let features = alone.model().unwrap().embed_with_batch_statistics(&images).unwrap();
            parts.extend(flat(&features.global().unwrap()));
        }
        assert_near(&found.3, &parts, tolerance, "features");
        let running = flat(&alone.model().unwrap().running);
        assert_near(&flat(&learner.model().unwrap().running), &running, tolerance, "running statistics");
        assert_eq!(learner.model().unwrap().passes, alone.model().unwrap().passes);
    }
}

#[test]
fn a_step_in_parts_holds_the_maps_of_one() {
    let case = Case::amdim(encoder(32, false));
    let place = (ExecutorKind::Cpu, DType::F32);
    let maps = |most, batch| case.learner(place, most, false).memory(batch).unwrap().maps;
    assert!(maps(Some(16), 128) < maps(None, 128) / 4);
}
