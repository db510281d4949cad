//! Every loss and every backward against central differences in f64.

mod common;

use amdim_core::encoder::{Features, Scale};
use amdim_core::estimator::info_nce;
use amdim_core::executor::ExecutorKind;
use amdim_core::loss::{
    CrossEntropy, ObjectiveConfig, SourcePositions, clipped_cross_entropy, multiscale_loss,
};
use amdim_core::method::MethodConfig;
use amdim_core::nn::{Classifiers, Mode};
use amdim_core::optim::AdamConfig;
use amdim_core::train_step::{Learner, Learns, StepConfig};
use candle_core::{DType, Device, Tensor, Var};
use common::{
    SCALES, check_direction, check_directions, encoder, flat, mixture, mixture_model, mixture_shape,
    reshaped, scalar, shake, tensor, values,
};

fn objective() -> ObjectiveConfig {
    ObjectiveConfig {
        score_clip: Some(3.0),
        logit_penalty: 0.04,
        terms: common::TERMS.to_vec(),
        mixture: None,
    }
}

#[test]
fn info_nce_by_its_scores() {
    for (batch, locations) in [(2, 1), (3, 5), (5, 2)] {
        let dims = [batch, batch, locations];
        let at = values(batch * batch * locations, 2.0, 3);
        let leaf = Var::from_tensor(&reshaped(&at, &dims)).unwrap();
        let gradients = info_nce(&leaf).unwrap().loss.backward().unwrap();
        let gradient = flat(gradients.get(&leaf).unwrap());
        check_directions("info_nce", &at, &gradient, &mut |x| {
            scalar(&info_nce(&reshaped(x, &dims)).unwrap().loss)
        });
    }
}

#[test]
fn multiscale_loss_by_every_map() {
    for score_clip in [objective().score_clip, None] {
        by_every_map(&ObjectiveConfig { score_clip, ..objective() });
    }
}

fn by_every_map(config: &ObjectiveConfig) {
    let (batch, embedding) = (3, 4);
    let positions = SourcePositions::draw(&SCALES, batch, 1, 2);
    let views = [common::features(batch, embedding, 1.5, 1), common::features(batch, embedding, 1.5, 2)];
    for view in 0..2 {
        for scale in SCALES {
            let replaced = |map: Tensor| -> Features {
                let other = |&other: &Scale| {
                    if other == scale { map.clone() } else { views[view].at(other).unwrap().clone() }
                };
                let maps = SCALES.iter().map(other).collect();
                Features::new(maps).unwrap()
            };
            let loss = |map: Tensor| {
                let changed = replaced(map);
                let pair = if view == 0 { [&changed, &views[1]] } else { [&views[0], &changed] };
                multiscale_loss(pair, &positions, config).unwrap().total
            };
            let map = views[view].at(scale).unwrap();
            let leaf = Var::from_tensor(map).unwrap();
            let gradients = loss(leaf.as_tensor().clone()).backward().unwrap();
            let gradient = flat(gradients.get(&leaf).unwrap());
            let name = format!("multiscale loss by view {view}, {scale:?}, clip {:?}", config.score_clip);
            check_directions(&name, &flat(map), &gradient, &mut |x| scalar(&loss(reshaped(x, map.dims()))));
        }
    }
}

#[test]
fn clipped_cross_entropy_by_its_logits() {
    let labels = [2, -1, 0, 1, 2];
    let at = values(15, 12.0, 4);
    for (label_smoothing, confidence_penalty) in [(0.0, 0.0), (0.1, 0.0), (0.2, 0.7)] {
        let config = CrossEntropy { clip: 10.0, penalty: 1e-3, label_smoothing, confidence_penalty };
        let loss = |x: &Tensor| clipped_cross_entropy(x, &labels, &config).unwrap().loss;
        let leaf = Var::from_tensor(&reshaped(&at, &[5, 3])).unwrap();
        let gradient = flat(loss(&leaf).backward().unwrap().get(&leaf).unwrap());
        check_directions("cross-entropy", &at, &gradient, &mut |x| scalar(&loss(&reshaped(x, &[5, 3]))));
    }
}

