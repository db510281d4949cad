//! Entropy and mutual information by bins of equal width.

use super::check_rows;
use super::symbols::{entropies_of_both, entropy, numbered};
use crate::error::{EvalError, Result};
use crate::features::Features;

/// What binning gives of two variables, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Binned {
    /// Entropy of the binned x, y, and of both together.
    pub entropies: [f64; 3],
    /// Mutual information of the binned variables: `H(x) + H(y) - H(x, y)`, at least 0.
    pub mutual_information: f64,
}

/// Entropy of a variable in nats, of which each dimension is cut into `bins` bins of equal width between its smallest
/// and its largest value. Rows that fall into the same bin in every dimension count as one symbol.
///
/// It is the entropy of the symbols as they occur (no correction), at most `log(rows)`: in many dimensions nearly every
/// row is a symbol of its own, and the value says more about the number of rows than about the variable.
///
/// # Errors
/// [`EvalError::InvalidArgument`] for fewer than two bins.
pub fn binned_entropy(x: Features<'_>, bins: usize) -> Result<f64> {
    Ok(entropy(&symbols(x, bins)?))
}

/// Entropies and mutual information of two variables, binned as [`binned_entropy`] does.
///
/// # Errors
/// [`EvalError::InvalidArgument`] for fewer than two bins; [`EvalError::Shape`] for different numbers of rows.
pub fn binned_mutual_information(x: Features<'_>, y: Features<'_>, bins: usize) -> Result<Binned> {
    check_rows(x, y)?;
    let (x, y) = (symbols(x, bins)?, symbols(y, bins)?);
    let entropies = entropies_of_both(&x, &y);
    let mutual_information = (entropies[0] + entropies[1] - entropies[2]).max(0.0);
    Ok(Binned { entropies, mutual_information })
}

/// A number for each row; equal ones for rows in the same bins.
fn symbols(x: Features<'_>, bins: usize) -> Result<Vec<u32>> {
    if bins < 2 || u32::try_from(bins).is_err() {
        return Err(EvalError::InvalidArgument {
            name: "bins",
            expected: "at least 2".to_owned(),
            actual: bins.to_string(),
        });
    }
    let range = |column: usize| {
        let values = x.values().iter().skip(column).step_by(x.dim());
        values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
    };
    let ranges: Vec<(f32, f32)> = (0..x.dim()).map(range).collect();
    let bin = |(&value, &(low, high)): (&f32, &(f32, f32))| -> u32 {
        let width = f64::from(high) - f64::from(low);
        let share = if width > 0.0 { (f64::from(value) - f64::from(low)) / width } else { 0.0 };
        // The largest value belongs to the last bin.
        ((share * bins as f64) as u32).min(bins as u32 - 1)
    };
    Ok(numbered((0..x.rows()).map(|row| x.row(row).iter().zip(&ranges).map(bin).collect::<Vec<u32>>())))
}

#[cfg(test)]
mod tests {
    use super::super::tests::gaussian;
    use super::*;

    fn view(values: &[f32], dim: usize) -> Features<'_> {
        Features::new("x", values, dim).unwrap()
    }

    #[test]
    fn symbols_have_the_entropy_of_their_frequencies() {
        let x = [0.0, 0.1, 3.9, 4.0];
        assert!((binned_entropy(view(&x, 1), 2).unwrap() - 2f64.ln()).abs() < 1e-12);
        assert!((binned_entropy(view(&x, 1), 1000).unwrap() - 4f64.ln()).abs() < 1e-12);
        assert_eq!(binned_entropy(view(&[1.0; 6], 2), 5).unwrap(), 0.0);
    }

    #[test]
    fn a_copy_shares_everything_and_an_independent_variable_little() {
        let [x, _] = gaussian(4000, 1, 0.0);
        let same = binned_mutual_information(view(&x, 1), view(&x, 1), 16).unwrap();
        assert!((same.mutual_information - same.entropies[0]).abs() < 1e-12);
        let [x, y] = gaussian(20_000, 1, 0.0);
        assert!(binned_mutual_information(view(&x, 1), view(&y, 1), 10).unwrap().mutual_information < 0.01);
    }

    #[test]
    fn normal_variables_have_about_their_information() {
        let [x, y] = gaussian(50_000, 1, 0.8);
        let found = binned_mutual_information(view(&x, 1), view(&y, 1), 40).unwrap().mutual_information;
        let expected = -0.5 * (1.0f64 - 0.64).ln();
        assert!((found - expected).abs() < 0.05, "{found} instead of {expected}");
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        let x = [1.0, 2.0];
        assert_eq!(binned_entropy(view(&x, 1), 1).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        let error = binned_mutual_information(view(&x, 1), view(&x, 2), 2).unwrap_err();
        assert_eq!(error.code(), "AMDIM_SHAPE");
    }
}
