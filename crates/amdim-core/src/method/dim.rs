//! Deep InfoMax: mutual information between a picture's vector and its local map (local), or the whole of that map
//! (global), a prior on the vector, and the task of telling where a location lies.

use amdim_network::{Builder, DescribeError, Padding, Parameter, Source, Window};
use amdim_random::{Purpose, Stream};
use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

use super::loss::Loss;
use super::own::{self, Own};
use super::{Batch, Carried, Method, Outcome, Settings, Start, View};
use crate::critic::{Critic, CriticKind, Dot, DotsOfLeaves, check_negatives};
use crate::encoder::Features;
use crate::estimator::{Bound, Compat, Scores};
use crate::model::Model;
use crate::nn::Mlp;
use crate::nn::activation::{log_softmax, sigmoid, softplus};
use crate::{Error, Result, tensors};

/// Head that projects the vector.
const GLOBAL: &str = "infomax_global";
/// Head that projects the local map.
const LOCAL: &str = "infomax_local";
/// Head that makes one vector of the whole local map.
const WHOLE: &str = "infomax_whole";

/// Parameters of the critic of local DIM.
const CRITIC: &str = "critic";
/// Parameters of the discriminator between vectors and the prior.
const DISCRIMINATOR: &str = "discriminator";
/// Parameters of the network that tells where a location lies.
const COORDINATES: &str = "coordinates";

/// Units of the discriminator's hidden layers, as in the reference.
const DISCRIMINATOR_UNITS: [usize; 2] = [1000, 200];
/// Longest side of a map that one window covers on the way to one vector.
const COVERED: usize = 7;

/// Settings of [`MethodConfig::Dim`](super::MethodConfig::Dim).
///
/// # Source
/// Hjelm, Fedorov, Lavoie-Marchildon, Grewal, Bachman, Trischler, Bengio 2019, arXiv 1808.06670, equation 8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DimConfig {
    /// Weight of the global objective (alpha), 0 or more.
    pub global_weight: f64,
    /// Weight of the local objective (beta), 0 or more.
    pub local_weight: f64,
    /// Weight of prior matching (gamma), 0 or more.
    pub prior_weight: f64,
    /// Weight of the penalty on the slope of the discriminator, 0 or more. Files of the time before this option mean 0.
    #[serde(default)]
    pub gradient_penalty: f64,
    /// Weight of the coordinate task, 0 or more.
    pub coordinate_weight: f64,
    /// What is maximised over pairs of vector and location.
    pub bound: Bound,
    /// What scores them.
    pub critic: CriticKind,
    /// Units of the projections, and of a critic's hidden layer; at least 1. 2048 in the reference.
    pub units: usize,
    /// Other pictures of the batch that are a picture's negatives, at least 1. None: all of them.
    #[serde(deserialize_with = "Option::deserialize")]
    pub negatives: Option<usize>,
}

impl Default for DimConfig {
    /// What files of the time before there were methods mean, and the defaults of the schema.
    fn default() -> Self {
        Self {
            global_weight: 0.0,
            local_weight: 1.0,
            prior_weight: 0.1,
            gradient_penalty: 0.0,
            coordinate_weight: 0.0,
            bound: Bound::Jsd,
            critic: CriticKind::Dot,
            units: 512,
            negatives: None,
        }
    }
}

impl DimConfig {
    /// What the method adds to the encoder.
    pub fn heads(&self) -> InfomaxHeads {
        InfomaxHeads {
            units: self.units,
            local: self.local_weight > 0.0 && self.critic == CriticKind::Dot,
            whole: self.global_weight > 0.0,
        }
    }
}

impl Settings for DimConfig {
    type Method = Dim;

