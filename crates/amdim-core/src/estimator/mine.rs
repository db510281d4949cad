//! MINE: the Donsker-Varadhan bound with a gradient that is nearly unbiased.
//!
//! The gradient of `log E_Q[exp T]` is `E_Q[exp T grad T] / E_Q[exp T]`. On a small batch the mean below the line is
//! noisy, and its reciprocal biased. MINE puts a moving average over batches in its place.
//!
//! - **Bias.** The value is that of [`dv`], with its bias. The gradient's is smaller the more batches the average holds; what
//!   the critic was some batches ago is in it too.
//! - **Variance.** That of [`dv`]: it grows like `exp I`.
//! - **Constant.** None, as of [`dv`].
//!
//! Source: Belghazi et al. 2018, arXiv 1801.04062, section 3.2 and equation 12.

use candle_core::Tensor;

use super::{Scores, dv};
use crate::{Result, tensors};

/// The moving average of `E_Q[exp T]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mine {
    /// Share of a new batch in the average, above 0, at most 1; 1 gives the gradient of Donsker-Varadhan.
    pub rate: f64,
    /// Logarithm of the average so far; none before the first batch.
    pub log_average: Option<f64>,
}

impl Mine {
    /// Before the first batch.
    pub fn new(rate: f64) -> Self {
        Self { rate, log_average: None }
    }

    /// Takes a batch of negatives into the average.
    ///
    /// Returns the Donsker-Varadhan value in nats, `[]`, with the corrected gradient.
    ///
    /// # Errors
    /// Those of tensor operations.
    pub fn step(&mut self, scores: &Scores) -> Result<Tensor> {
        let log_mean = tensors::to_scalar(&dv::log_mean_exp(&scores.negatives.detach())?)?;
        let log_average = match self.log_average {
            None => log_mean,
            Some(before) => log_add(before + (1.0 - self.rate).ln(), log_mean + self.rate.ln()),
        };
        self.log_average = Some(log_average);
        let positives = scores.positives.mean_all()?;
        let value = tensors::to_scalar(&positives)? - log_mean;
        // exp(T - log average), the average being a constant.
        let weights = (&scores.negatives - log_average)?.exp()?;
        let moves = (positives - weights.mean_all()?)?;
        let shift = value - tensors::to_scalar(&moves)?;
        Ok((moves + shift)?)
    }
}

/// `log(exp a + exp b)`.
fn log_add(a: f64, b: f64) -> f64 {
    let (larger, smaller) = if a > b { (a, b) } else { (b, a) };
    larger + (smaller - larger).exp().ln_1p()
}
