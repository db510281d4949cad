//! `T(x, y) = x . y`

use amdim_network::Parameter;
use candle_core::Tensor;

use super::{Critic, products};
use crate::Result;
use crate::estimator::Scores;

/// The dot product. It has no parameters: what makes x and y does all the work, as in Deep InfoMax ("encode and dot
/// product") and AMDIM.
#[derive(Debug, Clone, Copy)]
pub struct Dot;

impl Critic for Dot {
    fn parameters(&self) -> &[Parameter] {
        &[]
    }

    fn scores(&self, _values: &[Tensor], x: &Tensor, y: &Tensor, others: usize) -> Result<Scores> {
        Scores::of_pairs(&products(x, y)?, others)
    }
}
