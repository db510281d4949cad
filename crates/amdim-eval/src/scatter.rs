//! Sums of products of centred features.

use rayon::prelude::*;

use crate::eigenvalues::eigenvalues;
use crate::error::{EvalError, Result};
use crate::features::Features;
use crate::matrix::{Matrix, Write, multiply};
use crate::stop::{Stop, check};

/// Side of a square of products that one task computes.
const SQUARE: usize = 256;
/// Terms of the sums that are unpacked at a time.
const TERMS: usize = 512;
/// Side of the products, at most: they take its square times 8 bytes (512 MiB), and its cube in steps.
const MAX_SIDE: usize = 8192;

/// Products of features around their means, over pictures or over features, whichever are fewer: both matrices have
/// the same eigenvalues above 0.
///
/// Sums are taken in f64 of values that were centred first, so that features far from 0 lose nothing.
pub struct Scatter {
    /// `[side, side]`, symmetric.
    products: Vec<f64>,
    side: usize,
    removed: Removed,
    rows: usize,
}

/// What centring took away from the products.
enum Removed {
    /// Over features: `a a^T`, for the means times the root of the number of pictures.
    Means(Vec<f64>),
    /// Over pictures: `a_i + a_j + square`, for the products of centred pictures with the mean, and its square.
    Shares { products: Vec<f64>, square: f64 },
}

impl Removed {
    fn at(&self, i: usize, j: usize) -> f64 {
        match self {
            Self::Means(means) => means[i] * means[j],
            Self::Shares { products, square } => products[i] + products[j] + square,
        }
    }
}

impl Scatter {
    /// Sums over all pictures.
    ///
    /// # Errors
    /// - [`EvalError::EmptySet`]: fewer than two pictures
    /// - [`EvalError::InvalidArgument`]: more than 8192 features and as many pictures
    /// - [`EvalError::Cancelled`]
    pub fn new(features: Features<'_>, stop: Stop<'_>) -> Result<Self> {
        let (rows, dim) = (features.rows(), features.dim());
        if rows < 2 {
            return Err(EvalError::EmptySet { what: "pairs of pictures" });
        }
        let side = rows.min(dim);
        if side > MAX_SIDE {
            return Err(EvalError::InvalidArgument {
                name: "features",
                expected: format!("at most {MAX_SIDE} pictures or {MAX_SIDE} values a picture"),
                actual: format!("{rows} pictures of {dim} values"),
            });
        }
        let mean = mean(features);
        let vectors = Vectors { features, mean: &mean, by_picture: rows < dim };
        let products = vectors.products(side, stop)?;
        let removed = if vectors.by_picture {
            let with_mean = |row: &[f32]| row.iter().zip(&mean).map(|(&x, m)| (f64::from(x) - m) * m).sum();
            Removed::Shares {
                products: features.values().chunks_exact(dim).map(with_mean).collect(),
                square: mean.iter().map(|m| m * m).sum(),
            }
        } else {
            Removed::Means(mean.iter().map(|m| m * (rows as f64).sqrt()).collect())
        };
        Ok(Self { products, side, removed, rows })
    }

    /// Number of pictures.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Variances along the principal axes of the pictures (divided by their number less 1), the largest first;
    /// `min(pictures, features)` of them.
    ///
    /// # Errors
    /// [`EvalError::Cancelled`]
    pub fn variances(&self, stop: Stop<'_>) -> Result<Vec<f64>> {
        let values = eigenvalues(self.products.clone(), self.side, stop)?;
        Ok(values.into_iter().map(|value| value.max(0.0) / (self.rows - 1) as f64).collect())
    }

    /// Singular values of the features as they came, not centred, the largest first; `min(pictures, features)` of
    /// them, each right to about 1e-8 of the largest.
    ///
    /// # Errors
    /// [`EvalError::Cancelled`]
    pub fn singular_values(&self, stop: Stop<'_>) -> Result<Vec<f64>> {
        let mut products = self.products.clone();
        for (i, row) in products.chunks_exact_mut(self.side).enumerate() {
            row.iter_mut().enumerate().for_each(|(j, x)| *x += self.removed.at(i, j));
        }
        let values = eigenvalues(products, self.side, stop)?;
        Ok(values.into_iter().map(|value| value.max(0.0).sqrt()).collect())
    }
}

/// Means of the features, `[dim]`.
fn mean(features: Features<'_>) -> Vec<f64> {
    let mut sums = vec![0.0; features.dim()];
    for row in features.values().chunks_exact(features.dim()) {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    sums.iter().map(|sum| sum / features.rows() as f64).collect()
}

/// The vectors whose products are taken: the columns of the features, or their rows.
struct Vectors<'a> {
    features: Features<'a>,
    mean: &'a [f64],
    by_picture: bool,
}

