//! Mutual information of samples by a bound whose critic is trained.

use std::sync::atomic::{AtomicBool, Ordering};

use amdim_core::critic::{Critic, CriticKind};
use amdim_core::estimator::mine::Mine;
use amdim_core::estimator::{Bound, Compat, Maximised, Scores};
use amdim_core::optim::{Adam, AdamConfig};
use amdim_core::{check_finite, parameters, tensors};
use amdim_eval::Features;
use amdim_random::{Purpose, Stream};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::config::at_least_one;
use crate::place::on_threads;
use crate::{Result, RunError};

/// Share of the evaluations, from the end, whose mean is the estimate.
const LAST_SHARE: f64 = 0.25;

/// How mutual information is estimated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EstimateRequest {
    /// Which bound, one on mutual information, and by which gradient.
    pub bound: Maximised,
    /// What scores pairs.
    pub critic: CriticKind,
    /// Units of the critic's hidden layers, at least 1.
    pub units: usize,
    /// Samples an update, at least 2.
    pub batch_size: usize,
    /// Other samples of a batch that are a sample's negatives, at least 1. None: all of them.
    pub negatives: Option<usize>,
    /// Updates of the critic, at least 1.
    pub updates: u64,
    /// Adam's learning rate, above 0.
    pub learning_rate: f64,
    /// MINE: share of a new batch in the moving average, above 0, at most 1.
    pub average_rate: f64,
    /// Which samples are a batch, and so each other's negatives.
    pub batches: Batches,
    /// Share of the samples on which the estimate is made and the critic is not trained, `0..1` (ends excluded).
    pub validation: f64,
    /// Updates between evaluations, at least 1.
    pub evaluate_every: u64,
    /// Seed of the split, of weights and of batches.
    pub seed: u64,
    /// Threads of the computation, at least 1.
    pub threads: usize,
}

/// Which samples are a batch, and so each other's negatives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Batches {
    /// Any: negatives are independent of the sample, as the bounds assume.
    #[default]
    Random,
    /// Those that were given one after another; the last ones are held out. Where neighbours depend on each other, as in
    /// recordings, so do negatives, and an estimate may lie above or below the truth.
    Consecutive,
}

impl EstimateRequest {
    fn validate(&self, samples: usize) -> Result<()> {
        for (name, value) in [
            ("units", self.units),
            ("updates", self.updates as usize),
            ("evaluateEvery", self.evaluate_every as usize),
            ("threads", self.threads),
        ] {
            at_least_one(name, value)?;
        }
        if !self.bound.bound().bounds_mutual_information() {
            let names = Bound::ALL.iter().filter(|bound| bound.bounds_mutual_information());
            let names = names.map(|bound| bound.name()).collect::<Vec<_>>().join(", ");
            let expected = format!("a bound on mutual information ({names}, mine)");
            return Err(RunError::argument("bound", expected, self.bound.bound()));
        }
        if !(self.validation > 0.0 && self.validation < 1.0) {
            return Err(RunError::argument("validation", "a number between 0 and 1", self.validation));
        }
        if !(self.average_rate > 0.0 && self.average_rate <= 1.0) {
            return Err(RunError::argument("averageRate", "a number above 0, at most 1", self.average_rate));
        }
        self.optimizer().validate()?;
        let [trained, held_out] = self.split(samples);
        if trained < 2 || held_out < 2 {
            let expected = "enough for 2 samples to train on and 2 to validate on";
            return Err(RunError::argument("samples", expected, samples));
        }
        if !(2..=trained).contains(&self.batch_size) {
            let expected = format!("2 to {trained} (the samples that are trained on)");
            return Err(RunError::argument("batchSize", expected, self.batch_size));
        }
        let most = self.batch_size - 1;
        match self.negatives {
            Some(negatives) if !(1..=most).contains(&negatives) => {
                Err(RunError::argument("negatives", format!("1 to {most}, or null"), negatives))
            }
            _ => Ok(()),
        }
    }

    fn optimizer(&self) -> AdamConfig {
        AdamConfig {
            learning_rate: self.learning_rate,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            gradient_clip: None,
        }
    }

    /// Numbers of samples to train on and to validate on.
    fn split(&self, samples: usize) -> [usize; 2] {
        let held_out = (samples as f64 * self.validation).round() as usize;
        [samples - held_out.min(samples), held_out]
    }
}

/// Samples of one variable.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// `[samples, dimensions]`
    pub values: &'a [f32],
    /// Dimensions of a sample, at least 1.
    pub dimensions: usize,
}

