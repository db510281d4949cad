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

use super::{Compat, Definition, Form};
use crate::Result;

pub(super) const DEFINITION: Definition =
    Definition { bounds_mutual_information: false, form: Form::Means { positive, negative } };

/// What a score of the joint distribution gives, element by element.
fn positive(scores: &Tensor, _: Compat) -> Result<Tensor> {
    Ok(scores.neg()?.exp()?.neg()?)
}

/// What a score of the product of the marginals takes away.
fn negative(scores: &Tensor, _: Compat) -> Result<Tensor> {
    Ok((scores - 1.0)?)
}
