//! The bound of Nguyen, Wainwright and Jordan, which is the Fenchel dual of the KL divergence (the reference's `KL`).
//!
//! ```text
//! I(X; Y) = KL(P || Q) >= E_P[T] - E_Q[exp(T - 1)]
//! ```
//!
//! Tight for `T = 1 + log dP/dQ`.
//!
//! - **Bias.** None for a fixed T: a mean of means. Looser than Donsker-Varadhan for every T.
//! - **Variance.** That of `exp T` under Q, without a logarithm to tame it: grows like `exp I`.
//! - **Constant.** T must find it by itself: a shifted T loses.
//!
//! Source: Nguyen, Wainwright, Jordan 2010, arXiv 0809.0853; Poole et al. 2019, arXiv 1905.06922, equation 4.

use candle_core::Tensor;

use super::{Compat, Definition, Form};
use crate::Result;

pub(super) const DEFINITION: Definition = Definition {
    bounds_mutual_information: true,
    form: Form::Means { positive: |scores, _| Ok(scores.clone()), negative },
};

/// What a score of the product of the marginals takes away.
fn negative(scores: &Tensor, _: Compat) -> Result<Tensor> {
    Ok((scores - 1.0)?.exp()?)
}
