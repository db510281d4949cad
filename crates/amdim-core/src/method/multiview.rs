//! Mutual information between the vectors of two views, by any bound and critic.

use amdim_random::{Purpose, Stream};
use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

use super::loss::Loss;
use super::own::{self, Own};
use super::{Batch, Carried, Method, Outcome, Settings, Start, View, carried};
use crate::critic::{Critic, CriticKind, check_negatives};
use crate::estimator::mine::Mine;
use crate::estimator::{Bound, Maximised, Scores};
use crate::model::Model;
use crate::{Error, Result, tensors};

/// Moving average of MINE.
const LOG_AVERAGE: &str = "logAverage";
/// Parameters of the critic.
const CRITIC: &str = "critic";
/// Largest weight of a critic of the Wasserstein dependency measure, by magnitude.
const LARGEST_WEIGHT: f64 = 0.05;

/// Settings of [`MethodConfig::Multiview`](super::MethodConfig::Multiview).
///
/// # Source
/// Tschannen, Djolonga, Rubenstein, Gelly, Lucic 2020, arXiv 1907.13625, equation 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MultiviewConfig {
    /// What is maximised over pairs of vectors.
    pub bound: Maximised,
    /// MINE: share of a new batch in the moving average, above 0, at most 1. Files of the time before this option mean 0.01.
    #[serde(default = "usual_rate")]
    pub average_rate: f64,
    /// What scores them.
    pub critic: CriticKind,
    /// Units of the critic's hidden layers, at least 1.
    pub units: usize,
    /// Other pictures of the batch that are a picture's negatives, at least 1. None: all of them.
    #[serde(deserialize_with = "Option::deserialize")]
    pub negatives: Option<usize>,
    /// Weight of the confusion of the model's linear classifier, 0 or more. Files of the time before this option mean 0.
    #[serde(default)]
    pub confusion_weight: f64,
}

impl Default for MultiviewConfig {
    /// What files of the time before this method mean, and the defaults of the schema.
    fn default() -> Self {
        Self {
            bound: Bound::InfoNce.into(),
            average_rate: usual_rate(),
            critic: CriticKind::Separable,
            units: 256,
            negatives: None,
            confusion_weight: 0.0,
        }
    }
}

fn usual_rate() -> f64 {
    0.01
}

impl Settings for MultiviewConfig {
    type Method = Multiview;

    fn validate(&self, batch: usize) -> Result<()> {
        if !(1..=1 << 16).contains(&self.units) {
            return Err(Error::argument("multiview.units", format!("1 to {}", 1 << 16), self.units));
        }
        if !(self.confusion_weight.is_finite() && self.confusion_weight >= 0.0) {
            let expected = "0 or a positive number";
            return Err(Error::argument("multiview.confusionWeight", expected, self.confusion_weight));
        }
        if !(self.average_rate > 0.0 && self.average_rate <= 1.0) {
            let expected = "a number above 0, at most 1";
            return Err(Error::argument("multiview.averageRate", expected, self.average_rate));
        }
        check_negatives("multiview.negatives", self.negatives, batch)
    }

    fn build(&self, model: &Model) -> Result<Multiview> {
        if self.confusion_weight > 0.0 && model.classifiers.is_none() {
            let expected = "labels, and classifiers that can learn, beside multiview.confusionWeight";
            return Err(Error::argument("classifiers", expected, "none"));
        }
        let dimensions = model.config().encoder.embedding_dim();
        Ok(Multiview { config: self.clone(), critic: self.critic.build(dimensions, dimensions, self.units)? })
    }
}

/// The method.
///
/// ```text
/// loss = - I(f(view 1); f(view 2)) + confusionWeight confusion
/// ```
///
/// where I is the chosen bound over all pairs of the batch and f the encoder's vector; both views have gradients. What
/// the views are is the augmentation's: with halves of pictures it is the study's set-up.
///
/// Confusion makes a bad encoder on purpose: it is the cross-entropy of the uniform distribution and the answer of the
/// model's linear classifier, which learns the labels from the same vectors at the same time, mean over both views
/// (Tzeng, Hoffman, Darrell, Saenko 2015, arXiv 1510.02192, equation 4). Its least value, log of the number of classes, is
/// a classifier that can tell nothing. The study maximises the classifier's own loss, which has no largest value.
///
/// With the Wasserstein dependency measure (`w1`) scores must not change faster than their arguments: vectors are scaled
/// to length 1, and the critic's parameters are cut to +-0.05 after each update (Arjovsky, Chintala, Bottou 2017, arXiv
/// 1701.07875), which bounds its slope by some constant. The value is that distance up to the constant.
pub(super) struct Multiview {
    config: MultiviewConfig,
    critic: Box<dyn Critic>,
}

