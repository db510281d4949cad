//! `T(x, y) = x^T W y`

use amdim_network::{Init, Parameter};
use candle_core::Tensor;

use super::{Critic, products};
use crate::Result;
use crate::estimator::Scores;

/// A bilinear form, as in contrastive predictive coding (van den Oord et al. 2018, arXiv 1807.03748, equation 3, without
/// the exponential, which is the bound's).
#[derive(Debug, Clone)]
pub struct Bilinear {
    parameters: Vec<Parameter>,
}

impl Bilinear {
    /// For x of `x` and y of `y` dimensions; parameter `critic.weight`, `[x, y]`, uniform with bound `1 / sqrt(x)`;
    /// there are no hidden units.
    ///
    /// # Errors
    /// None.
    pub fn new(x: usize, y: usize, _units: usize) -> Result<Self> {
        let init = Init::Uniform { bound: 1.0 / (x as f32).sqrt() };
        let weight =
            Parameter { name: "critic.weight".into(), shape: vec![x, y], offset: 0, init, used: true };
        Ok(Self { parameters: vec![weight] })
    }
}

impl Critic for Bilinear {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn scores(&self, values: &[Tensor], x: &Tensor, y: &Tensor, others: usize) -> Result<Scores> {
        Scores::of_pairs(&products(&x.matmul(&values[0])?, y)?, others)
    }
}
