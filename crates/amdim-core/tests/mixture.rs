//! Mixture features: the objective against its definition, its gradient, and what follows from the definition.

mod common;

use amdim_core::encoder::Features;
use amdim_core::executor::ExecutorKind;
use amdim_core::loss::{
    MixtureConfig, MultiscaleLoss, ObjectiveConfig, SourcePositions, Term, chance_level, mixture_nce,
    multiscale_loss, posterior_without_negatives,
};
use amdim_core::method::MethodConfig;
use amdim_core::model::MixtureShape;
use amdim_core::optim::AdamConfig;
use amdim_core::train_step::{Learner, Learns, StepConfig};
use candle_core::{DType, Device, Tensor, Var};
use common::{
    SCALES, check_directions, encoder, features, flat, mixture, mixture_model, mixture_shape, reshaped,
    scalar, shake, tensor, values,
};

const BATCH: usize = 4;
const EMBEDDING: usize = 6;
const COMPONENTS: usize = 3;

fn views() -> [Features; 2] {
    [1, 2].map(|view| {
        let mixture = tensor(&[BATCH, COMPONENTS, EMBEDDING], 2.0, 70 + view);
        features(BATCH, EMBEDDING, 1.5, view).with_mixture(mixture).unwrap()
    })
}

fn objective(mixture: MixtureConfig) -> ObjectiveConfig {
    let terms = vec![Term::new(1, 5), Term::new(1, 7), Term::new(5, 5)];
    ObjectiveConfig { score_clip: Some(5.0), logit_penalty: 0.04, terms, mixture: Some(mixture) }
}

fn loss(views: &[Features; 2], mixture: MixtureConfig) -> MultiscaleLoss {
    let positions = SourcePositions::draw(&SCALES, BATCH, 3, 0);
    multiscale_loss([&views[0], &views[1]], &positions, &objective(mixture)).unwrap()
}

fn best(entropy_weight: f64, stop_posterior: bool) -> MixtureConfig {
    MixtureConfig { entropy_weight, temperature: None, stop_posterior, ..mixture() }
}

fn assert_close(ours: f64, expected: f64) {
    assert!((ours - expected).abs() <= 1e-10 * expected.abs().max(1.0), "{ours}, {expected} expected");
}

/// The settings that the gradient is that of the whole loss for.
fn settings() -> [MixtureConfig; 4] {
    [mixture(), best(0.5, true), best(0.5, false), MixtureConfig { entropy_weight: 0.0, ..mixture() }]
}

/// A score of every component, as the definition has it: `[from][picture][component][target picture][location]`.
fn score(views: &[Features; 2], [from, to]: [usize; 2], side: usize, at: [usize; 4]) -> f64 {
    let [i, c, j, l] = at;
    let source = flat(&views[from].mixture().unwrap().get(i).unwrap().get(c).unwrap());
    let map = views[to].at(amdim_core::encoder::Scale::new(side)).unwrap();
    let target = flat(&map.get(j).unwrap().get(l).unwrap());
    source.iter().zip(&target).map(|(a, b)| a * b).sum::<f64>() / (EMBEDDING as f64).sqrt()
}

