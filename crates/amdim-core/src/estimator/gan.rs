//! The value of the discriminator's game in a generative adversarial network.
//!
//! ```text
//! 2 JSD(P, Q) - 2 log 2 >= E_P[log D] + E_Q[log(1 - D)],   D = sigmoid T
//! ```
//!
//! Tight for `T = log dP/dQ`.
//!
//! - **Bias.** None for a fixed T. It bounds the Jensen-Shannon divergence, **not** mutual information.
//! - **Variance.** Small: a score far off adds only linearly.
//! - **Constant.** -2 log 2 where P and Q are equal, 0 at most.
//!
//! Source: Goodfellow et al. 2014, arXiv 1406.2661, equation 1; Nowozin, Cseke, Tomioka 2016, arXiv 1606.00709, table 2.

use candle_core::Tensor;

use super::{Compat, Definition, Form};
use crate::Result;
use crate::nn::activation::softplus;

pub(super) const DEFINITION: Definition =
    Definition { bounds_mutual_information: false, form: Form::Means { positive, negative } };

/// What a score of the joint distribution gives, element by element.
pub(super) fn positive(scores: &Tensor, _: Compat) -> Result<Tensor> {
    Ok(softplus(&scores.neg()?)?.neg()?)
}

/// What a score of the product of the marginals takes away.
pub(super) fn negative(scores: &Tensor, _: Compat) -> Result<Tensor> {
    softplus(scores)
}
