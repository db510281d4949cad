//! Entropy and mutual information of continuous samples, without a trained critic. One estimator a file; all in nats.

mod binning;
mod edge;
mod kde;
mod knn;
mod symbols;

use rayon::prelude::*;

use crate::error::{EvalError, Result};
use crate::features::Features;
use crate::stop::{Stop, check};

pub use binning::{Binned, binned_entropy, binned_mutual_information};
pub use edge::{Edge, edge_mutual_information};
pub use kde::{Bounds, kde_entropy, kde_information};
pub use knn::knn_mutual_information;

/// Rows that a task takes before it asks whether to stop.
const ROWS: usize = 32;

/// Both variables must have a sample in each row.
fn check_rows(x: Features<'_>, y: Features<'_>) -> Result<()> {
    crate::error::check_count("samples of y", x.rows(), y.rows())
}

/// Refuses a variable all of whose samples are the same.
fn check_varies(name: &'static str, features: Features<'_>) -> Result<()> {
    let first = features.row(0);
    if (1..features.rows()).any(|row| features.row(row) != first) {
        return Ok(());
    }
    Err(EvalError::InvalidArgument {
        name,
        expected: "samples that vary".to_owned(),
        actual: format!("{} equal ones", features.rows()),
    })
}

/// `of` of every row, on all threads, in the order of the rows.
fn by_row(rows: usize, stop: Stop<'_>, of: impl Fn(usize) -> f64 + Sync) -> Result<Vec<f64>> {
    let starts: Vec<usize> = (0..rows).step_by(ROWS).collect();
    let blocks: Vec<Vec<f64>> = starts
        .par_iter()
        .map(|&start| {
            check(stop)?;
            Ok((start..rows.min(start + ROWS)).map(&of).collect())
        })
        .collect::<Result<_>>()?;
    Ok(blocks.concat())
}

/// The logarithmic derivative of the gamma function, for x of at least 1.
///
/// By recurrence to 6 and above, then its asymptotic series (Abramowitz and Stegun 6.3.5, 6.3.18); to 1e-12.
fn digamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0)));
    sum + x.ln() - 0.5 / x - series
}

#[cfg(test)]
pub(crate) mod tests {
    use amdim_random::{Purpose, Stream};

    use super::*;

    /// Samples of two normal variables of `dim` components, correlated in pairs.
    pub(crate) fn gaussian(rows: usize, dim: usize, rho: f64) -> [Vec<f32>; 2] {
        let mut stream = Stream::new(1, Purpose::Measured, 7);
        let (mut x, mut y) = (vec![], vec![]);
        for _ in 0..rows * dim {
            let (a, b) = (stream.normal(), stream.normal());
            x.push(a as f32);
            y.push((rho * a + (1.0 - rho * rho).sqrt() * b) as f32);
        }
        [x, y]
    }

    #[test]
    fn digamma_has_its_known_values() {
        let gamma = 0.577_215_664_901_532_9;
        for (x, expected) in
            [(1.0, -gamma), (2.0, 1.0 - gamma), (5.0, 25.0 / 12.0 - gamma), (100.0, 4.600_161_852_738_087)]
        {
            assert!((digamma(x) - expected).abs() < 1e-11, "{x}");
        }
    }
}
