//! The Fenchel dual of the reverse KL divergence.
//!
//! ```text
//! KL(Q || P) >= -E_P[exp(-T)] - E_Q[T] + 1
//! ```
//!
//! Tight for `T = log dP/dQ`.
//!
//! - **Bias.** None for a fixed T. It bounds the divergence the other way round, **not** mutual information.
//! - **Variance.** That of `exp(-T)` under P.
//! - **Constant.** T must find it by itself.
//!
//! Source: Nowozin, Cseke, Tomioka 2016, arXiv 1606.00709, tables 1 and 2 (with their `-exp(-v)` for the dual variable).

use candle_core::Tensor;

use crate::Result;

/// What a score of the joint distribution gives, element by element.
pub fn positive(scores: &Tensor) -> Result<Tensor> {
    Ok(scores.neg()?.exp()?.neg()?)
}

/// What a score of the product of the marginals takes away.
pub fn negative(scores: &Tensor) -> Result<Tensor> {
    Ok((scores - 1.0)?)
}
