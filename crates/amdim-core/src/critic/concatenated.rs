//! `T(x, y) = f([x; y])`

use amdim_network::Parameter;
use candle_core::Tensor;

use super::Critic;
use crate::estimator::Scores;
use crate::nn::Mlp;
use crate::{Error, Result};

/// A network on the concatenation of both, with two hidden layers: MINE's statistics network, and Deep InfoMax's
/// "concatenate and convolve" (its convolutions are 1x1). It costs a pass for every pair, so few others are the rule.
#[derive(Debug, Clone)]
pub struct Concatenated {
    network: Mlp,
    x: usize,
}

impl Concatenated {
    /// For x of `x` and y of `y` dimensions; parameters `critic.*`.
    ///
    /// # Errors
    /// None.
    pub fn new(x: usize, y: usize, units: usize) -> Result<Self> {
        Ok(Self { network: Mlp::new(&[x + y, units, units, 1], "critic"), x })
    }
}

impl Critic for Concatenated {
    fn parameters(&self) -> &[Parameter] {
        self.network.parameters()
    }

    fn scores(&self, values: &[Tensor], x: &Tensor, y: &Tensor, others: usize) -> Result<Scores> {
        let (n, locations, dimensions) = y.dims3()?;
        if !(1..n).contains(&others) {
            return Err(Error::argument("negatives", format!("1 to {}", n.max(2) - 1), others));
        }
        // The first layer is linear: its parts from x and from y are computed once each, not once a pair.
        let weight = &values[0];
        let of_x = x.matmul(&weight.narrow(1, 0, self.x)?.t()?)?.broadcast_add(&values[1])?.unsqueeze(1)?;
        let rows = y.reshape((n * locations, dimensions))?;
        let of_y = rows.matmul(&weight.narrow(1, self.x, dimensions)?.t()?)?;
        let units = of_y.dim(1)?;
        let of_y = of_y.reshape((n, locations, units))?;
        let twice = Tensor::cat(&[&of_y, &of_y], 0)?;
        let scores = (0..=others).map(|step| -> Result<Tensor> {
            let hidden = twice.narrow(0, step, n)?.broadcast_add(&of_x)?.relu()?;
            let rows = hidden.reshape((n * locations, units))?;
            Ok(self.network.forward_from(1, values, &rows)?.reshape((n, locations))?)
        });
        let mut scores = scores.collect::<Result<Vec<_>>>()?.into_iter();
        let positives = scores.next().ok_or_else(|| Error::internal("no scores"))?;
        Ok(Scores { positives, negatives: Tensor::stack(&scores.collect::<Vec<_>>(), 1)? })
    }
}
