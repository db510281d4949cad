//! The Wasserstein dependency measure: how far apart the joint distribution and the product of the marginals lie.
//!
//! ```text
//! W1(P, Q) >= E_P[T] - E_Q[T]   for T that change by at most the distance between their arguments
//! ```
//!
//! - **Bias.** None for a fixed T. It bounds a distance, **not** mutual information.
//! - **Variance.** That of T.
//! - **Constant.** None: T may be shifted freely. Without a limit on its slope the value has none either, so the
//!   caller's critic must have one.
//!
//! Source: Ozair et al. 2019, arXiv 1903.11780, equation 5; Arjovsky, Chintala, Bottou 2017, arXiv 1701.07875.

use super::{Definition, Form};

pub(super) const DEFINITION: Definition = Definition {
    bounds_mutual_information: false,
    form: Form::Means { positive: |scores, _| Ok(scores.clone()), negative: |scores, _| Ok(scores.clone()) },
};
