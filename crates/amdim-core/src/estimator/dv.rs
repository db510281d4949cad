//! The Donsker-Varadhan bound.
//!
//! ```text
//! I(X; Y) = KL(P || Q) >= E_P[T] - log E_Q[exp T]
//! ```
//!
//! with P the joint distribution and Q the product of the marginals. Tight for `T = log dP/dQ + c`, any c.
//!
//! - **Bias.** For a fixed T a bound, but the logarithm of a sample mean makes the estimate from n negatives too large on
//!   average (Jensen), by about the relative variance of `exp T` over 2n; so is its gradient biased ([`mine`](super::mine)
//!   corrects that).
//! - **Variance.** That of `exp T` under Q: it grows like `exp I`, and a few large scores decide.
//! - **Constant.** None: T may be shifted freely, nothing limits the value.
//!
//! Source: Donsker, Varadhan 1983; Belghazi et al. 2018, arXiv 1801.04062, equation 2.

use candle_core::Tensor;

use super::{Definition, Form, Scores};
use crate::Result;

pub(super) const DEFINITION: Definition =
    Definition { bounds_mutual_information: true, form: Form::Whole(|scores, _| value(scores)) };

/// The bound in nats, `[]`, with gradient.
pub(super) fn value(scores: &Scores) -> Result<Tensor> {
    Ok((scores.positives.mean_all()? - log_mean_exp(&scores.negatives)?)?)
}

/// `log E[exp T]` over all elements, `[]`; finite for any finite T.
pub fn log_mean_exp(scores: &Tensor) -> Result<Tensor> {
    let largest = scores.detach().flatten_all()?.max(0)?;
    let mean = scores.broadcast_sub(&largest)?.exp()?.mean_all()?;
    Ok((mean.log()? + largest)?)
}
