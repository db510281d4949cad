//! The Jensen-Shannon estimator of Deep InfoMax.
//!
//! ```text
//! E_P[-softplus(-T)] - E_Q[softplus T]
//! ```
//!
//! It is the value of the [`gan`] game, by which Deep InfoMax raises mutual information: the Jensen-Shannon divergence
//! between the joint distribution and the product of the marginals grows with it.
//!
//! - **Bias.** None for a fixed T. It does **not** bound mutual information and is in other units.
//! - **Variance.** Small, and little affected by the number of negatives.
//! - **Constant.** The reference adds 2 log 2, so that equal distributions give 0 ([`Compat::RdevonDim`]).
//!
//! Source: Hjelm et al. 2019, arXiv 1808.06670, equation 4.

use std::f64::consts::LN_2;

use candle_core::Tensor;

use super::{Compat, Definition, Form, gan};
use crate::Result;

pub(super) const DEFINITION: Definition =
    Definition { bounds_mutual_information: false, form: Form::Means { positive, negative } };

/// What a score of the joint distribution gives, element by element.
fn positive(scores: &Tensor, compat: Compat) -> Result<Tensor> {
    Ok((gan::positive(scores, compat)? + shift(compat))?)
}

/// What a score of the product of the marginals takes away.
fn negative(scores: &Tensor, compat: Compat) -> Result<Tensor> {
    Ok((gan::negative(scores, compat)? - shift(compat))?)
}

fn shift(compat: Compat) -> f64 {
    if compat == Compat::RdevonDim { LN_2 } else { 0.0 }
}
