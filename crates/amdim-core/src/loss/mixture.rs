//! Mixture features as sources: their configuration, and the objective in which they share the targets.

use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

use super::ObjectiveConfig;
use crate::encoder::{Features, Scale};
use crate::estimator::info_nce;
use crate::{Error, Result};

/// Largest temperature of a posterior: with it, f32 tells scores that differ by a ten-millionth entirely apart.
const MOST_TEMPERATURE: f64 = 1e6;
/// The most components of a mixture.
pub const MOST_COMPONENTS: usize = amdim_cpu::nce::MOST_COMPONENTS;

/// The most units of the hidden layer of a mixture.
pub const MOST_HIDDEN_UNITS: usize = 65_536;

/// Mixture features: k vectors a picture in the place of the global one, and a posterior over them for every location.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MixtureConfig {
    /// Number of mixture features (k), 1 to [`MOST_COMPONENTS`].
    pub components: usize,
    /// Units of the hidden layer between the global vector and the components, 1 to [`MOST_HIDDEN_UNITS`]; none: as many as the
    /// embedding has dimensions.
    pub hidden_units: Option<usize>,
    /// Weight of the posterior's entropy (alpha), 0 or more; positive where `temperature` is none.
    pub entropy_weight: f64,
    /// Temperature of the posterior (tau), positive; none: `1 / entropyWeight`, the best one there is.
    pub temperature: Option<f64>,
    /// Whether the gradient takes the posterior as a constant. At the best temperature it makes no difference.
    pub stop_posterior: bool,
}

impl MixtureConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, expected: &str, actual: f64| {
            Err(Error::argument(&format!("objective.mixture.{field}"), expected, actual))
        };
        if !(1..=MOST_COMPONENTS).contains(&self.components) {
            return wrong("components", "1 to 256", self.components as f64);
        }
        if let Some(units) = self.hidden_units.filter(|units| !(1..=MOST_HIDDEN_UNITS).contains(units)) {
            return wrong("hiddenUnits", "1 to 65536, or null", units as f64);
        }
        let is_positive = |value: f64| value.is_finite() && value > 0.0;
        let is_temperature = |value: f64| value > 0.0 && value <= MOST_TEMPERATURE;
        if !(self.entropy_weight == 0.0 || is_positive(self.entropy_weight)) {
            return wrong("entropyWeight", "0 or a positive number", self.entropy_weight);
        }
        match self.temperature {
            Some(temperature) if !is_temperature(temperature) => {
                wrong("temperature", "a positive number up to 1e6, or null", temperature)
            }
            None if !is_temperature(1.0 / self.entropy_weight) => {
                let expected = "at least 1e-6 where temperature is null (1 / entropyWeight)";
                wrong("entropyWeight", expected, self.entropy_weight)
            }
            _ => Ok(()),
        }
    }

    /// The temperature of the posterior, the best one filled in.
    pub fn posterior_temperature(&self) -> f64 {
        self.temperature.unwrap_or(1.0 / self.entropy_weight)
    }
}

/// Result of [`mixture_nce`].
#[derive(Debug, Clone)]
pub struct MixtureNce {
    /// Mean over pictures and locations of the negative objective, in nats: `[]`, with gradient.
    pub loss: Tensor,
    /// The objective of every location: `[batch, locations]`.
    pub objective: Tensor,
    /// Scores of the positive pairs: `[batch, locations, components]`.
    pub positives: Tensor,
    /// The posterior of every location, `[batch, locations, components]`; its rows sum to 1. Without gradient.
    pub posterior: Tensor,
    /// Mean entropy of the posteriors in nats, `[]`, 0..log(components). Without gradient.
    pub entropy: Tensor,
    /// Share of positive pairs that score above all their negatives, each component weighted by the posterior: `[]`.
    pub top1: Tensor,
}

