//! Stochastic codes: what the methods `vib` and `vae` add to an encoder.

use amdim_network::{Builder, DescribeError, Padding, Source, Window};
use amdim_random::{Purpose, Stream};
use candle_core::Tensor;

use super::Batch;
use crate::encoder::Features;
use crate::model::Model;
use crate::nn::activation::softplus;
use crate::train_step::{ObjectiveReport, Part, PartReport};
use crate::{Error, Result, tensors};

/// Head that gives the code's spreads, before softplus makes them positive.
const SPREAD: &str = "bottleneck_spread";
/// Added to the head's result, so that codes start out precise, as in the authors' code of Deep VIB.
const SHIFT: f64 = -5.0;

/// The head's name.
pub(crate) fn head_name() -> &'static str {
    SPREAD
}

/// Adds the head beside the encoder's vector, node `vector`: a linear layer of what the vector is made of.
pub(crate) fn extend(builder: &mut Builder, vector: usize) -> std::result::Result<usize, DescribeError> {
    let (below, dimensions) = (builder.input(vector), builder.shape(Source::Node(vector)).channels);
    let whole = Window::new(builder.shape(below).height, 1, Padding::none());
    builder.convolution(SPREAD, below, dimensions, whole, true, false)
}

/// Checks a weight of the rate, none being a deterministic code.
pub(super) fn check_beta(option: &str, beta: Option<f64>) -> Result<()> {
    match beta {
        Some(beta) if !(beta.is_finite() && beta >= 0.0) => {
            Err(Error::argument(option, "0, a positive number, or null", beta))
        }
        _ => Ok(()),
    }
}

/// Checks that a model has the head where codes are stochastic, and only there.
pub(super) fn check_model(method: &str, model: &Model, is_stochastic: bool) -> Result<()> {
    if model.config().bottleneck == is_stochastic {
        return Ok(());
    }
    let expected = format!("{method} with a model made for it");
    Err(Error::argument("method", expected, "a model of another method"))
}

/// Codes of a batch, on the tape of its features.
pub(super) struct Code {
    /// `[batch, dimensions]`
    pub(super) values: Tensor,
    /// Weight of the rate, and the rate: the mean over pictures of `KL(N(mean, spread^2) || N(0, 1))` in nats. None of
    /// deterministic codes.
    rate: Option<(f64, Tensor)>,
}

impl Code {
    /// Draws `z ~ N(mean, spread^2)`, one a picture: the mean is the vector, the spread softplus(head - 5). Seed and
    /// update fix what is drawn. Without `beta`, the weight of the rate, z is the vector itself.
    pub(super) fn draw(features: &Features, batch: &Batch<'_>, beta: Option<f64>) -> Result<Self> {
        let mean = features.global()?;
        let Some(beta) = beta else { return Ok(Self { values: mean, rate: None }) };
        let spread = softplus(&(features.head(SPREAD)?.squeeze(1)? + SHIFT)?)?;
        let mut stream = Stream::new(batch.seed, Purpose::Code, batch.update);
        let noise: Vec<f32> = (0..mean.elem_count()).map(|_| stream.normal() as f32).collect();
        let noise = tensors::from_slice(&noise, mean.dims(), mean.dtype(), mean.device())?;
        let rate = Some((beta, divergence(&mean, &spread)?));
        Ok(Self { values: (&mean + (&spread * noise)?)?, rate })
    }

    /// A loss with the price of the code, and the report of all: the loss is the first part.
    pub(super) fn priced(&self, loss: &Tensor, part: PartReport) -> Result<(Tensor, ObjectiveReport)> {
        let (mut total, mut parts) = (loss.clone(), vec![part]);
        if let Some((beta, rate)) = &self.rate {
            total = (total + (rate * *beta)?)?;
            let loss = tensors::to_scalar(rate)?;
            parts.push(PartReport { part: Part::Method("rate"), loss, top1: None });
        }
        let report = ObjectiveReport::of(tensors::to_scalar(&total)?, parts);
        Ok((total, report))
    }
}

/// Mean over pictures of `KL(N(mean, spread^2) || N(0, 1))` in nats:
/// `sum over dimensions of (mean^2 + spread^2 - 1) / 2 - log spread`.
fn divergence(mean: &Tensor, spread: &Tensor) -> Result<Tensor> {
    let squares = ((mean.sqr()? + spread.sqr()?)? - 1.0)?;
    Ok(((squares * 0.5)? - spread.log()?)?.sum(1)?.mean_all()?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// The divergence between normal distributions by sums over a fine grid, as a second implementation.
    #[test]
    fn the_rate_is_the_divergence_from_the_standard_normal() {
        let (means, spreads) = ([0.0, 0.7, -1.5], [1.0, 0.4, 1.8]);
        let row = |values: [f64; 3]| Tensor::new(&[values], &Device::Cpu).unwrap();
        let found = tensors::to_scalar(&divergence(&row(means), &row(spreads)).unwrap()).unwrap();
        let log_density = |x: f64, mean: f64, spread: f64| {
            -0.5 * ((x - mean) / spread).powi(2) - spread.ln() - 0.5 * std::f64::consts::TAU.ln()
        };
        let mut expected = 0.0;
        for (mean, spread) in means.into_iter().zip(spreads) {
            for step in -20_000..20_000 {
                let x = mean + spread * f64::from(step) / 2000.0;
                let log = log_density(x, mean, spread);
                expected += log.exp() * (log - log_density(x, 0.0, 1.0)) * spread / 2000.0;
            }
        }
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}