#[test]
fn classifiers_by_their_parameters() {
    let features = tensor(&[7, 5], 1.0, 8);
    let labels = [0, 1, 2, 3, -1, 1, 0];
    let heads = Classifiers::new(common::classifiers(), 5, 4, 9, DType::F64, &Device::Cpu).unwrap();
    for mode in [Mode::Eval, Mode::TrainWithoutDropout, Mode::Train { seed: 3, update: 4 }] {
        let run = |x: &[f64]| {
            let mut heads = heads.clone();
            heads.values = reshaped(x, &[x.len()]);
            heads.pass(&features, &labels, mode).unwrap()
        };
        let at = flat(&heads.values);
        let gradient = flat(&run(&at).gradient);
        check_directions(&format!("classifiers, {mode:?}"), &at, &gradient, &mut |x| {
            let pass = run(x);
            pass.mlp.loss + pass.linear.loss
        });
    }
}

#[test]
fn encoders_by_every_parameter() {
    for executor in [ExecutorKind::Cpu, ExecutorKind::Candle] {
        for (size, batch_norm) in [(32, false), (32, true), (64, false), (128, true)] {
            encoder_by_every_parameter(executor, size, batch_norm, Learns::FromViews, false);
        }
        encoder_by_every_parameter(executor, 32, true, Learns::FromLabels, false);
        encoder_by_every_parameter(executor, 32, false, Learns::FromViews, true);
    }
}

/// The whole step's gradient, one parameter tensor at a time, so that a wrong one can't hide behind the others.
fn encoder_by_every_parameter(
    executor: ExecutorKind,
    size: usize,
    batch_norm: bool,
    learns: Learns,
    mixes: bool,
) {
    let batch = 2;
    let classes = if learns == Learns::FromLabels { 3 } else { 0 };
    let shape = mixes.then(mixture_shape);
    let mut model = mixture_model(encoder(size, batch_norm), shape, classes, executor, DType::F64);
    shake(&mut model, 6);
    let network = model.network().clone();
    let views = [tensor(&[batch, 3, size, size], 1.0, 11), tensor(&[batch, 3, size, size], 1.0, 12)];
    let positions = SourcePositions::draw(&SCALES, batch, 1, 0);
    // The objective must not depend on labels, which only some of its steps have.
    let labels = if learns == Learns::FromLabels { [0, 1, 2, 0] } else { [-1; 4] };
    let optimizer = AdamConfig {
        learning_rate: 1e-3,
        beta1: 0.8,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        gradient_clip: None,
    };
    let objective = ObjectiveConfig { mixture: mixes.then(mixture), ..objective() };
    let config = StepConfig {
        method: MethodConfig::Amdim,
        chunk_size: None,
        statistics_frozen: false,
        objective,
        optimizer,
        learns,
        seed: 1,
    };
    let mut learner = Learner::new(model, config).unwrap();
    let at = flat(&learner.model().unwrap().parameters);
    let mut compute = |x: &[f64]| {
        learner.model().unwrap().parameters = reshaped(x, &[x.len()]);
        learner.compute([&views[0], &views[1]], &labels, &positions).unwrap()
    };
    let gradient = flat(&compute(&at).encoder_gradient.unwrap());
    for (index, parameter) in network.parameters.iter().enumerate().filter(|(_, parameter)| parameter.used) {
        let mut direction = vec![0.0; at.len()];
        direction[parameter.range()].copy_from_slice(&values(parameter.len(), 1.0, 50 + index as u64));
        let name = format!("{executor:?}, {size} pixels, batch norm {batch_norm}, {}", parameter.name);
        check_direction(&name, &at, &gradient, &direction, &mut |x| {
            let report = compute(x).report;
            match (report.objective, report.classifier) {
                (Some(objective), _) => objective.total,
                (None, Some(heads)) => heads.linear_loss + heads.mlp_loss,
                (None, None) => panic!("nothing was learnt"),
            }
        });
    }
    let unused: f64 = network.parameters.iter().filter(|p| !p.used).flat_map(|p| &gradient[p.range()]).sum();
    assert_eq!(unused, 0.0);
}
