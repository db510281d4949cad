//! Mean 0 and standard deviation 1 for every feature.

use rayon::prelude::*;

use crate::error::{EvalError, Result};
use crate::features::Features;
use crate::matrix::Real;
use crate::stop::{Stop, check};

/// Added to every standard deviation, so that a constant feature becomes 0.
const STD_FLOOR: f64 = 1e-5;

/// Rows that one task sums; a constant, so that the order of the sums is.
const ROWS_PER_TASK: usize = 1024;

/// What is subtracted from every feature and what it is divided by.
pub(crate) struct Standardizer {
    /// Mean over the rows. `[dim]`
    pub(crate) mean: Vec<f32>,
    /// Standard deviation over the rows (of a sample, n - 1) plus 1e-5. `[dim]`
    pub(crate) std: Vec<f32>,
}

impl Standardizer {
    /// Measures `features`. With a single row every deviation is 0.
    pub(crate) fn fit(features: Features<'_>, stop: Stop<'_>) -> Result<Self> {
        let rows = features.rows() as f64;
        let mean: Vec<f32> = column_sums(features, stop, |_, x| f64::from(x))?
            .into_iter()
            .map(|sum| (sum / rows) as f32)
            .collect();
        // A second pass, because the difference of mean square and squared mean cancels.
        let squares = column_sums(features, stop, |j, x| (f64::from(x) - f64::from(mean[j])).powi(2))?;
        let std =
            squares.iter().map(|sum| ((sum / (rows - 1.0).max(1.0)).sqrt() + STD_FLOOR) as f32).collect();
        Ok(Self { mean, std })
    }

    /// Writes the standardised form of one row.
    pub(crate) fn apply<T: Real>(&self, row: &[f32], out: &mut [T]) {
        for (((out, &x), &mean), &std) in out.iter_mut().zip(row).zip(&self.mean).zip(&self.std) {
            // In f64, where the difference of two large features can't overflow.
            *out = T::from_f64((f64::from(x) - f64::from(mean)) / f64::from(std));
        }
    }

    /// Standardised copy of all rows. `[rows, dim]`
    pub(crate) fn apply_all<T: Real>(&self, features: Features<'_>, stop: Stop<'_>) -> Result<Vec<T>> {
        let dim = features.dim();
        let mut out = vec![T::ZERO; features.values().len()];
        out.par_chunks_mut(ROWS_PER_TASK * dim)
            .zip(features.values().par_chunks(ROWS_PER_TASK * dim))
            .try_for_each(|(out, rows)| {
                check(stop)?;
                for (out, row) in out.chunks_exact_mut(dim).zip(rows.chunks_exact(dim)) {
                    self.apply(row, out);
                }
                Ok::<(), EvalError>(())
            })?;
        Ok(out)
    }
}

/// Sum of `term(j, x)` over the rows, for every column j. `[dim]`
fn column_sums(
    features: Features<'_>,
    stop: Stop<'_>,
    term: impl Fn(usize, f32) -> f64 + Sync,
) -> Result<Vec<f64>> {
    let dim = features.dim();
    let partial: Vec<Vec<f64>> = features
        .values()
        .par_chunks(ROWS_PER_TASK * dim)
        .map(|rows| {
            check(stop)?;
            let mut sums = vec![0.0; dim];
            for row in rows.chunks_exact(dim) {
                for (j, (sum, &x)) in sums.iter_mut().zip(row).enumerate() {
                    *sum += term(j, x);
                }
            }
            Ok(sums)
        })
        .collect::<Result<_>>()?;
    let mut sums = vec![0.0; dim];
    for partial in partial {
        for (sum, x) in sums.iter_mut().zip(partial) {
            *sum += x;
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    #[test]
    fn becomes_mean_0_and_deviation_1() {
        // Far from 0 compared with its spread, over several tasks.
        let values: Vec<f32> =
            (0..5000_u32).flat_map(|i| [1000.0 + (i * 37 % 101) as f32 / 16.0, i as f32 * -3.0]).collect();
        let features = Features::new("features", &values, 2).unwrap();
        let standardizer = Standardizer::fit(features, never()).unwrap();
        let out: Vec<f64> = standardizer.apply_all(features, never()).unwrap();
        for j in 0..2 {
            let column: Vec<f64> = out.iter().skip(j).step_by(2).copied().collect();
            let mean = column.iter().sum::<f64>() / 5000.0;
            let variance = column.iter().map(|x| x * x).sum::<f64>() / 4999.0;
            assert!(mean.abs() < 5e-5, "feature {j}: mean {mean}");
            assert!((variance - 1.0).abs() < 5e-5, "feature {j}: variance {variance}");
        }
    }

    #[test]
    fn constant_features_and_single_rows_become_0() {
        let features = Features::new("features", &[0.1, 0.1, 0.1], 1).unwrap();
        let out: Vec<f32> =
            Standardizer::fit(features, never()).unwrap().apply_all(features, never()).unwrap();
        assert_eq!(out, [0.0; 3]);
        let row = Features::new("features", &[5.0, -1e30], 2).unwrap();
        let out: Vec<f32> = Standardizer::fit(row, never()).unwrap().apply_all(row, never()).unwrap();
        assert_eq!(out, [0.0; 2]);
    }

    #[test]
    fn the_largest_features_stay_finite() {
        let features = Features::new("features", &[f32::MAX, -f32::MAX, f32::MAX], 1).unwrap();
        let out: Vec<f32> =
            Standardizer::fit(features, never()).unwrap().apply_all(features, never()).unwrap();
        assert!(out.iter().all(|x| x.is_finite()), "{out:?}");
    }

    #[test]
    fn stops_when_asked() {
        let features = Features::new("features", &[1.0, 2.0], 1).unwrap();
        assert_eq!(Standardizer::fit(features, &|| true).err(), Some(EvalError::Cancelled));
    }
}