/// What an estimation came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// Mutual information in nats: the mean of the last quarter of the evaluations on held-out samples.
    pub nats: f64,
    /// Standard deviation of those evaluations.
    pub deviation: f64,
    /// The value that the bound can't exceed, where there is one.
    pub limit: Option<f64>,
    /// All evaluations.
    pub curve: Vec<EstimatePoint>,
    /// Samples that the critic was trained on.
    pub train_size: usize,
    /// Samples that the estimate was made on.
    pub validation_size: usize,
}

/// One evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EstimatePoint {
    /// Updates made.
    pub update: u64,
    /// The bound on the held-out samples, in nats.
    pub nats: f64,
    /// The bound on training batches since the last evaluation, in nats.
    pub training_nats: f64,
}

/// Estimates the mutual information of x and y, whose samples of the same number belong together.
///
/// # Errors
/// - `AMDIM_INVALID_ARGUMENT`: an option out of range, too few samples, a variable that does not vary
/// - `AMDIM_SHAPE`: samples of different numbers
/// - `AMDIM_NON_FINITE`: samples with NaN or infinity; a critic that diverged
/// - `AMDIM_CANCELLED` once `cancel` is set
pub fn estimate(
    request: &EstimateRequest,
    x: Samples<'_>,
    y: Samples<'_>,
    progress: &mut (dyn FnMut(&EstimatePoint) + Send),
    cancel: &AtomicBool,
) -> Result<Estimate> {
    let samples = x.values.len() / x.dimensions.max(1);
    if x.dimensions == 0 || y.dimensions == 0 || y.values.len() != samples * y.dimensions {
        let expected = [samples * y.dimensions];
        return Err(amdim_core::Error::shape("samples of y", &expected, &[y.values.len()]).into());
    }
    request.validate(samples)?;
    on_threads(request.threads, || Estimation::new(request, samples, x, y)?.run(progress, cancel))
}

struct Estimation<'a> {
    request: &'a EstimateRequest,
    critic: Box<dyn Critic>,
    values: Tensor,
    adam: Adam,
    /// `[samples, dimensions]`, those that are trained on first, of mean 0 and deviation 1 over these.
    variables: [Tensor; 2],
    sizes: [usize; 2],
}

impl<'a> Estimation<'a> {
    fn new(request: &'a EstimateRequest, samples: usize, x: Samples<'_>, y: Samples<'_>) -> Result<Self> {
        let sizes = request.split(samples);
        let order = match request.batches {
            Batches::Random => Stream::new(request.seed, Purpose::Negatives, 0).permutation(samples),
            Batches::Consecutive => (0..samples as u32).collect(),
        };
        let variables = [standardised("x", x, &order, sizes[0])?, standardised("y", y, &order, sizes[0])?];
        let critic = request.critic.build(x.dimensions, y.dimensions, request.units)?;
        let mut stream = Stream::new(request.seed, Purpose::InitMethod, 0);
        let drawn = parameters::draw(critic.parameters(), &mut stream);
        let values = tensors::from_vec(drawn, DType::F32, &Device::Cpu)?;
        let adam = Adam::new(&values)?;
        Ok(Self { request, critic, values, adam, variables, sizes })
    }

    fn run(
        mut self,
        progress: &mut (dyn FnMut(&EstimatePoint) + Send),
        cancel: &AtomicBool,
    ) -> Result<Estimate> {
        let request = self.request;
        let mut mine = Mine::new(request.average_rate);
        let mut curve = vec![];
        let (mut sum, mut count) = (0.0, 0u32);
        let mut order: Vec<u32> = vec![];
        let mut epoch = 0;
        for update in 1..=request.updates {
            if cancel.load(Ordering::Relaxed) {
                return Err(RunError::Cancelled);
            }
            if order.len() < request.batch_size {
                epoch += 1;
                order = self.epoch_order(epoch);
            }
            let rows = order.split_off(order.len() - request.batch_size);
            let value = self.update(&rows, &mut mine)?;
            check_finite("the bound (a smaller learning rate may help)", value, update)?;
            sum += value;
            count += 1;
            if update % request.evaluate_every == 0 || update == request.updates {
                let nats = self.evaluate()?;
                check_finite(
                    "the bound on the held-out samples (they may lie far from the others)",
                    nats,
                    update,
                )?;
                let point = EstimatePoint { update, nats, training_nats: sum / f64::from(count) };
                (sum, count) = (0.0, 0);
                progress(&point);
                curve.push(point);
            }
        }
        Ok(self.result(curve))
    }