/// InfoNCE whose sources are k mixture features a picture, of which each location of the other view chooses.
///
/// With `s_j(i, l)` the log-softmax of component j of picture i against its positive at location l and its own
/// negatives, all locations of all other pictures ([`info_nce()`]):
///
/// ```text
/// q_j = exp(temperature * s_j) / sum over m of exp(temperature * s_m)
/// loss = - mean over i, l of ( sum over j of q_j * s_j + entropyWeight * H(q) )
/// ```
///
/// At `temperature = 1 / entropyWeight` q is the distribution that makes the objective largest, which is then
/// `entropyWeight * log sum over j of exp(s_j / entropyWeight)`. Equal scores give the loss
/// `log(1 + (batch - 1) * locations) - entropyWeight * log(components)`
/// ([`chance_level`](crate::loss::chance_level)).
///
/// # Shapes
/// - scores: `[batch, components, batch, locations]` (source picture, component, target picture, location)
///
/// # Errors
/// As [`info_nce()`].
///
/// # Source
/// Bachman, Hjelm, Buchwalter 2019, arXiv 1906.00910, section 3.5, equations 8 and 9.
pub fn mixture_nce(scores: &Tensor, config: &MixtureConfig) -> Result<MixtureNce> {
    let components = scores.dims4()?.1;
    let parts = (0..components)
        .map(|j| info_nce(&scores.narrow(1, j, 1)?.squeeze(1)?))
        .collect::<Result<Vec<_>>>()?;
    let stack = |part: fn(&crate::estimator::InfoNce) -> &Tensor| -> Result<Tensor> {
        Ok(Tensor::stack(&parts.iter().map(part).collect::<Vec<_>>(), 2)?)
    };
    let log_softmax = stack(|part| &part.log_softmax)?; // [B, L, k]
    let given = if config.stop_posterior { log_softmax.detach() } else { log_softmax.clone() };
    let log_posterior = log_of_softmax(&(given * config.posterior_temperature())?)?;
    let posterior = log_posterior.exp()?;
    let entropy = (&posterior * &log_posterior)?.sum(D::Minus1)?.neg()?; // [B, L]
    let expected = (&posterior * log_softmax)?.sum(D::Minus1)?;
    let objective = (expected + (&entropy * config.entropy_weight)?)?;
    let hits = stack(|part| &part.hits)?;
    Ok(MixtureNce {
        loss: objective.mean_all()?.neg()?,
        positives: stack(|part| &part.positives)?.detach(),
        top1: (posterior.detach() * hits)?.sum(D::Minus1)?.mean_all()?,
        posterior: posterior.detach(),
        entropy: entropy.detach().mean_all()?,
        objective,
    })
}

/// Posterior of every location over the components of its own picture, without negatives: the softmax over components
/// of `temperature * scores`.
///
/// It is the one of [`mixture_nce`] where all components of a picture meet the same negatives and these outweigh the
/// positive, and it is a matter of one picture alone.
///
/// # Shapes
/// - scores: `[batch, components, locations]`, clipped, of a picture's components against its own locations
/// - returns the same shape; over components it sums to 1
pub fn posterior_without_negatives(scores: &Tensor, temperature: f64) -> Result<Tensor> {
    let last = (scores.transpose(1, 2)? * temperature)?; // [B, L, k]
    Ok(log_of_softmax(&last)?.exp()?.transpose(1, 2)?.contiguous()?)
}

/// [`posterior_without_negatives`] of the mixture features over a local map of the same pictures.
///
/// # Shapes
/// - returns `[batch, components, side, side]`
///
/// # Errors
/// [`Error::InvalidArgument`] for features without a mixture or without such a map.
pub fn posterior_map(features: &Features, scale: Scale, objective: &ObjectiveConfig) -> Result<Tensor> {
    let no_mixture =
        || Error::argument("layer", "a map of this encoder (it has no mixture features)", "posterior");
    let (mixture, config) = features.mixture().zip(objective.mixture.as_ref()).ok_or_else(no_mixture)?;
    let targets = features.at(scale)?.transpose(1, 2)?.contiguous()?; // [B, C, L]
    let scores = (mixture.contiguous()?.matmul(&targets)? / (features.embedding() as f64).sqrt())?;
    let clipped = objective.clipped(&scores)?;
    let posterior = posterior_without_negatives(&clipped, config.posterior_temperature())?;
    let side = scale.side();
    Ok(posterior.reshape((features.batch(), mixture.dim(1)?, side, side))?)
}

/// `log softmax` over the last dimension; the largest value is subtracted first.
fn log_of_softmax(values: &Tensor) -> Result<Tensor> {
    let shifted = values.broadcast_sub(&values.detach().max_keepdim(D::Minus1)?)?;
    Ok(shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
}