impl Multiview {
    /// MINE's average as it is carried; another bound reads none.
    fn mine(&self, state: &Carried) -> Result<Mine> {
        let mut mine = Mine::new(self.config.average_rate);
        if self.config.bound == Maximised::MINE {
            let values = tensors::to_vec(carried(state, LOG_AVERAGE)?)?;
            mine.log_average = (values[0] > 0.0).then_some(values[1].into());
        }
        Ok(mine)
    }

    fn scores(&self, values: &[Tensor], [first, second]: [Tensor; 2]) -> Result<Scores> {
        let others = self.config.negatives.unwrap_or(first.dim(0)?.saturating_sub(1));
        self.critic.scores(values, &first, &second.unsqueeze(1)?, others)
    }
}

impl Method for Multiview {
    fn start(&self, model: &Model, seed: u64) -> Result<Start> {
        let mut start = Start::default();
        let parameters = self.critic.parameters();
        if !parameters.is_empty() {
            let mut stream = Stream::new(seed, Purpose::InitMethod, 0);
            start.learnt.push((CRITIC, own::drawn(model, parameters, &mut stream)?));
        }
        if self.config.bound == Maximised::MINE {
            start.kept.push((LOG_AVERAGE, stored(model, None)?));
        }
        Ok(start)
    }

    fn compute(&mut self, model: &mut Model, batch: &Batch<'_>, state: &Carried) -> Result<Outcome> {
        let views = [
            View::open(model, batch.views[0], batch.chunk_size)?,
            View::open(model, batch.views[1], batch.chunk_size)?,
        ];
        let mut vectors = [views[0].taped.global()?, views[1].taped.global()?];
        if self.config.bound.bound() == Bound::W1 {
            vectors = [unit(&vectors[0])?, unit(&vectors[1])?];
        }
        let has_parameters = !self.critic.parameters().is_empty();
        let own = has_parameters.then(|| Own::open(CRITIC, self.critic.parameters(), state)).transpose()?;
        let scores = self.scores(&own.as_ref().map_or_else(Vec::new, Own::taped), vectors)?;
        let mut mine = self.mine(state)?;
        let minus_bound = self.config.bound.step(&scores, &mut mine)?.neg()?;
        let mut loss = Loss::default();
        loss.add("views", 1.0, &minus_bound, Some(top1(&scores)?))?;
        if self.config.confusion_weight > 0.0 {
            loss.add("confusion", self.config.confusion_weight, &confusion(model, &views)?, None)?;
        }
        let (moves, report) = loss.finish()?;
        let gradients = moves.backward()?;
        let learnt_gradients = own.iter().map(|own| own.gradient(&gradients)).collect::<Result<Vec<_>>>()?;
        let features = views.iter().map(|view| view.features(model)).collect::<Result<Vec<_>>>()?;
        let [first, second] = views;
        let gradient = (first.backward(model, &gradients)? + second.backward(model, &gradients)?)?;
        let kept = match self.config.bound {
            Maximised::MINE => vec![(LOG_AVERAGE, stored(model, mine.log_average)?)],
            Maximised::Bound(_) => vec![],
        };
        Ok(Outcome { features, report, gradient, learnt_gradients, kept })
    }

    fn after_update(&self, _model: &Model, carried: &mut Carried) -> Result<()> {
        if self.config.bound.bound() == Bound::W1
            && let Some(critic) = carried.get_mut(CRITIC)
        {
            *critic = critic.clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT)?;
        }
        Ok(())
    }
}

/// MINE's average as it is carried: whether there is one, and its logarithm.
fn stored(model: &Model, log_average: Option<f64>) -> Result<Tensor> {
    let placement = model.placement();
    let values = log_average.map_or([0.0, 0.0], |value| [1.0, value as f32]);
    tensors::from_slice(&values, &[2], placement.dtype, &placement.device)
}

/// What the model's linear classifier is told to answer, against what it answers.
fn confusion(model: &Model, views: &[View; 2]) -> Result<Tensor> {
    let heads = model.classifiers.as_ref().ok_or_else(|| Error::internal("there is no classifier"))?;
    let [first, second] = [&views[0], &views[1]].map(|view| heads.linear_confusion(&view.taped.global()?));
    Ok(((first? + second?)? * 0.5)?)
}

/// Rows of length 1.
fn unit(rows: &Tensor) -> Result<Tensor> {
    // The small number keeps the gradient of a row of zeros finite.
    let length = (rows.sqr()?.sum_keepdim(D::Minus1)? + 1e-12)?.sqrt()?;
    Ok(rows.broadcast_div(&length)?)
}

