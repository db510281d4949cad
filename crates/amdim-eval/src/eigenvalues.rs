//! Eigenvalues of a symmetric matrix.

use rayon::prelude::*;

use crate::error::Result;
use crate::stop::{Stop, check};

/// Rows that one task updates.
const ROWS: usize = 64;
/// Halvings of an interval: as many as an f64 has bits, and a few for exponents.
const HALVINGS: usize = 64;

/// Eigenvalues of `matrix`, the largest first, each right to about 1e-15 of the largest magnitude among them.
///
/// Householder reflections make the matrix tridiagonal, in one pass over it a column: a reflection is applied to the
/// rows while they are read for the next. Bisection on Sturm sequences then finds each eigenvalue by itself, so it
/// always ends, and the result does not depend on the number of threads.
///
/// # Shapes
/// - `matrix`: `[dim, dim]`, finite and symmetric
///
/// # Source
/// G. H. Golub and C. F. Van Loan, 2013, Matrix Computations, 4th edition, algorithm 8.3.1 (tridiagonalisation) and
/// section 8.4.1 (bisection).
pub(crate) fn eigenvalues(matrix: Vec<f64>, dim: usize, stop: Stop<'_>) -> Result<Vec<f64>> {
    let tridiagonal = Tridiagonal::of(matrix, dim, stop)?;
    let bound = tridiagonal.bound();
    (0..dim)
        .into_par_iter()
        .map(|rank| {
            check(stop)?;
            // The eigenvalue that `rank` others are above.
            Ok(tridiagonal.eigenvalue(dim - 1 - rank, bound))
        })
        .collect()
}

struct Tridiagonal {
    diagonal: Vec<f64>,
    /// Squares beside the diagonal, one fewer.
    squares: Vec<f64>,
}

impl Tridiagonal {
    fn of(mut matrix: Vec<f64>, dim: usize, stop: Stop<'_>) -> Result<Self> {
        let (mut diagonal, mut squares) = (Vec::with_capacity(dim), Vec::with_capacity(dim));
        // The reflection of the column before, not applied yet: `A -= v w^T + w v^T`.
        let (mut v, mut w) = (vec![0.0; dim], vec![0.0; dim]);
        for column in 0..dim {
            check(stop)?;
            let first = column + 1;
            // By symmetry the row is the column.
            let row = &mut matrix[column * dim..][..dim];
            reflect_row(row, &v, &w, column);
            diagonal.push(row[column]);
            if first == dim {
                break;
            }
            let (length, next) = reflection(&row[first..]);
            squares.push(length * length);
            let mut product = vec![0.0; dim - first];
            let below = matrix[first * dim..].par_chunks_mut(ROWS * dim);
            below.zip(product.par_chunks_mut(ROWS)).enumerate().for_each(|(task, (rows, product))| {
                for (i, (row, product)) in rows.chunks_exact_mut(dim).zip(product).enumerate() {
                    let at = first + task * ROWS + i;
                    update(&mut row[first..], [&v[first..], &w[first..]], [v[at], w[at]]);
                    *product = dot(&row[first..], &next);
                }
            });
            let half = 0.5 * dot(&product, &next);
            v[first..].copy_from_slice(&next);
            for ((w, product), v) in w[first..].iter_mut().zip(product).zip(&next) {
                *w = product - half * v;
            }
        }
        Ok(Self { diagonal, squares })
    }

    /// No eigenvalue is larger in magnitude (Gershgorin).
    fn bound(&self) -> f64 {
        let beside = |i: usize| self.squares.get(i).map_or(0.0, |square| square.sqrt());
        let row = |(i, x): (usize, &f64)| x.abs() + beside(i) + if i > 0 { beside(i - 1) } else { 0.0 };
        self.diagonal.iter().enumerate().map(row).fold(0.0, f64::max)
    }

    /// The eigenvalue that `below` others are not above.
    fn eigenvalue(&self, below: usize, bound: f64) -> f64 {
        let (mut low, mut high) = (-bound, bound);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if self.count_below(middle, bound) > below { high = middle } else { low = middle }
        }
        0.5 * (low + high)
    }

    /// Number of eigenvalues below `x`: the negative pivots of `T - x I`.
    fn count_below(&self, x: f64, bound: f64) -> usize {
        // A pivot of 0 stands for a tiny negative one, as in LAPACK's dstebz.
        let least = (f64::EPSILON * f64::EPSILON * bound).max(f64::MIN_POSITIVE);
        let mut count = 0;
        let mut pivot = 1.0;
        for (i, diagonal) in self.diagonal.iter().enumerate() {
            pivot = diagonal - x - if i > 0 { self.squares[i - 1] / pivot } else { 0.0 };
            if pivot.abs() < least {
                pivot = -least;
            }
            count += usize::from(pivot < 0.0);
        }
        count
    }
}