/// Equations 8 and 9 of the paper as plain loops over numbers.
#[test]
fn equals_a_slow_second_implementation() {
    let views = views();
    for config in settings() {
        let result = loss(&views, config.clone());
        let temperature = config.temperature.unwrap_or(1.0 / config.entropy_weight);
        let clip = |s: f64| 5.0 * (s / 5.0).tanh();
        let mut penalty = 0.0;
        for (report, side) in result.terms[..2].iter().zip([5, 7]) {
            let locations = side * side;
            let (mut expected, mut entropies) = (0.0, 0.0);
            for direction in [[0, 1], [1, 0]] {
                let mut squares = 0.0;
                for i in 0..BATCH {
                    let mut log_softmax = vec![[0.0; COMPONENTS]; locations];
                    for c in 0..COMPONENTS {
                        let mut negatives = 0.0;
                        for j in 0..BATCH {
                            for l in 0..locations {
                                let score = score(&views, direction, side, [i, c, j, l]);
                                squares += score * score;
                                negatives += if j == i { 0.0 } else { clip(score).exp() };
                            }
                        }
                        for (l, row) in log_softmax.iter_mut().enumerate() {
                            let positive = clip(score(&views, direction, side, [i, c, i, l]));
                            row[c] = positive - (positive.exp() + negatives).ln();
                        }
                    }
                    for row in log_softmax {
                        let sum: f64 = row.iter().map(|s| (temperature * s).exp()).sum();
                        let q = row.map(|s| (temperature * s).exp() / sum);
                        let entropy: f64 = -q.iter().map(|q| q * q.ln()).sum::<f64>();
                        let mean: f64 = q.iter().zip(row).map(|(q, s)| q * s).sum();
                        let share = 0.5 / (BATCH * locations) as f64;
                        expected -= share * (mean + config.entropy_weight * entropy);
                        entropies += share * entropy;
                    }
                }
                penalty += 0.5 * 0.04 * squares / (COMPONENTS * BATCH * BATCH * locations) as f64;
            }
            assert_close(scalar(&report.loss), expected);
            assert_close(scalar(report.entropy.as_ref().unwrap()), entropies);
        }
        // The term between local maps is as without a mixture.
        let config = ObjectiveConfig { terms: vec![Term::new(5, 5)], mixture: None, ..objective(config) };
        let positions = SourcePositions::draw(&SCALES, BATCH, 3, 0);
        let local = multiscale_loss([&views[0], &views[1]], &positions, &config).unwrap();
        assert_close(scalar(&result.terms[2].loss), scalar(&local.terms[0].loss));
        assert!(result.terms[2].entropy.is_none());
        assert_close(scalar(&result.penalty), penalty + scalar(&local.penalty));
    }
}

#[test]
fn gradients_by_mixture_features_and_targets() {
    let views = views();
    for config in settings() {
        for part in 0..2 {
            let replaced = |x: &Tensor| {
                let first = if part == 0 {
                    views[0].clone().with_mixture(x.clone()).unwrap()
                } else {
                    let mut maps = views[0].maps().to_vec();
                    maps[1] = x.clone();
                    Features::new(maps).unwrap().with_mixture(views[0].mixture().unwrap().clone()).unwrap()
                };
                loss(&[first, views[1].clone()], config.clone()).total
            };
            let at = if part == 0 { views[0].mixture().unwrap() } else { &views[0].maps()[1] };
            let leaf = Var::from_tensor(at).unwrap();
            let gradient = flat(replaced(&leaf).backward().unwrap().get(&leaf).unwrap());
            check_directions(&format!("{config:?}, part {part}"), &flat(at), &gradient, &mut |x| {
                scalar(&replaced(&reshaped(x, at.dims())))
            });
        }
    }
}

/// A stopped posterior leaves the gradient of the expected log-softmax alone.
#[test]
fn a_stopped_posterior_is_a_constant() {
    let dims = [BATCH, COMPONENTS, BATCH, 5];
    let at = values(dims.iter().product(), 2.0, 5);
    let config = MixtureConfig { stop_posterior: true, ..mixture() };
    let leaf = Var::from_tensor(&reshaped(&at, &dims)).unwrap();
    let result = mixture_nce(&leaf, &config).unwrap();
    let gradient = flat(result.loss.backward().unwrap().get(&leaf).unwrap());
    let posterior = result.posterior;
    check_directions("stopped posterior", &at, &gradient, &mut |x| {
        let scores = reshaped(x, &dims);
        let parts: Vec<Tensor> = (0..COMPONENTS)
            .map(|j| {
                let scores = scores.narrow(1, j, 1).unwrap().squeeze(1).unwrap();
                amdim_core::estimator::info_nce(&scores).unwrap().log_softmax
            })
            .collect();
        let expected = (Tensor::stack(&parts, 2).unwrap() * &posterior).unwrap();
        -scalar(&expected.sum(2).unwrap().mean_all().unwrap())
    });
}