    /// The samples that are trained on, batch after batch from the end.
    fn epoch_order(&self, epoch: u64) -> Vec<u32> {
        let (trained, batch) = (self.sizes[0], self.request.batch_size);
        let mut stream = Stream::new(self.request.seed, Purpose::Negatives, epoch);
        match self.request.batches {
            Batches::Random => stream.permutation(trained),
            Batches::Consecutive => {
                let starts = stream.permutation(trained / batch);
                starts.into_iter().flat_map(|start| (start * batch as u32..).take(batch)).collect()
            }
        }
    }

    fn result(&self, curve: Vec<EstimatePoint>) -> Estimate {
        let last = ((curve.len() as f64 * LAST_SHARE).ceil() as usize).max(1);
        let values: Vec<f64> = curve[curve.len() - last..].iter().map(|point| point.nats).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let negatives = self.others(self.request.batch_size.min(self.sizes[1])) as f64;
        Estimate {
            nats: mean,
            deviation: variance.sqrt(),
            limit: (self.request.bound.bound() == Bound::InfoNce).then(|| (1.0 + negatives).ln()),
            curve,
            train_size: self.sizes[0],
            validation_size: self.sizes[1],
        }
    }

    /// One update of the critic; returns the bound on the batch.
    fn update(&mut self, rows: &[u32], mine: &mut Mine) -> Result<f64> {
        let leaves = if self.critic.parameters().is_empty() {
            vec![]
        } else {
            parameters::leaves(&self.values, self.critic.parameters())?
        };
        let taped: Vec<Tensor> = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
        let rows = Tensor::new(rows, &Device::Cpu).map_err(amdim_core::Error::from)?;
        let scores = self.scores(&taped, &rows)?;
        let bound = self.request.bound.step(&scores, mine)?;
        let value = tensors::to_scalar(&bound)?;
        if !leaves.is_empty() && value.is_finite() {
            let gradients = bound.neg().and_then(|loss| loss.backward()).map_err(amdim_core::Error::from)?;
            let gradient = parameters::flat_gradient(&leaves, self.critic.parameters(), &gradients)?;
            let (rate, optimizer) = (self.request.learning_rate, self.request.optimizer());
            self.adam.update(&mut self.values, &gradient, None, rate, &optimizer)?;
        }
        Ok(value)
    }

    /// The bound on the held-out samples, in batches of the training's size; the last may be smaller, a single sample is
    /// left out. Donsker-Varadhan takes its logarithm of the mean over all of them, which is the less biased the more
    /// there are.
    fn evaluate(&self) -> Result<f64> {
        let views = if self.critic.parameters().is_empty() {
            vec![]
        } else {
            parameters::views(&self.values, self.critic.parameters())?
        };
        let [first, count] = self.sizes;
        let rows: Vec<u32> = (first..first + count).map(|row| row as u32).collect();
        let (mut positives, mut negatives) = (vec![], vec![]);
        let (mut sum, mut seen) = (0.0, 0);
        for rows in rows.chunks(self.request.batch_size).filter(|rows| rows.len() > 1) {
            let index = Tensor::new(rows, &Device::Cpu).map_err(amdim_core::Error::from)?;
            let scores = self.scores(&views, &index)?;
            if self.request.bound.bound() == Bound::InfoNce {
                let value = tensors::to_scalar(&Bound::InfoNce.value(&scores, Compat::None)?)?;
                sum += value * rows.len() as f64;
                seen += rows.len();
            } else {
                positives.extend(tensors::to_vec(&scores.positives)?);
                negatives.extend(tensors::to_vec(&scores.negatives)?);
            }
        }
        if self.request.bound.bound() == Bound::InfoNce {
            return Ok(sum / seen.max(1) as f64);
        }
        let column = |values: Vec<f32>, shape: &[usize]| -> Result<Tensor> {
            Ok(tensors::from_slice(&values, shape, DType::F64, &Device::Cpu)?)
        };
        let shapes = [[positives.len(), 1, 1], [negatives.len(), 1, 1]];
        let scores = Scores {
            positives: column(positives, &shapes[0][..2])?,
            negatives: column(negatives, &shapes[1])?,
        };
        Ok(tensors::to_scalar(&self.request.bound.bound().value(&scores, Compat::None)?)?)
    }