/// `v` with `|v|^2 = 2` whose reflection `I - v v^T` turns `x` into a multiple of the first axis, and the length of
/// `x`; a `v` of zeros where there is nothing to turn.
fn reflection(x: &[f64]) -> (f64, Vec<f64>) {
    // Scaled, so that no square over- or underflows.
    let scale = x.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    if scale == 0.0 {
        return (0.0, vec![0.0; x.len()]);
    }
    let mut v: Vec<f64> = x.iter().map(|x| x / scale).collect();
    let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v[0] += length.copysign(v[0]);
    let norm = v.iter().map(|x| x * x).sum::<f64>();
    let factor = (2.0 / norm).sqrt();
    for x in &mut v {
        *x *= factor;
    }
    (length * scale, v)
}

/// Applies the waiting reflection to the row `at`, from its diagonal on.
fn reflect_row(row: &mut [f64], v: &[f64], w: &[f64], at: usize) {
    update(&mut row[at..], [&v[at..], &w[at..]], [v[at], w[at]]);
}

/// `row -= a w + b v`
fn update(row: &mut [f64], [v, w]: [&[f64]; 2], [a, b]: [f64; 2]) {
    for ((x, v), w) in row.iter_mut().zip(v).zip(w) {
        *x -= a * w + b * v;
    }
}

/// `a . b`, in eight running sums that vector registers hold side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    /// By Jacobi's rotations, slowly.
    fn by_rotations(mut a: Vec<f64>, dim: usize) -> Vec<f64> {
        for _ in 0..40 {
            for p in 0..dim {
                for q in p + 1..dim {
                    let off = a[p * dim + q];
                    if off == 0.0 {
                        continue;
                    }
                    let angle = 0.5 * (2.0 * off).atan2(a[q * dim + q] - a[p * dim + p]);
                    let (s, c) = angle.sin_cos();
                    for k in 0..dim {
                        let (x, y) = (a[k * dim + p], a[k * dim + q]);
                        (a[k * dim + p], a[k * dim + q]) = (c * x - s * y, s * x + c * y);
                    }
                    for k in 0..dim {
                        let (x, y) = (a[p * dim + k], a[q * dim + k]);
                        (a[p * dim + k], a[q * dim + k]) = (c * x - s * y, s * x + c * y);
                    }
                }
            }
        }
        let mut values: Vec<f64> = (0..dim).map(|i| a[i * dim + i]).collect();
        values.sort_by(|x, y| y.total_cmp(x));
        values
    }

    fn symmetric(dim: usize) -> Vec<f64> {
        let cell = |i: usize, j: usize| ((i.min(j) * 37 + i.max(j) * 101 + i * j) % 23) as f64 / 11.0 - 1.0;
        (0..dim * dim).map(|at| cell(at / dim, at % dim)).collect()
    }

    #[test]
    fn equal_those_of_rotations() {
        for dim in [1, 2, 3, 10, ROWS + 7] {
            let found = eigenvalues(symmetric(dim), dim, never()).unwrap();
            for (found, wanted) in found.iter().zip(by_rotations(symmetric(dim), dim)) {
                assert!((found - wanted).abs() < 1e-11, "{dim}: {found} against {wanted}");
            }
        }
    }

    #[test]
    fn known_matrices_have_their_known_eigenvalues() {
        assert_eq!(eigenvalues(vec![0.0; 9], 3, never()).unwrap(), [0.0; 3]);
        let ones = eigenvalues(vec![1.0; 100], 10, never()).unwrap();
        assert!((ones[0] - 10.0).abs() < 1e-13, "{ones:?}");
        assert!(ones[1..].iter().all(|x| x.abs() < 1e-13), "{ones:?}");
        // Second differences: 2 - 2 cos(pi k / (dim + 1)).
        let dim = 20;
        let cell = |i: usize, j: usize| if i == j { 2.0 } else { -f64::from(u8::from(i.abs_diff(j) == 1)) };
        let differences: Vec<f64> = (0..dim * dim).map(|at| cell(at / dim, at % dim)).collect();
        for (i, found) in eigenvalues(differences, dim, never()).unwrap().into_iter().enumerate() {
            let wanted = 2.0 - 2.0 * (std::f64::consts::PI * (dim - i) as f64 / (dim + 1) as f64).cos();
            assert!((found - wanted).abs() < 1e-13, "{found} against {wanted}");
        }
    }

    #[test]
    fn scales_at_the_ends_of_f32_do_not_matter() {
        for scale in [1e76, 1e-76] {
            let scaled = symmetric(9).into_iter().map(|x| x * scale).collect();
            let found = eigenvalues(scaled, 9, never()).unwrap();
            for (found, wanted) in found.iter().zip(by_rotations(symmetric(9), 9)) {
                assert!((found / scale - wanted).abs() < 1e-12, "{found} against {wanted}");
            }
        }
    }
}