/// At temperature 1 / alpha the objective is alpha * log sum exp(s / alpha), and it doesn't matter whether the
/// posterior's gradient is stopped.
#[test]
fn the_best_posterior_gives_the_logsumexp() {
    let dims = [BATCH, COMPONENTS, BATCH, 5];
    for alpha in [0.05, 0.5, 1.0, 3.0] {
        let leaf = Var::from_tensor(&tensor(&dims, 2.0, 6)).unwrap();
        let mut gradients = vec![];
        for stop in [true, false] {
            let result = mixture_nce(&leaf, &best(alpha, stop)).unwrap();
            let mut expected = 0.0;
            let log_softmax: Vec<Vec<f64>> = (0..COMPONENTS)
                .map(|j| {
                    let scores = leaf.narrow(1, j, 1).unwrap().squeeze(1).unwrap();
                    flat(&amdim_core::estimator::info_nce(&scores).unwrap().log_softmax)
                })
                .collect();
            for at in 0..BATCH * 5 {
                let sum: f64 = log_softmax.iter().map(|part| (part[at] / alpha).exp()).sum();
                expected += alpha * sum.ln() / (BATCH * 5) as f64;
            }
            assert_close(-scalar(&result.loss), expected);
            gradients.push(flat(result.loss.backward().unwrap().get(&leaf).unwrap()));
        }
        for (stopped, whole) in gradients[0].iter().zip(&gradients[1]) {
            assert!((stopped - whole).abs() < 1e-13, "{stopped} and {whole}");
        }
    }
}

/// Of all temperatures, 1 / alpha has the smallest loss.
#[test]
fn no_other_temperature_is_better() {
    let scores = tensor(&[BATCH, COMPONENTS, BATCH, 5], 3.0, 9);
    let loss = |temperature| {
        scalar(&mixture_nce(&scores, &MixtureConfig { temperature, ..mixture() }).unwrap().loss)
    };
    let smallest = loss(None);
    for temperature in [0.1, 1.0, 3.0, 4.5, 5.5, 7.0, 20.0] {
        assert!(loss(Some(temperature)) > smallest, "temperature {temperature}");
    }
}

#[test]
fn without_entropy_the_best_component_counts() {
    let scores = tensor(&[BATCH, COMPONENTS, BATCH, 5], 3.0, 7);
    let log_softmax: Vec<Vec<f64>> = (0..COMPONENTS)
        .map(|j| {
            let scores = scores.narrow(1, j, 1).unwrap().squeeze(1).unwrap();
            flat(&amdim_core::estimator::info_nce(&scores).unwrap().log_softmax)
        })
        .collect();
    let largest = |at: usize| log_softmax.iter().map(|part| part[at]).fold(f64::MIN, f64::max);
    let hard = -(0..BATCH * 5).map(largest).sum::<f64>() / (BATCH * 5) as f64;
    let mut before = f64::INFINITY;
    for alpha in [1.0, 0.1, 0.01, 1e-5] {
        let error = hard - scalar(&mixture_nce(&scores, &best(alpha, true)).unwrap().loss);
        assert!((0.0..before).contains(&error), "alpha {alpha}: {error}");
        before = error;
    }
    assert!(before < 1e-5 * 2.0);
}

