//! `T(x, y) = g(x) . h(y)`

use amdim_network::Parameter;
use candle_core::Tensor;

use super::{Critic, products};
use crate::Result;
use crate::estimator::Scores;
use crate::nn::Mlp;

/// The product of two networks' outputs, each network with two hidden layers (Poole et al. 2019, arXiv 1905.06922,
/// section 4, with as many outputs as hidden units). All pairs cost one pass of each network.
#[derive(Debug, Clone)]
pub struct Separable {
    x: Mlp,
    y: Mlp,
    parameters: Vec<Parameter>,
}

impl Separable {
    /// For x of `x` and y of `y` dimensions; parameters `critic.x.*`, then `critic.y.*`.
    ///
    /// # Errors
    /// None.
    pub fn new(x: usize, y: usize, units: usize) -> Result<Self> {
        let network = |inputs, name| Mlp::new(&[inputs, units, units, units], name);
        let (x, y) = (network(x, "critic.x"), network(y, "critic.y"));
        let mut parameters = x.parameters().to_vec();
        let first = parameters.last().map_or(0, |last| last.offset + last.len());
        parameters
            .extend(y.parameters().iter().map(|own| Parameter { offset: first + own.offset, ..own.clone() }));
        Ok(Self { x, y, parameters })
    }
}

impl Critic for Separable {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn scores(&self, values: &[Tensor], x: &Tensor, y: &Tensor, others: usize) -> Result<Scores> {
        let (of_x, of_y) = values.split_at(self.x.parameters().len());
        let (n, locations, dimensions) = y.dims3()?;
        let y = self.y.forward(of_y, &y.reshape((n * locations, dimensions))?)?;
        let units = y.dim(1)?;
        Scores::of_pairs(&products(&self.x.forward(of_x, x)?, &y.reshape((n, locations, units))?)?, others)
    }
}
