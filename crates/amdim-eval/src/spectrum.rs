//! How the variance of features is spread over their principal axes.

use crate::error::Result;
use crate::rank_me::entropy_rank;
use crate::scatter::Scatter;
use crate::stop::Stop;

/// Ranks (from 1) between which the decay is fitted, both included. The first few axes do not follow the law.
const DECAY_RANKS: [usize; 2] = [11, 500];
/// Fewer points are no line.
const DECAY_POINTS: usize = 10;
/// Variances below this share of the largest are rounding.
const NOISE: f64 = 1e-12;

/// Eigenvalues of the covariance of features and what they come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// Variances along the principal axes, the largest first.
    pub eigenvalues: Vec<f64>,
    /// `exp` of the entropy of the shares of variance: 1 for a line, the number of axes where all vary alike; 0 where
    /// nothing varies.
    ///
    /// O. Roy and M. Vetterli, 2007, "The effective rank: a measure of effective dimensionality" (of the eigenvalues).
    pub effective_rank: f64,
    /// `(sum of variances)^2 / sum of their squares`, which large variances rule; 0 where nothing varies.
    pub participation_ratio: f64,
    /// Fewest axes that hold 90 % of the variance.
    pub axes_90: usize,
    /// Fewest axes that hold 99 % of the variance.
    pub axes_99: usize,
    /// `a` of the power law `variance = c rank^-a`, by least squares between logarithms at ranks 11 to 500; none with
    /// fewer than 10 such axes. Representations that generalise tend to be near 1.
    ///
    /// K. K. Agrawal, A. K. Mondal, A. Ghosh, B. Richards, 2022, "alpha-ReQ: assessing representation quality in
    /// self-supervised learning by measuring eigenspectrum decay", `NeurIPS` 35; ranks after C. Stringer et al., 2019,
    /// Nature 571.
    pub decay: Option<f64>,
}

impl Spectrum {
    /// Of the features that were summed.
    ///
    /// # Errors
    /// [`EvalError::Cancelled`](crate::EvalError::Cancelled)
    pub fn new(scatter: &Scatter, stop: Stop<'_>) -> Result<Self> {
        let eigenvalues = scatter.variances(stop)?;
        let sum: f64 = eigenvalues.iter().sum();
        let squares: f64 = eigenvalues.iter().map(|x| (x / sum.max(f64::MIN_POSITIVE)).powi(2)).sum();
        Ok(Self {
            effective_rank: entropy_rank(&eigenvalues, 0.0),
            participation_ratio: if sum > 0.0 { 1.0 / squares } else { 0.0 },
            axes_90: axes_for(&eigenvalues, 0.9 * sum),
            axes_99: axes_for(&eigenvalues, 0.99 * sum),
            decay: decay(&eigenvalues),
            eigenvalues,
        })
    }
}

/// Fewest of the first values whose sum reaches `wanted`.
fn axes_for(values: &[f64], wanted: f64) -> usize {
    let mut sum = 0.0;
    values
        .iter()
        .take_while(|&&value| {
            let is_short = sum < wanted;
            sum += value;
            is_short
        })
        .count()
}

fn decay(values: &[f64]) -> Option<f64> {
    let least = NOISE * values.first()?;
    let last = DECAY_RANKS[1].min(values.iter().take_while(|&&value| value > least).count());
    let points: Vec<(f64, f64)> =
        (DECAY_RANKS[0]..=last).map(|rank| ((rank as f64).ln(), values[rank - 1].ln())).collect();
    if points.len() < DECAY_POINTS {
        return None;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x_mean, y_mean) = (mean(|p| p.0), mean(|p| p.1));
    let with = |of: fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(x - x_mean, y - y_mean)).sum::<f64>();
    Some(-with(|x, y| x * y) / with(|x, _| x * x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;
    use crate::stop::never;

    fn spectrum(values: &[f32], dim: usize) -> Spectrum {
        let scatter = Scatter::new(Features::new("features", values, dim).unwrap(), never()).unwrap();
        Spectrum::new(&scatter, never()).unwrap()
    }

    #[test]
    fn variances_are_those_along_the_axes() {
        // 3 and 1 away from (5, -2) along the diagonals, to both sides.
        let found = spectrum(&[8.0, 1.0, 2.0, -5.0, 6.0, -3.0, 4.0, -1.0], 2);
        let wanted = [2.0 * 18.0 / 3.0, 2.0 * 2.0 / 3.0];
        for (found, wanted) in found.eigenvalues.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-12, "{found} against {wanted}");
        }
        assert!((found.participation_ratio - 1.0 / (0.81 + 0.01)).abs() < 1e-12, "{found:?}");
        let entropy = -(0.9_f64 * 0.9_f64.ln() + 0.1 * 0.1_f64.ln());
        assert!((found.effective_rank - entropy.exp()).abs() < 1e-12, "{found:?}");
        assert_eq!((found.axes_99, found.decay), (2, None));
    }

    #[test]
    fn a_power_law_has_its_exponent() {
        // Row pairs +-x along each axis: variance proportional to x^2 = rank^-1.5.
        let dim = 40;
        let mut values = vec![0.0; 2 * dim * dim];
        for axis in 0..dim {
            let x = ((axis + 1) as f32).powf(-0.75);
            values[2 * axis * dim + axis] = x;
            values[(2 * axis + 1) * dim + axis] = -x;
        }
        let decay = spectrum(&values, dim).decay.unwrap();
        assert!((decay - 1.5).abs() < 1e-6, "{decay}");
    }

    #[test]
    fn what_does_not_vary_has_rank_0() {
        let found = spectrum(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0], 2);
        assert_eq!((found.effective_rank, found.participation_ratio), (0.0, 0.0));
        assert_eq!((found.axes_90, found.axes_99), (0, 0));
    }
}