/// One component whose network gives nothing is the global vector.
#[test]
fn one_component_without_a_residual_branch_is_the_base_loss() {
    let shape = MixtureShape { components: 1, hidden_units: 4 };
    let images = [11, 12].map(|seed| tensor(&[BATCH, 3, 32, 32], 1.0, seed));
    let positions = SourcePositions::draw(&SCALES, BATCH, 1, 0);
    for executor in [ExecutorKind::Cpu, ExecutorKind::Candle] {
        let compute = |mixture: Option<MixtureConfig>| {
            let shape = mixture.as_ref().map(|_| shape);
            let mut model = mixture_model(encoder(32, false), shape, 0, executor, DType::F64);
            let base = encoder(32, false).describe().unwrap().parameter_len();
            let noise = tensor(&[base], 0.3, 6);
            let own = model.parameters.narrow(0, 0, base).unwrap();
            let rest = model.parameters.dims1().unwrap() - base;
            let zeros = Tensor::zeros(rest, DType::F64, &Device::Cpu).unwrap();
            model.parameters = Tensor::cat(&[(own + noise).unwrap(), zeros], 0).unwrap();
            let mut learner = learner(model, ObjectiveConfig { mixture, ..objective(self::mixture()) });
            let computed = learner.compute([&images[0], &images[1]], &[-1; 8], &positions).unwrap();
            let gradient = flat(computed.encoder_gradient.as_ref().unwrap());
            (computed.report.objective.unwrap(), gradient[..base].to_vec())
        };
        let (plain, gradient) = compute(None);
        let (mixed, same) = compute(Some(MixtureConfig { components: 1, ..mixture() }));
        assert_close(mixed.total, plain.total);
        assert_eq!(mixed.parts.len(), plain.parts.len());
        for (part, expected) in mixed.parts.iter().zip(&plain.parts) {
            assert_close(part.loss, expected.loss);
            assert_close(part.top1.unwrap(), expected.top1.unwrap());
        }
        assert_eq!((mixed.posterior_entropy, plain.posterior_entropy), (Some(0.0), None));
        for (a, e) in same.iter().zip(&gradient) {
            assert!((a - e).abs() < 1e-10 * e.abs().max(1.0), "{a} instead of {e}");
        }
    }
}

#[test]
fn equal_embeddings_give_the_chance_level() {
    let maps = SCALES.map(|scale| Tensor::full(0.3, (BATCH, scale.locations(), 5), &Device::Cpu).unwrap());
    let mixture_features = Tensor::full(0.3, (BATCH, COMPONENTS, 5), &Device::Cpu).unwrap();
    let equal = Features::new(maps.to_vec()).unwrap().with_mixture(mixture_features).unwrap();
    let views = [equal.clone(), equal];
    for config in settings() {
        let objective = objective(config.clone());
        for report in loss(&views, config).terms {
            assert_close(scalar(&report.loss), objective.chance_level(report.term, BATCH));
        }
    }
    let best = objective(best(0.5, true));
    let term = Term::new(1, 5);
    assert_close(best.chance_level(term, 64), chance_level(term, 64) - 0.5 * 3f64.ln());
    assert_close(best.chance_level(Term::new(5, 5), 64), chance_level(Term::new(5, 5), 64));
}

/// Parameters of the mixture come after the encoder's, which are drawn as without one.
#[test]
fn the_encoder_is_drawn_as_without_a_mixture() {
    let plain = mixture_model(encoder(32, false), None, 0, ExecutorKind::Cpu, DType::F32);
    let mut mixed =
        mixture_model(encoder(32, false), Some(mixture_shape()), 0, ExecutorKind::Cpu, DType::F32);
    let (own, all) = (flat(&plain.parameters), flat(&mixed.parameters));
    assert_eq!(all[..own.len()], own);
    assert!(all[own.len()..].iter().filter(|&&value| value != 0.0).count() > (all.len() - own.len()) / 2);

    // The encoder of a model without a mixture serves one with a mixture, whose own network stays.
    let mut other = mixture_model(encoder(32, false), None, 0, ExecutorKind::Cpu, DType::F32);
    shake(&mut other, 2);
    let state = other.state().unwrap();
    assert_eq!(mixed.load_encoder(&state).unwrap_err().code(), "AMDIM_SHAPE");
    mixed.load_encoder_alone(&state).unwrap();
    let loaded = flat(&mixed.parameters);
    assert_eq!(loaded[..own.len()], flat(&other.parameters));
    assert_eq!(loaded[own.len()..], all[own.len()..]);
}

