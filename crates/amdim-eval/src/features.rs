//! A checked view of a feature matrix.

use rayon::prelude::*;

use crate::error::{EvalError, Result};

/// Rows whose finiteness one task checks.
const ROWS_PER_TASK: usize = 1024;

/// Borrowed features, one row a picture, all of them finite.
///
/// # Shapes
/// - `values`: `[rows, dim]`, row after row
#[derive(Debug, Clone, Copy)]
pub struct Features<'a> {
    values: &'a [f32],
    dim: usize,
}

impl<'a> Features<'a> {
    /// Checks and wraps a matrix of `values.len() / dim` rows; `what` names it in errors.
    ///
    /// # Errors
    /// - [`EvalError::InvalidArgument`]: `dim` is 0
    /// - [`EvalError::EmptySet`]: no values
    /// - [`EvalError::Shape`]: the last row is not complete
    /// - [`EvalError::NonFinite`]: names the first row with an infinite value or NaN
    pub fn new(what: &'static str, values: &'a [f32], dim: usize) -> Result<Self> {
        if dim == 0 {
            return Err(EvalError::InvalidArgument {
                name: "dim",
                expected: "at least 1".to_owned(),
                actual: dim.to_string(),
            });
        }
        if values.is_empty() {
            return Err(EvalError::EmptySet { what });
        }
        if !values.len().is_multiple_of(dim) {
            let expected = values.len().next_multiple_of(dim);
            return Err(EvalError::Shape { what, expected, actual: values.len() });
        }
        match first_non_finite_row(values, dim) {
            Some(row) => Err(EvalError::NonFinite { what, row }),
            None => Ok(Self { values, dim }),
        }
    }

    /// All values, row after row.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Number of features in a row, at least 1.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// One row.
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.dim..][..self.dim]
    }
}

/// Index of the first row of `[rows, dim]` that holds an infinite value or NaN.
pub(crate) fn first_non_finite_row(values: &[f32], dim: usize) -> Option<usize> {
    values
        .par_chunks(ROWS_PER_TASK * dim)
        .enumerate()
        .filter_map(|(task, chunk)| {
            // One branch-free sum a row: zero times a finite value is zero, anything else is NaN.
            let row =
                chunk.chunks_exact(dim).position(|row| row.iter().map(|x| x * 0.0).sum::<f32>() != 0.0)?;
            Some(task * ROWS_PER_TASK + row)
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_index() {
        let features = Features::new("features", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3).unwrap();
        assert_eq!((features.rows(), features.dim()), (2, 3));
        assert_eq!(features.row(1), [4.0, 5.0, 6.0]);
    }

    #[test]
    fn refuses_what_is_not_a_matrix() {
        let code = |values: &[f32], dim| Features::new("features", values, dim).unwrap_err().code();
        assert_eq!(code(&[1.0], 0), "AMDIM_INVALID_ARGUMENT");
        assert_eq!(code(&[], 2), "AMDIM_DATA");
        assert_eq!(code(&[1.0, 2.0, 3.0], 2), "AMDIM_SHAPE");
    }

    #[test]
    fn names_the_first_row_that_is_not_finite() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![f32::MAX; 2 * 5000];
            values[2 * 4321] = bad;
            values[2 * 4999] = bad;
            let error = Features::new("features", &values, 2).unwrap_err();
            assert_eq!(error, EvalError::NonFinite { what: "features", row: 4321 });
        }
    }
}