    fn validate(&self, batch: usize) -> Result<()> {
        let weights = [
            ("globalWeight", self.global_weight),
            ("localWeight", self.local_weight),
            ("priorWeight", self.prior_weight),
            ("coordinateWeight", self.coordinate_weight),
        ];
        for (name, weight) in weights {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(Error::argument(&format!("dim.{name}"), "0 or a positive number", weight));
            }
        }
        if weights.iter().all(|(_, weight)| *weight == 0.0) {
            return Err(Error::argument("dim", "at least one weight above 0", "none"));
        }
        if !(self.gradient_penalty.is_finite() && self.gradient_penalty >= 0.0) {
            let expected = "0 or a positive number";
            return Err(Error::argument("dim.gradientPenalty", expected, self.gradient_penalty));
        }
        if !(1..=1 << 16).contains(&self.units) {
            return Err(Error::argument("dim.units", format!("1 to {}", 1 << 16), self.units));
        }
        check_negatives("dim.negatives", self.negatives, batch)
    }

    fn build(&self, model: &Model) -> Result<Dim> {
        if model.config().infomax.as_ref() != Some(&self.heads()) {
            return Err(Error::argument(
                "method",
                "dim with a model made for it",
                "a model of another method",
            ));
        }
        let shapes = model.encoder().output_shapes();
        let (vector, map) = (shapes[0], shapes[1]);
        let discriminator =
            Mlp::new(&[vector.channels, DISCRIMINATOR_UNITS[0], DISCRIMINATOR_UNITS[1], 1], DISCRIMINATOR);
        let places = map.height + map.width;
        let coordinates = Mlp::new(&[map.channels + vector.channels, places, places], COORDINATES);
        let critic = match self.critic {
            CriticKind::Dot => self.critic.build(self.units, self.units, self.units)?,
            _ => self.critic.build(vector.channels, map.channels, self.units)?,
        };
        Ok(Dim { config: self.clone(), discriminator, coordinates, critic, side: map.height })
    }
}

/// Heads that Deep InfoMax adds to an encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InfomaxHeads {
    /// Dimensions of what they return.
    pub units: usize,
    /// Projections of the vector and of the local map, whose products are the scores of local DIM.
    pub local: bool,
    /// A further encoder from the local map to one vector, for global DIM.
    pub whole: bool,
}

impl InfomaxHeads {
    /// Names of the heads, in the order of their outputs.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let there = [(GLOBAL, self.local || self.whole), (LOCAL, self.local), (WHOLE, self.whole)];
        there.into_iter().filter(|(_, there)| *there).map(|(name, _)| name)
    }

    /// Adds them behind an encoder with these output nodes; the local map is the first one after the vector.
    pub(crate) fn extend(
        &self,
        builder: &mut Builder,
        maps: &[usize],
    ) -> std::result::Result<Vec<usize>, DescribeError> {
        let heads = self.names().map(|name| match name {
            GLOBAL => Ok(builder.projection(name, maps[0], self.units, true)),
            LOCAL => Ok(builder.projection(name, maps[1], self.units, true)),
            _ => self.whole(builder, maps[1]),
        });
        heads.collect()
    }

    /// Strided convolutions until one window covers the map, then two fully connected layers. As the reference has it,
    /// this is a copy of what the encoder itself has above its local map.
    fn whole(&self, builder: &mut Builder, map: usize) -> std::result::Result<usize, DescribeError> {
        let mut top = map;
        let mut number = 1;
        while builder.shape(Source::Node(top)).height > COVERED {
            let names = ["conv", "bn"].map(|kind| format!("{WHOLE}.{kind}{number}"));
            let out = 2 * builder.shape(Source::Node(top)).channels;
            let window = Window::new(4, 2, Padding::zeros(1));
            top = builder.normed_convolution(
                [&names[0], &names[1]],
                Source::Node(top),
                out,
                window,
                None,
                true,
            )?;
            number += 1;
        }
        let window = Window::new(builder.shape(Source::Node(top)).height, 1, Padding::none());
        let names = ["fc", "fc_bn"].map(|kind| format!("{WHOLE}.{kind}"));
        let top = builder.normed_convolution(
            [&names[0], &names[1]],
            Source::Node(top),
            self.units,
            window,
            None,
            true,
        )?;
        let one = Window::new(1, 1, Padding::none());
        builder.convolution(&format!("{WHOLE}.out"), Source::Node(top), self.units, one, true, false)
    }
}

