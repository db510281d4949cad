//! The Fenchel dual of Pearson's chi-squared divergence.
//!
//! ```text
//! chi^2(P || Q) >= E_P[T] - E_Q[T^2 / 4 + T]
//! ```
//!
//! Tight for `T = 2 (dP/dQ - 1)`.
//!
//! - **Bias.** None for a fixed T. It bounds the divergence (which is at least `exp I - 1`), **not** mutual information.
//! - **Variance.** That of the square of T under Q.
//! - **Constant.** T must find it by itself; it is the density ratio, no logarithm.
//!
//! The reference's `X2` has `E_P[T^2] + E_Q[(|T| + 1)^2] / 2`, which bounds nothing ([`Compat::RdevonDim`]).
//!
//! Source: Nowozin, Cseke, Tomioka 2016, arXiv 1606.00709, tables 1 and 2 (Pearson).

use candle_core::Tensor;

use super::{Compat, Definition, Form};
use crate::Result;

pub(super) const DEFINITION: Definition =
    Definition { bounds_mutual_information: false, form: Form::Means { positive, negative } };

/// What a score of the joint distribution gives, element by element.
fn positive(scores: &Tensor, compat: Compat) -> Result<Tensor> {
    Ok(match compat {
        Compat::None => scores.clone(),
        Compat::RdevonDim => scores.sqr()?,
    })
}

/// What a score of the product of the marginals takes away.
fn negative(scores: &Tensor, compat: Compat) -> Result<Tensor> {
    Ok(match compat {
        Compat::None => ((scores.sqr()? / 4.0)? + scores)?,
        Compat::RdevonDim => ((scores.abs()? + 1.0)?.sqr()? * -0.5)?,
    })
}
