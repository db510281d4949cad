//! The Fenchel dual of the squared Hellinger distance.
//!
//! ```text
//! H^2(P, Q) = integral (sqrt p - sqrt q)^2 >= E_P[1 - exp(-T)] - E_Q[exp T - 1]
//! ```
//!
//! Tight for `T = log(dP/dQ) / 2`.
//!
//! - **Bias.** None for a fixed T. It bounds the distance, which is at most 2, **not** mutual information.
//! - **Variance.** That of `exp T` under Q and `exp(-T)` under P.
//! - **Constant.** T must find it by itself.
//!
//! Source: Nowozin, Cseke, Tomioka 2016, arXiv 1606.00709, tables 1 and 2 (with their `1 - exp(-v)`).

use candle_core::Tensor;

use super::{Compat, Definition, Form};
use crate::Result;

pub(super) const DEFINITION: Definition =
    Definition { bounds_mutual_information: false, form: Form::Means { positive, negative } };

/// What a score of the joint distribution gives, element by element.
fn positive(scores: &Tensor, _: Compat) -> Result<Tensor> {
    Ok((scores.neg()?.exp()?.neg()? + 1.0)?)
}

/// What a score of the product of the marginals takes away.
fn negative(scores: &Tensor, _: Compat) -> Result<Tensor> {
    Ok((scores.exp()? - 1.0)?)
}