/// Share of the pictures whose own pair scores above all their negatives.
fn top1(scores: &Scores) -> Result<f64> {
    let own = scores.positives.detach(); // [n, 1]
    let best = scores.negatives.detach().flatten_from(1)?.max_keepdim(1)?;
    let above = own.gt(&best)?.to_dtype(candle_core::DType::F64)?;
    tensors::to_scalar(&above.mean_all()?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::encoder::{Activation, EncoderConfig, MlpEncoder};
    use crate::executor::ExecutorKind;
    use crate::model::{ModelConfig, Placement};
    use crate::nn::ClassifierConfig;

    const BATCH: usize = 5;

    fn model() -> Model {
        model_with(ModelConfig::encoder_alone)
    }

    fn model_with(config: impl Fn(EncoderConfig) -> ModelConfig) -> Model {
        let encoder = MlpEncoder {
            encoder_size: 28,
            input_channels: 1,
            hidden_units: 4,
            hidden_layers: 1,
            embedding_dim: 3,
            activation: Activation::Tanh,
        };
        Model::new(config(encoder.into()), 3, Placement::exact(ExecutorKind::Cpu, 1)).unwrap()
    }

    /// With classifiers, as confusion needs.
    fn classifying() -> Model {
        let classifiers = ClassifierConfig { hidden_units: 2, ..ClassifierConfig::default() };
        model_with(|encoder| ModelConfig {
            classifiers: classifiers.clone(),
            classes: 3,
            ..ModelConfig::encoder_alone(encoder)
        })
    }

    fn images(index: u64) -> Tensor {
        let mut stream = Stream::new(1, Purpose::Prior, index);
        let values: Vec<f64> = (0..BATCH * 28 * 28).map(|_| stream.normal()).collect();
        Tensor::from_vec(values, (BATCH, 1, 28, 28), &Device::Cpu).unwrap()
    }

    fn compute(config: &MultiviewConfig, model: &mut Model, state: &Carried) -> Outcome {
        let (one, other) = (images(7), images(8));
        let batch = Batch { views: [&one, &other], labels: &[], seed: 1, update: 2, chunk_size: None };
        config.build(model).unwrap().compute(model, &batch, state).unwrap()
    }

    #[test]
    fn gradients_are_those_of_finite_differences_for_every_bound_and_critic() {
        for &bound in Bound::ALL {
            for &critic in CriticKind::ALL {
                let config = MultiviewConfig {
                    bound: bound.into(),
                    critic,
                    units: 4,
                    negatives: Some(3),
                    confusion_weight: 0.7,
                    ..MultiviewConfig::default()
                };
                let mut model = classifying();
                let state: Carried =
                    config.build(&model).unwrap().start(&model, 4).unwrap().learnt.into_iter().collect();
                let outcome = compute(&config, &mut model, &state);
                let values: Vec<f64> = model.parameters.to_vec1().unwrap();
                let groups = outcome.learnt_gradients.iter().map(|(name, gradient)| (Some(*name), gradient));
                for (name, gradient) in [(None, &outcome.gradient)].into_iter().chain(groups) {
                    let own: Vec<f64> = gradient.to_vec1().unwrap();
                    let largest = own.iter().fold(1e-6f64, |largest, value| largest.max(value.abs()));
                    for at in (0..own.len()).step_by(own.len().div_ceil(7)) {
                        let mut loss = |by: f64| {
                            let (mut values, mut state) = (values.clone(), state.clone());
                            if let Some(name) = name {
                                let mut critic: Vec<f64> = state[name].to_vec1().unwrap();
                                critic[at] += by;
                                state.insert(name, Tensor::new(critic, &Device::Cpu).unwrap());
                            } else {
                                values[at] += by;
                            }
                            model.parameters = Tensor::new(values, &Device::Cpu).unwrap();
                            compute(&config, &mut model, &state).report.total
                        };
                        let slope = (loss(1e-6) - loss(-1e-6)) / 2e-6;
                        let error = (slope - own[at]).abs();
                        assert!(
                            error < 3e-5 * largest,
                            "{bound} {critic} {name:?} {at}: {} {slope}",
                            own[at]
                        );
                    }
                }
            }
        }
    }

    /// By the dot product of the vectors, as a loop over pairs.
    #[test]
    fn the_value_is_that_of_a_loop_over_pairs() {
        let config = MultiviewConfig { critic: CriticKind::Dot, ..MultiviewConfig::default() };
        let mut model = model();
        let outcome = compute(&config, &mut model, &Carried::new());
        let [x, y] =
            [0, 1].map(|view: usize| outcome.features[view].global().unwrap().to_vec2::<f64>().unwrap());
        let score = |i: usize, j: usize| x[i].iter().zip(&y[j]).map(|(a, b)| a * b).sum::<f64>();
        let mut expected = 0.0;
        for i in 0..BATCH {
            let sum: f64 = (0..BATCH).map(|j| score(i, j).exp()).sum();
            expected -= (score(i, i) - (sum / BATCH as f64).ln()) / BATCH as f64;
        }
        assert!((outcome.report.total - expected).abs() < 1e-10, "{} {expected}", outcome.report.total);
    }

    #[test]
    fn confusion_is_least_where_the_classifier_can_tell_nothing() {
        let config = MultiviewConfig { confusion_weight: 1.0, ..MultiviewConfig::default() };
        let mut model = classifying();
        let state: Carried =
            config.build(&model).unwrap().start(&model, 4).unwrap().learnt.into_iter().collect();
        let confusion = |model: &mut Model| {
            let report = compute(&config, model, &state).report;
            let [views, confusion] = &report.parts[..] else { panic!("{:?}", report.parts) };
            assert!((report.total - views.loss - confusion.loss).abs() < 1e-12);
            confusion.loss
        };
        assert!(confusion(&mut model) > 3f64.ln() + 1e-3);
        let classifiers = model.classifiers.as_mut().unwrap();
        classifiers.values = classifiers.values.zeros_like().unwrap();
        assert!((confusion(&mut model) - 3f64.ln()).abs() < 1e-12);
    }

    /// The first batch is its own average, which gives the gradient of Donsker-Varadhan; a later one is divided by what it
    /// was before, too. The loss is minus the bound either way.
    #[test]
    fn mine_carries_its_average_from_update_to_update() {
        let mut model = model();
        let of =
            |bound| MultiviewConfig { bound, units: 4, average_rate: 0.25, ..MultiviewConfig::default() };
        let mine = of(Maximised::MINE);
        let start = mine.build(&model).unwrap().start(&model, 4).unwrap();
        let mut state: Carried = start.learnt.into_iter().chain(start.kept).collect();
        let plain = compute(&of(Bound::Dv.into()), &mut model, &state);
        let first = compute(&mine, &mut model, &state);
        let gradient = |outcome: &Outcome| outcome.gradient.to_vec1::<f64>().unwrap();
        let near = |a: &Outcome, b: &Outcome| {
            gradient(a).iter().zip(gradient(b)).all(|(a, b)| (a - b).abs() < 1e-12)
        };
        assert!(near(&first, &plain));
        let (_, average) = &first.kept[0];
        assert_eq!(average.to_vec1::<f64>().unwrap()[0], 1.0);
        // As if batches before had had larger scores.
        state.insert(LOG_AVERAGE, (average + 1.0).unwrap());
        let later = compute(&mine, &mut model, &state);
        assert!(!near(&later, &plain));
        assert!((later.report.total - plain.report.total).abs() < 1e-9);
    }

    #[test]
    fn a_wasserstein_critic_is_cut_after_each_update() {
        let config = MultiviewConfig { bound: Bound::W1.into(), ..MultiviewConfig::default() };
        let model = model();
        let method = config.build(&model).unwrap();
        let mut carried = Carried::from([(CRITIC, Tensor::new(&[-1.0, 0.01, 7.0], &Device::Cpu).unwrap())]);
        method.after_update(&model, &mut carried).unwrap();
        assert_eq!(carried[CRITIC].to_vec1::<f64>().unwrap(), [-0.05, 0.01, 0.05]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let good = MultiviewConfig::default();
        good.validate(8).unwrap();
        for bad in [
            MultiviewConfig { units: 0, ..good.clone() },
            MultiviewConfig { negatives: Some(0), ..good.clone() },
            MultiviewConfig { negatives: Some(8), ..good.clone() },
            MultiviewConfig { confusion_weight: -1.0, ..good.clone() },
            MultiviewConfig { confusion_weight: f64::NAN, ..good.clone() },
            MultiviewConfig { average_rate: 0.0, ..good.clone() },
            MultiviewConfig { average_rate: 1.5, ..good.clone() },
        ] {
            assert_eq!(bad.validate(8).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
        let confused = MultiviewConfig { confusion_weight: 1.0, ..good };
        let error = confused.build(&model()).err().unwrap();
        assert!(error.to_string().contains("confusionWeight"), "{error}");
    }
}