#[test]
fn the_posterior_of_a_picture_alone_sums_to_one() {
    let scores = tensor(&[2, COMPONENTS, 4], 3.0, 8);
    let posterior = posterior_without_negatives(&scores, 2.0).unwrap();
    assert_eq!(posterior.dims(), [2, COMPONENTS, 4]);
    let (scores, posterior) = (scores.to_vec3::<f64>().unwrap(), posterior.to_vec3::<f64>().unwrap());
    for (scores, posterior) in scores.iter().zip(&posterior) {
        for l in 0..4 {
            let sum: f64 = (0..COMPONENTS).map(|c| (2.0 * scores[c][l]).exp()).sum();
            for c in 0..COMPONENTS {
                assert_close(posterior[c][l], (2.0 * scores[c][l]).exp() / sum);
            }
        }
    }
    let extreme = (tensor(&[1, COMPONENTS, 4], 20.0, 8) * 1e9).unwrap();
    assert!(flat(&posterior_without_negatives(&extreme, 1e9).unwrap()).iter().all(|p| p.is_finite()));
}

#[test]
fn what_is_out_of_range_is_refused() {
    let code = |config: MixtureConfig| config.validate().map_err(|error| error.to_string());
    assert!(code(mixture()).is_ok());
    for (bad, name) in [
        (MixtureConfig { components: 0, ..mixture() }, "components"),
        (MixtureConfig { components: 257, ..mixture() }, "components"),
        (MixtureConfig { hidden_units: Some(0), ..mixture() }, "hiddenUnits"),
        (MixtureConfig { entropy_weight: -1.0, ..mixture() }, "entropyWeight"),
        (MixtureConfig { entropy_weight: 0.0, temperature: None, ..mixture() }, "entropyWeight"),
        (MixtureConfig { temperature: Some(0.0), ..mixture() }, "temperature"),
        (MixtureConfig { temperature: Some(f64::NAN), ..mixture() }, "temperature"),
        (MixtureConfig { temperature: Some(1e39), ..mixture() }, "temperature"),
        (MixtureConfig { entropy_weight: 1e-39, temperature: None, ..mixture() }, "entropyWeight"),
    ] {
        let message = code(bad).unwrap_err();
        assert!(message.contains(&format!("objective.mixture.{name}")), "{message}");
    }
    // A mixture that no term reads, and one that the model does not have.
    let unread = ObjectiveConfig { terms: vec![Term::new(5, 5)], ..objective(mixture()) };
    assert_eq!(unread.validate(&SCALES).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
    let model = |shape| mixture_model(encoder(32, false), shape, 0, ExecutorKind::Cpu, DType::F32);
    assert!(Learner::new(model(None), step(objective(mixture()))).is_err());
    let plain = ObjectiveConfig { mixture: None, ..objective(mixture()) };
    assert!(Learner::new(model(Some(mixture_shape())), step(plain)).is_err());
    let positions = SourcePositions::draw(&SCALES, 2, 3, 0);
    let without = features(2, 4, 1.0, 1);
    let error = multiscale_loss([&without, &without], &positions, &objective(mixture())).unwrap_err();
    assert_eq!(error.code(), "AMDIM_SHAPE");
    assert_eq!(without.with_mixture(tensor(&[2, 3, 5], 1.0, 1)).unwrap_err().code(), "AMDIM_SHAPE");
}

fn step(objective: ObjectiveConfig) -> StepConfig {
    let optimizer = AdamConfig {
        learning_rate: 1e-3,
        beta1: 0.8,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        gradient_clip: None,
    };
    StepConfig {
        method: MethodConfig::Amdim,
        chunk_size: None,
        statistics_frozen: false,
        objective,
        optimizer,
        learns: Learns::FromViews,
        seed: 1,
    }
}

fn learner(model: amdim_core::model::Model, objective: ObjectiveConfig) -> Learner {
    Learner::new(model, step(objective)).unwrap()
}