/// The method. It looks at the first view alone: the paper learns from pictures without a second view.
///
/// ```text
/// loss = - alpha I(whole map; Y) - beta mean over locations I(location; Y) + gamma prior + delta coordinates
/// ```
///
/// where I is the chosen bound over all pairs of the batch, the prior's term is what a discriminator between the uniform
/// distribution and `sigmoid(Y)` gives the encoder (non-saturating), and the discriminator learns at the same time by an
/// optimiser of its own.
///
/// The discriminator's own loss may penalise its slope: half the mean squared norm of its gradient by its input, at samples
/// of the prior and at vectors (Mescheder, Geiger, Nowozin 2018, arXiv 1801.04406).
///
/// Difference from the authors' code: heads end in batch norm where theirs end in layer norm (the projections are
/// AMDIM's).
pub(super) struct Dim {
    config: DimConfig,
    discriminator: Mlp,
    coordinates: Mlp,
    /// Of local DIM.
    critic: Box<dyn Critic>,
    side: usize,
}

impl Method for Dim {
    fn start(&self, model: &Model, seed: u64) -> Result<Start> {
        let mut stream = Stream::new(seed, Purpose::InitMethod, 0);
        let mut learnt = vec![];
        let mut draw = |name: &'static str, own: &[Parameter]| -> Result<()> {
            learnt.push((name, own::drawn(model, own, &mut stream)?));
            Ok(())
        };
        if self.config.local_weight > 0.0 && !self.critic.parameters().is_empty() {
            draw(CRITIC, self.critic.parameters())?;
        }
        if self.config.prior_weight > 0.0 {
            draw(DISCRIMINATOR, self.discriminator.parameters())?;
        }
        if self.config.coordinate_weight > 0.0 {
            draw(COORDINATES, self.coordinates.parameters())?;
        }
        Ok(Start { learnt, kept: vec![] })
    }

    fn reads_local_maps(&self) -> bool {
        true
    }

    fn compute(&mut self, model: &mut Model, batch: &Batch<'_>, state: &Carried) -> Result<Outcome> {
        let view = View::open(model, batch.views[0], batch.chunk_size)?;
        let features = &view.taped;
        let (mut loss, mut groups, mut dots) = (Loss::default(), vec![], None);
        let others = self.config.negatives.unwrap_or(features.batch().saturating_sub(1));
        let DimConfig { global_weight, local_weight, prior_weight, coordinate_weight, .. } = self.config;
        if global_weight > 0.0 {
            let scores =
                Dot.scores(&[], &features.head(GLOBAL)?.squeeze(1)?, features.head(WHOLE)?, others)?;
            loss.add("global", global_weight, &self.minus_bound(&scores)?, None)?;
        }
        if local_weight > 0.0 {
            let scores = if self.config.critic == CriticKind::Dot {
                let products = DotsOfLeaves::new(features.head(GLOBAL)?, features.head(LOCAL)?)?;
                dots.insert(products).scores(others)?
            } else {
                let own = Own::open(CRITIC, self.critic.parameters(), state)?;
                let scores =
                    self.critic.scores(&own.taped(), &features.global()?, &features.maps()[1], others)?;
                groups.push(own);
                scores
            };
            loss.add("local", local_weight, &self.minus_bound(&scores)?, None)?;
        }
        if prior_weight > 0.0 {
            let own = Own::open(DISCRIMINATOR, self.discriminator.parameters(), state)?;
            self.match_prior(features, &own, batch, &mut loss)?;
            groups.push(own);
        }
        if coordinate_weight > 0.0 {
            let own = Own::open(COORDINATES, self.coordinates.parameters(), state)?;
            let (error, right) = self.locate(features, &own)?;
            loss.add("coordinates", coordinate_weight, &error, Some(right))?;
            groups.push(own);
        }
        let (moves, report) = loss.finish()?;
        let mut gradients = moves.backward()?;
        if let Some(dots) = dots {
            dots.carry(&mut gradients)?;
        }
        let learnt_gradients = groups.iter().map(|own| own.gradient(&gradients)).collect::<Result<_>>()?;
        let features = vec![view.features(model)?];
        let gradient = view.backward(model, &gradients)?;
        Ok(Outcome { features, report, gradient, learnt_gradients, kept: vec![] })
    }
}

