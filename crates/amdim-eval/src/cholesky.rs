//! The triangular factor of a symmetric matrix.

use rayon::prelude::*;

use crate::matrix::{Matrix, Write, multiply};

/// Columns that are factored one after the other; what columns further left take from them is one product.
const BLOCK: usize = 64;

/// `L`, lower triangular, with `L L^T = A` in the precision of f32.
///
/// Systems are solved in f64, so that the two solutions are those of one matrix and its transpose.
pub(crate) struct Cholesky {
    /// The lower triangle is L. `[dim, dim]`
    values: Vec<f32>,
    dim: usize,
}

impl Cholesky {
    /// Factors `matrix` `[dim, dim]`, of which the lower triangle is read; `None` unless it is positive definite.
    pub(crate) fn new(mut matrix: Vec<f32>, dim: usize) -> Option<Self> {
        for first in (0..dim).step_by(BLOCK) {
            let width = BLOCK.min(dim - first);
            let (above, below) = matrix.split_at_mut((first + width) * dim);
            let rows = &mut above[first * dim..];
            let done = left_products(rows, rows, first, dim);
            subtract(rows, &done, first, dim);
            for i in 0..width {
                let (earlier, row) = rows.split_at_mut(i * dim);
                let row = &mut row[first..=first + i];
                substitute(&mut row[..i], earlier, first, dim);
                let pivot = row[i] - row[..i].iter().map(|x| x * x).sum::<f32>();
                // NaN is not above 0 either.
                row[i] = (pivot > 0.0).then(|| pivot.sqrt())?;
            }
            let rows = &*rows;
            below.par_chunks_mut(BLOCK * dim).for_each(|below| {
                let done = left_products(below, rows, first, dim);
                subtract(below, &done, first, dim);
                for row in below.chunks_exact_mut(dim) {
                    substitute(&mut row[first..first + width], rows, first, dim);
                }
            });
        }
        Some(Self { values: matrix, dim })
    }

    /// Replaces `x` `[dim]` by the solution y of `L y = x`.
    pub(crate) fn solve(&self, x: &mut [f64]) {
        for (i, row) in self.values.chunks_exact(self.dim).enumerate() {
            let (known, rest) = x.split_at_mut(i);
            rest[0] = (rest[0] - dot(&row[..i], known)) / f64::from(row[i]);
        }
    }

    /// Replaces `x` `[dim]` by the solution y of `L^T y = x`.
    pub(crate) fn solve_transposed(&self, x: &mut [f64]) {
        for (i, row) in self.values.chunks_exact(self.dim).enumerate().rev() {
            let (rest, known) = x.split_at_mut(i);
            known[0] /= f64::from(row[i]);
            for (x, &l) in rest.iter_mut().zip(row) {
                *x -= known[0] * f64::from(l);
            }
        }
    }
}

/// Of two stretches of rows, the products of all pairs over the columns before `first`. `[a's rows, b's rows]`
fn left_products(a: &[f32], b: &[f32], first: usize, dim: usize) -> Vec<f32> {
    let (rows, columns) = (a.len() / dim, b.len() / dim);
    let mut products = vec![0.0; rows * columns];
    let left = |values, rows| Matrix::strided(values, rows, first, dim);
    multiply(&mut products, Write::Replace, left(a, rows), left(b, columns).transposed());
    products
}

/// Subtracts `[rows, width]` from the columns from `first` on.
fn subtract(rows: &mut [f32], products: &[f32], first: usize, dim: usize) {
    let width = products.len() / (rows.len() / dim);
    for (row, products) in rows.chunks_exact_mut(dim).zip(products.chunks_exact(width)) {
        row[first..].iter_mut().zip(products).for_each(|(x, product)| *x -= product);
    }
}

/// Replaces `x` by the solution y of `L y = x` with the triangle that starts at column `first` of `rows`.
fn substitute(x: &mut [f32], rows: &[f32], first: usize, dim: usize) {
    for (i, row) in rows.chunks_exact(dim).take(x.len()).enumerate() {
        let row = &row[first..=first + i];
        let sum: f32 = row.iter().zip(&x[..i]).map(|(l, y)| l * y).sum();
        x[i] = (x[i] - sum) / row[i];
    }
}

/// `a . b`, in eight running sums that vector registers hold side by side.
fn dot(a: &[f32], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for (sum, (&a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += f64::from(a) * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, b)| f64::from(a) * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `B B^T` plus 1 on the diagonal, for a B without pattern.
    fn positive_definite(dim: usize) -> Vec<f32> {
        let b = |i: usize, j: usize| ((i * 37 + j * 101 + i * j) % 17) as f32 / 17.0 - 0.5;
        let cell = |i, j| (0..dim).map(|k| b(i, k) * b(j, k)).sum::<f32>() + f32::from(u8::from(i == j));
        (0..dim * dim).map(|at| cell(at / dim, at % dim)).collect()
    }

    #[test]
    fn two_solutions_undo_the_matrix() {
        // Within a block, at its edge, and several blocks with a remainder.
        for dim in [1, 7, BLOCK, 2 * BLOCK + 5] {
            let matrix = positive_definite(dim);
            let wanted: Vec<f64> = (0..dim).map(|i| (i % 5) as f64 - 2.0).collect();
            let mut x: Vec<f64> = matrix.chunks_exact(dim).map(|row| dot(row, &wanted)).collect();
            let factor = Cholesky::new(matrix, dim).unwrap();
            factor.solve(&mut x);
            factor.solve_transposed(&mut x);
            for (x, wanted) in x.iter().zip(&wanted) {
                assert!((x - wanted).abs() < 1e-3, "{dim}: {x} against {wanted}");
            }
        }
    }

    #[test]
    fn the_two_solutions_are_transposes_of_each_other() {
        let dim = BLOCK + 9;
        let factor = Cholesky::new(positive_definite(dim), dim).unwrap();
        let (x, y): (Vec<f64>, Vec<f64>) = (0..dim).map(|i| ((i % 7) as f64, (i % 3) as f64 - 1.0)).unzip();
        let (mut solved, mut transposed) = (x.clone(), y.clone());
        factor.solve(&mut solved);
        factor.solve_transposed(&mut transposed);
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (left, right) = (product(&solved, &y), product(&x, &transposed));
        assert!((left - right).abs() < 1e-12 * left.abs().max(1.0), "{left} against {right}");
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::new(vec![1.0, 0.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(vec![0.0], 1).is_none());
        assert!(Cholesky::new(vec![f32::NAN], 1).is_none());
    }
}