    fn scores(&self, values: &[Tensor], rows: &Tensor) -> Result<Scores> {
        let [x, y] = &self.variables;
        let pick = |variable: &Tensor| variable.index_select(rows, 0);
        let x = pick(x).map_err(amdim_core::Error::from)?;
        let y = pick(y).and_then(|y| y.unsqueeze(1)).map_err(amdim_core::Error::from)?;
        let others = self.others(rows.elem_count());
        Ok(self.critic.scores(values, &x, &y, others)?)
    }

    fn others(&self, batch: usize) -> usize {
        self.request.negatives.map_or(batch - 1, |negatives| negatives.min(batch - 1))
    }
}

/// The samples in another order, each dimension less its mean and by its deviation over the first `trained`.
///
/// Mutual information does not change by it; critics learn faster. A dimension that does not vary tells nothing and
/// becomes 0.
fn standardised(name: &'static str, samples: Samples<'_>, order: &[u32], trained: usize) -> Result<Tensor> {
    let d = samples.dimensions;
    // Only for its check that all values are finite.
    Features::new(name, samples.values, d)?;
    let mut values: Vec<f32> =
        order.iter().flat_map(|&row| &samples.values[row as usize * d..][..d]).copied().collect();
    let mut varies = false;
    for column in 0..d {
        let of_training = || values[..trained * d].iter().skip(column).step_by(d).map(|&v| f64::from(v));
        let mean = of_training().sum::<f64>() / trained as f64;
        let variance = of_training().map(|value| (value - mean).powi(2)).sum::<f64>() / trained as f64;
        let scale = if variance > 0.0 { 1.0 / variance.sqrt() } else { 0.0 };
        varies |= variance > 0.0;
        for value in values.iter_mut().skip(column).step_by(d) {
            *value = ((f64::from(*value) - mean) * scale) as f32;
        }
    }
    if !varies {
        let expected = "samples that vary (mutual information with a constant is 0)";
        return Err(RunError::argument(name, expected, "a constant"));
    }
    Ok(tensors::from_slice(&values, &[order.len(), d], DType::F32, &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bound: Maximised, critic: CriticKind) -> EstimateRequest {
        EstimateRequest {
            bound,
            critic,
            units: 32,
            batch_size: 64,
            negatives: (critic == CriticKind::Concatenated).then_some(4),
            updates: 500,
            learning_rate: 2e-3,
            average_rate: 0.05,
            batches: Batches::Random,
            validation: 0.3,
            evaluate_every: 25,
            seed: 1,
            threads: 2,
        }
    }

    /// Pairs of normal variables, each dimension correlated by `rho`.
    fn gaussian(samples: usize, dimensions: usize, rho: f64) -> [Vec<f32>; 2] {
        let mut stream = Stream::new(7, Purpose::Negatives, 5);
        let (mut x, mut y) = (vec![], vec![]);
        for _ in 0..samples * dimensions {
            let (a, b) = (stream.normal(), stream.normal());
            x.push(a as f32);
            y.push((rho * a + (1.0 - rho * rho).sqrt() * b) as f32);
        }
        [x, y]
    }

    fn run(request: &EstimateRequest, [x, y]: &[Vec<f32>; 2], dimensions: usize) -> Result<Estimate> {
        let samples = |values| Samples { values, dimensions };
        estimate(request, samples(x), samples(y), &mut |_| {}, &AtomicBool::new(false))
    }

    #[test]
    fn normal_variables_have_their_information() {
        let data = gaussian(4000, 1, 0.8);
        let expected = -0.5 * (1.0f64 - 0.64).ln();
        for (bound, critic) in [
            (Maximised::Bound(Bound::Dv), CriticKind::Separable),
            (Maximised::Bound(Bound::Nwj), CriticKind::Separable),
            (Maximised::Bound(Bound::InfoNce), CriticKind::Separable),
            (Maximised::MINE, CriticKind::Concatenated),
        ] {
            let found = run(&request(bound, critic), &data, 1).unwrap();
            assert!((found.nats - expected).abs() < 0.12, "{bound:?}: {}, {expected} expected", found.nats);
            assert_eq!(found.curve.len(), 20);
            assert_eq!((found.train_size, found.validation_size), (2800, 1200));
            assert_eq!(found.limit.is_some(), bound == Maximised::Bound(Bound::InfoNce));
        }
    }

    #[test]
    fn independent_variables_have_none() {
        let [x, _] = gaussian(1500, 2, 0.0);
        let y: Vec<f32> = gaussian(1500, 2, 0.0)[1].iter().rev().copied().collect();
        let found =
            run(&request(Maximised::Bound(Bound::InfoNce), CriticKind::Bilinear), &[x, y], 2).unwrap();
        assert!(found.nats.abs() < 0.05, "{}", found.nats);
    }

    /// Every second sample has the other sign: a neighbour is never a likely partner, which independent ones may be.
    #[test]
    fn negatives_that_depend_on_the_sample_lift_the_estimate_above_the_truth() {
        let mut stream = Stream::new(3, Purpose::Negatives, 6);
        let mut side = |i: usize| (if i.is_multiple_of(2) { 1.0 } else { -1.0 } + stream.normal()) as f32;
        let data = [0, 1].map(|_| (0..6000).map(&mut side).collect::<Vec<f32>>());
        // I(X; Y) is at most I(X; sign), which a sum over a fine grid finds.
        let density = |x: f64, sign: f64| (-0.5 * (x - sign).powi(2)).exp() / std::f64::consts::TAU.sqrt();
        let most: f64 = (-8000..8000)
            .map(|step| {
                let x = f64::from(step) / 1000.0;
                let [own, other] = [density(x, 1.0), density(x, -1.0)];
                own * (2.0 * own / (own + other)).ln() / 1000.0
            })
            .sum();
        let base = EstimateRequest {
            negatives: Some(1),
            ..request(Maximised::Bound(Bound::Nwj), CriticKind::Separable)
        };
        let random = run(&base, &data, 1).unwrap().nats;
        let consecutive =
            run(&EstimateRequest { batches: Batches::Consecutive, ..base }, &data, 1).unwrap().nats;
        assert!(random < most && consecutive > 1.2 * most, "{random} {consecutive}, at most {most}");
    }

    #[test]
    fn the_seed_fixes_the_result() {
        let data = gaussian(300, 1, 0.5);
        let request =
            EstimateRequest { updates: 40, ..request(Maximised::Bound(Bound::Dv), CriticKind::Separable) };
        let one = run(&request, &data, 1).unwrap();
        assert_eq!(one, run(&request, &data, 1).unwrap());
        assert_ne!(one, run(&EstimateRequest { seed: 2, ..request }, &data, 1).unwrap());
    }

    #[test]
    fn what_has_no_estimate_is_refused() {
        let data = gaussian(100, 1, 0.5);
        let base = request(Maximised::Bound(Bound::Dv), CriticKind::Separable);
        let code =
            |request: &EstimateRequest, data: &[Vec<f32>; 2]| run(request, data, 1).unwrap_err().code();
        for bad in [
            EstimateRequest { batch_size: 1, ..base.clone() },
            EstimateRequest { batch_size: 71, ..base.clone() },
            EstimateRequest { negatives: Some(64), ..base.clone() },
            EstimateRequest { validation: 1.0, ..base.clone() },
            EstimateRequest { validation: 0.001, ..base.clone() },
            EstimateRequest { average_rate: 0.0, ..base.clone() },
            EstimateRequest { learning_rate: f64::NAN, ..base.clone() },
            EstimateRequest { updates: 0, ..base.clone() },
        ] {
            assert_eq!(code(&bad, &data), "AMDIM_INVALID_ARGUMENT", "{bad:?}");
        }
        let other = EstimateRequest { bound: Maximised::Bound(Bound::Jsd), ..base.clone() };
        assert_eq!(code(&other, &data), "AMDIM_INVALID_ARGUMENT");
        let [x, y] = data;
        assert_eq!(code(&base, &[vec![2.0; 100], y.clone()]), "AMDIM_INVALID_ARGUMENT");
        let mut broken = x.clone();
        broken[40] = f32::NAN;
        assert_eq!(code(&base, &[broken, y.clone()]), "AMDIM_NON_FINITE");
        assert_eq!(code(&base, &[x[1..].to_vec(), y.clone()]), "AMDIM_SHAPE");
        // The last sample is held out, and so far away that exp of its score is infinite.
        let [mut far_x, mut far_y] = [x, y];
        (far_x[99], far_y[99]) = (1e6, 1e6);
        let far = EstimateRequest {
            bound: Maximised::Bound(Bound::Nwj),
            critic: CriticKind::Dot,
            batches: Batches::Consecutive,
            batch_size: 16,
            updates: 1,
            ..base
        };
        assert_eq!(code(&far, &[far_x, far_y]), "AMDIM_NON_FINITE");
    }
}
