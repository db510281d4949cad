//! Mutual information by distances to the k-th nearest neighbour.

use super::{by_row, check_rows, check_varies, digamma};
use crate::error::{EvalError, Result};
use crate::features::Features;
use crate::stop::Stop;

/// Mutual information of two continuous variables in nats, from the distance of each sample to its k-th nearest one in
/// both variables together, by the largest coordinate's difference.
///
/// ```text
/// I = psi(k) + psi(N) - mean over i of ( psi(n_x(i) + 1) + psi(n_y(i) + 1) )
/// ```
///
/// with `n_x(i)` the samples whose x lies nearer to that of i than the k-th nearest sample does in both. Small k has little
/// bias and more noise; 3 is usual. The value can be slightly below 0. All pairs are compared: time grows with the
/// square of the samples. Samples with equal values (counts, rounded numbers) break its assumption; add a little noise.
///
/// # Errors
/// [`EvalError::InvalidArgument`] for a k of 0 or not below the number of samples, or a variable that does not vary;
/// [`EvalError::Shape`] for different numbers of rows; [`EvalError::Cancelled`].
///
/// # Source
/// Kraskov, Stoegbauer, Grassberger 2004, "Estimating mutual information", Phys. Rev. E 69, 066138, equation 8
/// (algorithm 1).
pub fn knn_mutual_information(x: Features<'_>, y: Features<'_>, k: usize, stop: Stop<'_>) -> Result<f64> {
    check_rows(x, y)?;
    let rows = x.rows();
    if k == 0 || k >= rows {
        return Err(EvalError::InvalidArgument {
            name: "k",
            expected: format!("1 to {} (one less than the samples)", rows.saturating_sub(1)),
            actual: k.to_string(),
        });
    }
    check_varies("x", x)?;
    check_varies("y", y)?;
    let terms = by_row(rows, stop, |i| {
        let others = || (0..rows).filter(|&j| j != i);
        let distances: Vec<(f64, f64)> = others()
            .map(|j| (largest_difference(x.row(i), x.row(j)), largest_difference(y.row(i), y.row(j))))
            .collect();
        let mut joint: Vec<f64> = distances.iter().map(|(x, y)| x.max(*y)).collect();
        let (_, &mut nearest, _) = joint.select_nth_unstable_by(k - 1, f64::total_cmp);
        let nearer = |of: fn(&(f64, f64)) -> f64| distances.iter().filter(|pair| of(pair) < nearest).count();
        digamma(nearer(|pair| pair.0) as f64 + 1.0) + digamma(nearer(|pair| pair.1) as f64 + 1.0)
    })?;
    Ok(digamma(k as f64) + digamma(rows as f64) - terms.iter().sum::<f64>() / rows as f64)
}

/// In f64, where differences of any two values are finite.
fn largest_difference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).fold(0.0, |largest, (a, b)| largest.max((f64::from(*a) - f64::from(*b)).abs()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::gaussian;
    use super::*;
    use crate::never;

    fn information(x: &[f32], y: &[f32], dim: usize, k: usize) -> Result<f64> {
        knn_mutual_information(Features::new("x", x, dim)?, Features::new("y", y, dim)?, k, never())
    }

    #[test]
    fn normal_variables_have_their_information() {
        for (dim, rho, tolerance) in [(1, 0.0, 0.06), (1, 0.5, 0.06), (1, 0.9, 0.06), (2, 0.7, 0.1)] {
            let [x, y] = gaussian(2500, dim, rho);
            let expected = -0.5 * dim as f64 * (1.0 - rho * rho).ln();
            let found = information(&x, &y, dim, 3).unwrap();
            assert!((found - expected).abs() < tolerance, "{dim} {rho}: {found} instead of {expected}");
        }
    }

    /// Mutual information does not change by invertible maps of either variable.
    #[test]
    fn invertible_maps_change_little() {
        let [x, y] = gaussian(1500, 1, 0.8);
        let plain = information(&x, &y, 1, 3).unwrap();
        let cubed: Vec<f32> = x.iter().map(|v| v * v * v).collect();
        let squashed: Vec<f32> = y.iter().map(|v| 5.0 - 100.0 * v.tanh()).collect();
        assert!((information(&cubed, &squashed, 1, 3).unwrap() - plain).abs() < 0.08);
        let scaled: Vec<f32> = x.iter().map(|v| 4.0 * v).collect();
        let same: Vec<f32> = y.iter().map(|v| 4.0 * v).collect();
        assert!((information(&scaled, &same, 1, 3).unwrap() - plain).abs() < 1e-12);
        assert!((information(&y, &x, 1, 3).unwrap() - plain).abs() < 1e-12);
        // Differences of the largest values are above what f32 can hold.
        let huge = |values: &[f32]| values.iter().map(|v| v * 2f32.powi(125)).collect::<Vec<f32>>();
        assert!((information(&huge(&x), &huge(&y), 1, 3).unwrap() - plain).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        let x = [1.0, 2.0, 3.0];
        for k in [0, 3] {
            assert_eq!(information(&x, &x, 1, k).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
        assert_eq!(information(&x, &[2.0; 3], 1, 1).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        assert_eq!(information(&x, &x[1..], 1, 1).unwrap_err().code(), "AMDIM_SHAPE");
    }
}