impl Vectors<'_> {
    fn products(&self, side: usize, stop: Stop<'_>) -> Result<Vec<f64>> {
        let starts = || (0..side).step_by(SQUARE);
        let squares: Vec<(usize, usize)> =
            starts().flat_map(|i| starts().take_while(move |&j| j <= i).map(move |j| (i, j))).collect();
        let sums: Vec<Vec<f64>> =
            squares.par_iter().map(|&(i, j)| self.square(i, j, side, stop)).collect::<Result<_>>()?;
        let mut products = vec![0.0; side * side];
        for ((i, j), sums) in squares.into_iter().zip(sums) {
            let width = SQUARE.min(side - j);
            for (row, sums) in sums.chunks_exact(width).enumerate() {
                for (column, &sum) in sums.iter().enumerate() {
                    products[(i + row) * side + j + column] = sum;
                    products[(j + column) * side + i + row] = sum;
                }
            }
        }
        Ok(products)
    }

    /// Products of the vectors from `i` on with those from `j` on.
    fn square(&self, i: usize, j: usize, side: usize, stop: Stop<'_>) -> Result<Vec<f64>> {
        let (height, width) = (SQUARE.min(side - i), SQUARE.min(side - j));
        let terms = if self.by_picture { self.features.dim() } else { self.features.rows() };
        let mut sums = vec![0.0; height * width];
        for first in (0..terms).step_by(TERMS) {
            check(stop)?;
            let count = TERMS.min(terms - first);
            let (left, right) = (self.unpack(first, count, i, height), self.unpack(first, count, j, width));
            let (left, right) = (Matrix::new(&left, count, height), Matrix::new(&right, count, width));
            multiply(&mut sums, Write::Add, left.transposed(), right);
        }
        Ok(sums)
    }

    /// Terms from `first` on of some vectors, centred. `[terms, vectors]`
    fn unpack(&self, first: usize, terms: usize, vector: usize, vectors: usize) -> Vec<f64> {
        if self.by_picture {
            let term = |j: usize| {
                (0..vectors).map(move |i| f64::from(self.features.row(vector + i)[j]) - self.mean[j])
            };
            return (first..first + terms).flat_map(term).collect();
        }
        let mean = &self.mean[vector..vector + vectors];
        let term = |row: usize| {
            let row = &self.features.row(row)[vector..vector + vectors];
            row.iter().zip(mean).map(|(&x, mean)| f64::from(x) - mean)
        };
        (first..first + terms).flat_map(term).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    fn noise(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i * i * 7919 % 1009) as f32 / 504.0 + 3.0).collect()
    }

    /// Products as they are written, over features and over pictures.
    fn plain(values: &[f32], dim: usize, centred: bool, by_picture: bool) -> Vec<f64> {
        let rows = values.len() / dim;
        let column = |j: usize| (0..rows).map(move |i| f64::from(values[i * dim + j]));
        let means: Vec<f64> =
            (0..dim).map(|j| if centred { column(j).sum::<f64>() / rows as f64 } else { 0.0 }).collect();
        let at = |i: usize, j: usize| f64::from(values[i * dim + j]);
        let mean = |j: usize| means[j];
        let side = if by_picture { rows } else { dim };
        let cell = |a: usize, b: usize| -> f64 {
            if by_picture {
                (0..dim).map(|j| (at(a, j) - mean(j)) * (at(b, j) - mean(j))).sum()
            } else {
                (0..rows).map(|i| (at(i, a) - mean(a)) * (at(i, b) - mean(b))).sum()
            }
        };
        (0..side * side).map(|k| cell(k / side, k % side)).collect()
    }

    #[test]
    fn eigenvalues_are_the_same_over_features_and_over_pictures() {
        for (rows, dim) in [(9, 4), (4, 9), (6, 6)] {
            let values = noise(rows * dim);
            let scatter = Scatter::new(Features::new("features", &values, dim).unwrap(), never()).unwrap();
            let close = |found: &[f64], centred: bool, of: &dyn Fn(f64) -> f64| {
                for by_picture in [false, true] {
                    let side = if by_picture { rows } else { dim };
                    let products = plain(&values, dim, centred, by_picture);
                    let wanted = eigenvalues(products, side, never()).unwrap();
                    for (found, wanted) in found.iter().zip(wanted) {
                        let wanted = of(wanted.max(0.0));
                        assert!((found - wanted).abs() < 1e-6, "{rows}x{dim}: {found} against {wanted}");
                    }
                }
            };
            close(&scatter.variances(never()).unwrap(), true, &|x| x / (rows - 1) as f64);
            close(&scatter.singular_values(never()).unwrap(), false, &f64::sqrt);
        }
    }

    #[test]
    fn blocks_add_up_to_the_plain_sums() {
        let (rows, dim) = (TERMS + 9, SQUARE + 5);
        let values = noise(rows * dim);
        let features = Features::new("features", &values, dim).unwrap();
        let mean = mean(features);
        let products = Vectors { features, mean: &mean, by_picture: false }.products(dim, never()).unwrap();
        for (found, wanted) in products.iter().zip(plain(&values, dim, true, false)) {
            assert!((found - wanted).abs() < 1e-8, "{found} against {wanted}");
        }
    }

    #[test]
    fn one_picture_varies_in_nothing() {
        let features = Features::new("features", &[1.0, 2.0], 2).unwrap();
        assert!(matches!(Scatter::new(features, never()), Err(EvalError::EmptySet { .. })));
    }
}
