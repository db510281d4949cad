//! The optimiser moves what the loss depends on, and nothing else.

mod common;

use amdim_core::executor::ExecutorKind;
use amdim_core::loss::SourcePositions;
use candle_core::DType;
use common::cases::cases;
use common::{flat, tensor};

const BATCH: usize = 7;
const LABELS: [i64; 2 * BATCH] = [0, 1, 2, -1, 0, 1, 2, 0, 1, 2, -1, 0, 1, 2];

/// Weight decay would move the projections of maps that a loss does not read, a little nearer to 0 with every update.
#[test]
fn parameters_move_where_they_have_a_gradient() {
    let mut stay = 0;
    for (number, case) in cases().into_iter().enumerate() {
        for executor in [ExecutorKind::Candle, ExecutorKind::Cpu] {
            let mut learner = case.learner((executor, DType::F32), None, false);
            let model = learner.model().unwrap();
            let (network, scales) = (model.network().clone(), model.scales().to_vec());
            let before = flat(&model.parameters);
            let view = |seed| tensor(&[BATCH, 3, 32, 32], 1.0, seed).to_dtype(DType::F32).unwrap();
            let positions = SourcePositions::draw(&scales, BATCH, 3, 0);
            let computed = learner.compute([&view(1), &view(2)], &LABELS, &positions).unwrap();
            let gradient = flat(computed.encoder_gradient.as_ref().unwrap());
            learner.apply(&computed, 1e-3).unwrap();
            let after = flat(&learner.model().unwrap().parameters);
            for parameter in &network.parameters {
                let moves = parameter.range().any(|at| after[at] != before[at]);
                let has_gradient = gradient[parameter.range()].iter().any(|&slope| slope != 0.0);
                assert_eq!(moves, has_gradient, "case {number}, {executor:?}: {}", parameter.name);
                stay += usize::from(!moves && parameter.used);
            }
        }
    }
    assert!(stay > 0, "every loss reads every map");
}
