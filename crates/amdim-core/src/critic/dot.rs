//! `T(x, y) = x . y`

use amdim_network::Parameter;
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::{Critic, products};
use crate::estimator::Scores;
use crate::{Error, Result};

/// The dot product. It has no parameters: what makes x and y does all the work, as in Deep InfoMax ("encode and dot
/// product") and AMDIM.
#[derive(Debug, Clone, Copy)]
pub struct Dot;

impl Dot {
    /// For x and y of the same number of dimensions; there are no hidden units.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for different numbers.
    pub fn new(x: usize, y: usize, _units: usize) -> Result<Self> {
        if x == y {
            return Ok(Self);
        }
        let expected = "vectors of the same number of dimensions with critic dot";
        Err(Error::argument("critic", expected, format!("{x} and {y}")))
    }
}

impl Critic for Dot {
    fn parameters(&self) -> &[Parameter] {
        &[]
    }

    fn scores(&self, _values: &[Tensor], x: &Tensor, y: &Tensor, others: usize) -> Result<Scores> {
        Scores::of_pairs(&products(x, y)?, others)
    }
}

/// Products of two maps that are leaves of a tape, taken apart from it: a loss has their scores as a leaf, whose gradient
/// [`carry`](Self::carry) takes on to the maps by two products. On the tape each step between maps and scores would copy
/// the maps.
pub(crate) struct DotsOfLeaves {
    x: Tensor,
    y: Tensor,
    scores: Var,
}

impl DotsOfLeaves {
    /// Of leaves x, `[n, 1, d]`, and y, `[n, locations, d]`.
    pub(crate) fn new(x: &Tensor, y: &Tensor) -> Result<Self> {
        let scores = Var::from_tensor(&products(&x.detach().squeeze(1)?, &y.detach())?)?;
        Ok(Self { x: x.clone(), y: y.clone(), scores })
    }

    /// As [`Dot`] gives them.
    pub(crate) fn scores(&self, others: usize) -> Result<Scores> {
        Scores::of_pairs(self.scores.as_tensor(), others)
    }

    /// Adds what the scores' gradient means for x and y to theirs.
    pub(crate) fn carry(&self, gradients: &mut GradStore) -> Result<()> {
        let Some(gradient) = gradients.get(&self.scores) else { return Ok(()) };
        let (n, locations, dimensions) = self.y.dims3()?;
        let gradient = gradient.reshape((n, n * locations))?;
        let targets = self.y.detach().reshape((n * locations, dimensions))?;
        let of_x = gradient.matmul(&targets)?.unsqueeze(1)?;
        let of_y = gradient.t()?.matmul(&self.x.detach().squeeze(1)?)?.reshape((n, locations, dimensions))?;
        for (leaf, own) in [(&self.x, of_x), (&self.y, of_y)] {
            let sum = match gradients.get(leaf) {
                Some(other) => (other + own)?,
                None => own,
            };
            gradients.insert(leaf, sum);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn apart_from_the_tape_gradients_are_those_of_the_tape() {
        let values = |count: usize| -> Vec<f64> { (0..count).map(|i| (i as f64 * 0.7).sin()).collect() };
        let leaf = |dims: &[usize]| {
            let tensor = Tensor::from_vec(values(dims.iter().product()), dims, &Device::Cpu).unwrap();
            Var::from_tensor(&tensor).unwrap()
        };
        let (x, y) = (leaf(&[4, 1, 3]), leaf(&[4, 2, 3]));
        let loss = |scores: &Scores| {
            let more = scores.negatives.sqr().unwrap().sum_all().unwrap();
            (scores.positives.exp().unwrap().sum_all().unwrap() + more).unwrap()
        };
        // x is read beside the scores too.
        let beside = || x.sqr().unwrap().sum_all().unwrap();
        let on_tape = Dot.scores(&[], &x.squeeze(1).unwrap(), &y, 2).unwrap();
        let expected = (loss(&on_tape) + beside()).unwrap().backward().unwrap();
        let apart = DotsOfLeaves::new(&x, &y).unwrap();
        let mut found = (loss(&apart.scores(2).unwrap()) + beside()).unwrap().backward().unwrap();
        apart.carry(&mut found).unwrap();
        for leaf in [&x, &y] {
            let [a, b] = [&expected, &found].map(|gradients| {
                gradients.get(leaf).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
            });
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
        }
    }
}