impl Dim {
    fn minus_bound(&self, scores: &Scores) -> Result<Tensor> {
        Ok(self.config.bound.value(scores, Compat::None)?.neg()?)
    }

    /// The discriminator's loss, and what it gives the encoder.
    fn match_prior(&self, features: &Features, own: &Own, batch: &Batch<'_>, loss: &mut Loss) -> Result<()> {
        let vectors = sigmoid(&features.global()?)?;
        let mut stream = Stream::new(batch.seed, Purpose::Prior, batch.update);
        let drawn: Vec<f32> = (0..vectors.elem_count()).map(|_| stream.unit() as f32).collect();
        let samples = tensors::from_slice(&drawn, vectors.dims(), vectors.dtype(), vectors.device())?;
        let (taped, frozen) = (own.taped(), own.frozen());
        let score = |values: &[Tensor], rows: &Tensor| self.discriminator.forward(values, rows);
        let real = softplus(&score(&taped, &samples)?.neg()?)?.mean_all()?;
        let made = softplus(&score(&taped, &vectors.detach())?)?.mean_all()?;
        let mut told = (real + made)?;
        if self.config.gradient_penalty > 0.0 {
            for rows in [&samples, &vectors.detach()] {
                let slope = self.discriminator.input_gradient(&taped, rows)?;
                let squares = slope.sqr()?.sum(1)?.mean_all()?;
                told = (told + (squares * (0.5 * self.config.gradient_penalty))?)?;
            }
        }
        loss.add_own("discriminator", &told)?;
        let fooled = softplus(&score(&frozen, &vectors)?.neg()?)?.mean_all()?;
        loss.add("prior", self.config.prior_weight, &fooled, None)
    }

    /// Mean cross-entropy of the row and of the column of every location, summed, and the share told rightly.
    fn locate(&self, features: &Features, own: &Own) -> Result<(Tensor, f64)> {
        let map = &features.maps()[1]; // [B, L, C]
        let (batch, locations, _) = map.dims3()?;
        let vectors = features.maps()[0].broadcast_as((batch, locations, features.embedding()))?;
        let rows = Tensor::cat(&[map, &vectors], D::Minus1)?.flatten_to(1)?;
        let logits = self.coordinates.forward(&own.taped(), &rows)?; // [B * L, side + side]
        let places = |of: fn(usize, usize) -> usize| -> Result<Tensor> {
            let one = (0..locations).map(|location| of(location, self.side) as u32);
            let all: Vec<u32> = one.cycle().take(batch * locations).collect();
            Ok(Tensor::new(all, map.device())?)
        };
        let (mut error, mut right): (Option<Tensor>, f64) = (None, 0.0);
        let axes: [fn(usize, usize) -> usize; 2] = [|at, side| at / side, |at, side| at % side];
        for (axis, of) in axes.into_iter().enumerate() {
            let (logits, places) = (logits.narrow(1, axis * self.side, self.side)?, places(of)?);
            let log_softmax = log_softmax(&logits)?;
            let own = log_softmax.gather(&places.unsqueeze(1)?, 1)?.mean_all()?.neg()?;
            error = Some(error.map_or(Ok(own.clone()), |sum| sum + own)?);
            let hits = logits.argmax(D::Minus1)?.eq(&places)?.to_dtype(candle_core::DType::F64)?;
            right += tensors::to_scalar(&hits.mean_all()?)? / 2.0;
        }
        Ok((error.ok_or_else(|| Error::internal("a map without axes"))?, right))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::encoder::{AmdimEncoder, EncoderConfig, InfomaxEncoder};
    use crate::executor::ExecutorKind;
    use crate::model::{ModelConfig, Placement};
    use crate::train_step::Part;

    const BATCH: usize = 4;

    fn config() -> DimConfig {
        DimConfig {
            global_weight: 0.7,
            local_weight: 1.0,
            prior_weight: 0.3,
            gradient_penalty: 2.0,
            coordinate_weight: 0.5,
            bound: Bound::Jsd,
            critic: CriticKind::Dot,
            units: 3,
            negatives: None,
        }
    }

    fn dim_encoder() -> EncoderConfig {
        InfomaxEncoder { encoder_size: 28, input_channels: 1, base_width: 2, embedding_dim: 3 }.into()
    }

    fn amdim_encoder() -> EncoderConfig {
        AmdimEncoder {
            encoder_size: 32,
            input_channels: 1,
            base_width: 1,
            embedding_dim: 4,
            block_depth: 1,
            batch_norm: false,
        }
        .into()
    }

    fn model(encoder: EncoderConfig, config: &DimConfig, executor: ExecutorKind) -> Model {
        let config = ModelConfig { infomax: Some(config.heads()), ..ModelConfig::encoder_alone(encoder) };
        Model::new(config, 3, Placement::exact(executor, 1)).unwrap()
    }

    fn images(model: &Model) -> Tensor {
        let side = model.encoder().input.height;
        let mut stream = Stream::new(1, Purpose::Prior, 99);
        let values: Vec<f64> = (0..BATCH * side * side).map(|_| stream.normal()).collect();
        Tensor::from_vec(values, (BATCH, 1, side, side), &Device::Cpu).unwrap()
    }

    fn start(method: &Dim, model: &Model) -> Carried {
        method.start(model, 4).unwrap().learnt.into_iter().collect()
    }

    fn compute(method: &mut Dim, model: &mut Model, state: &Carried) -> Outcome {
        let images = images(model);
        let batch = Batch { views: [&images, &images], labels: &[], seed: 1, update: 2, chunk_size: None };
        method.compute(model, &batch, state).unwrap()
    }

    fn part(outcome: &Outcome, name: &'static str) -> f64 {
        outcome.report.parts.iter().find(|part| part.part == Part::Method(name)).unwrap().loss
    }

    /// By parameters of the encoder with its heads: the loss that is reported. By those of the critic and of the
    /// coordinates' network: the same. By those of the discriminator: its own loss.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        for (encoder, executor) in [
            (dim_encoder(), ExecutorKind::Cpu),
            (dim_encoder(), ExecutorKind::Candle),
            (amdim_encoder(), ExecutorKind::Cpu),
        ] {
            for &critic in CriticKind::ALL {
                let config = DimConfig { critic, negatives: Some(2), ..config() };
                let mut model = model(encoder.clone(), &config, executor);
                let mut method = config.build(&model).unwrap();
                let state = start(&method, &model);
                let outcome = compute(&mut method, &mut model, &state);
                let total: f64 = outcome.report.total;
                let sum = 0.7 * part(&outcome, "global")
                    + part(&outcome, "local")
                    + 0.3 * part(&outcome, "prior")
                    + 0.5 * part(&outcome, "coordinates");
                assert!((total - sum).abs() < 1e-12);
                let own: Vec<f64> = outcome.gradient.to_vec1().unwrap();
                let values: Vec<f64> = model.parameters.to_vec1().unwrap();
                let largest = own.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
                for at in (0..values.len()).step_by(values.len() / 9) {
                    let mut loss = |by: f64| {
                        let mut values = values.clone();
                        values[at] += by;
                        model.parameters = Tensor::new(values, &Device::Cpu).unwrap();
                        compute(&mut method, &mut model, &state).report.total
                    };
                    let slope = (loss(1e-6) - loss(-1e-6)) / 2e-6;
                    assert!((slope - own[at]).abs() < 2e-5 * largest, "{critic} {at}: {} {slope}", own[at]);
                }
                model.parameters = Tensor::new(values, &Device::Cpu).unwrap();
                for (name, own) in &outcome.learnt_gradients {
                    let own: Vec<f64> = own.to_vec1().unwrap();
                    let values: Vec<f64> = state[name].to_vec1().unwrap();
                    let largest = own.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
                    for at in (0..values.len()).step_by(values.len().div_ceil(5)) {
                        let mut loss = |by: f64| {
                            let mut values = values.clone();
                            values[at] += by;
                            let mut state = state.clone();
                            state.insert(name, Tensor::new(values, &Device::Cpu).unwrap());
                            let outcome = compute(&mut method, &mut model, &state);
                            if *name == DISCRIMINATOR {
                                part(&outcome, "discriminator")
                            } else {
                                outcome.report.total
                            }
                        };
                        let slope = (loss(1e-6) - loss(-1e-6)) / 2e-6;
                        assert!((slope - own[at]).abs() < 2e-5 * largest, "{name} {at}: {} {slope}", own[at]);
                    }
                }
            }
        }
    }

    #[test]
    fn only_what_has_weight_is_made() {
        let config = DimConfig { global_weight: 0.0, prior_weight: 0.0, coordinate_weight: 0.0, ..config() };
        let mut model = model(dim_encoder(), &config, ExecutorKind::Cpu);
        assert_eq!(config.heads().names().collect::<Vec<_>>(), [GLOBAL, LOCAL]);
        assert_eq!(model.network().outputs.len(), 4);
        let mut method = config.build(&model).unwrap();
        let state = start(&method, &model);
        assert!(state.is_empty());
        let outcome = compute(&mut method, &mut model, &state);
        assert_eq!(outcome.report.parts.len(), 1);
        let bilinear = DimConfig { critic: CriticKind::Bilinear, ..config };
        assert_eq!(bilinear.heads().names().count(), 0);
    }

    /// Where all vectors are alike, scores are too: minus the bound is then 0 for InfoNCE, 2 log 2 for JSD.
    #[test]
    fn pictures_without_differences_are_at_chance() {
        for (bound, expected) in [(Bound::InfoNce, 0.0), (Bound::Dv, 0.0), (Bound::Jsd, 2.0 * 2f64.ln())] {
            let config = DimConfig { bound, prior_weight: 0.0, coordinate_weight: 0.0, ..config() };
            let mut model = model(dim_encoder(), &config, ExecutorKind::Cpu);
            let mut method = config.build(&model).unwrap();
            let blank = Tensor::zeros((BATCH, 1, 28, 28), DType::F64, &Device::Cpu).unwrap();
            let batch = Batch { views: [&blank, &blank], labels: &[], seed: 1, update: 0, chunk_size: None };
            let outcome = method.compute(&mut model, &batch, &Carried::new()).unwrap();
            for name in ["global", "local"] {
                assert!((part(&outcome, name) - expected).abs() < 1e-6, "{bound} {name}");
            }
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for bad in [
            DimConfig { local_weight: -1.0, ..config() },
            DimConfig { prior_weight: f64::NAN, ..config() },
            DimConfig { gradient_penalty: -1.0, ..config() },
            DimConfig {
                global_weight: 0.0,
                local_weight: 0.0,
                prior_weight: 0.0,
                coordinate_weight: 0.0,
                ..config()
            },
            DimConfig { units: 0, ..config() },
            DimConfig { negatives: Some(0), ..config() },
            DimConfig { negatives: Some(BATCH), ..config() },
        ] {
            assert_eq!(bad.validate(BATCH).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
        config().validate(BATCH).unwrap();
        let other = model(dim_encoder(), &DimConfig { units: 2, ..config() }, ExecutorKind::Cpu);
        assert!(config().build(&other).is_err());
    }
}
