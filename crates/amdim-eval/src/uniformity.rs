//! How evenly features cover the sphere.

use rayon::prelude::*;

use crate::error::{EvalError, Result};
use crate::features::Features;
use crate::knn::unit_rows;
use crate::matrix::{Matrix, Write, multiply};
use crate::stop::{Stop, check};

/// Rows of one side of a square of pairs.
const SQUARE: usize = 512;
/// `t` of the Gaussian potential.
const T: f32 = 2.0;

/// `ln mean exp(-2 |x - y|^2)` over all pairs of different pictures, with features of length 1: 0 where all are the
/// same, about -4 for even ones in many dimensions (`-2 * 2`), lower only for few pictures. A row of zeros stays one.
///
/// All pairs are counted, so time grows with the square of the pictures.
///
/// # Errors
/// - [`EvalError::EmptySet`]: fewer than two pictures
/// - [`EvalError::Cancelled`]
///
/// # Source
/// T. Wang and P. Isola, 2020, "Understanding contrastive representation learning through alignment and uniformity on
/// the hypersphere", arXiv 2005.10242, equation 3 with t = 2.
pub fn uniformity(features: Features<'_>, stop: Stop<'_>) -> Result<f64> {
    let (rows, dim) = (features.rows(), features.dim());
    if rows < 2 {
        return Err(EvalError::EmptySet { what: "pairs of pictures" });
    }
    let units = unit_rows(features.values(), dim);
    let squares: Vec<f32> = units.chunks_exact(dim).map(|row| row.iter().map(|x| x * x).sum()).collect();
    let starts = || (0..rows).step_by(SQUARE);
    let blocks: Vec<(usize, usize)> =
        starts().flat_map(|i| starts().take_while(move |&j| j <= i).map(move |j| (i, j))).collect();
    let block = |first: usize| {
        let height = SQUARE.min(rows - first);
        (
            Matrix::new(&units[first * dim..(first + height) * dim], height, dim),
            &squares[first..first + height],
        )
    };
    let sums: Vec<f64> = blocks
        .par_iter()
        .map_init(
            || vec![0.0; SQUARE * SQUARE],
            |products, &(i, j)| {
                check(stop)?;
                let ((left, left_squares), (right, right_squares)) = (block(i), block(j));
                let products = &mut products[..left_squares.len() * right_squares.len()];
                multiply(products, Write::Replace, left, right.transposed());
                let rows = products.chunks_exact(right_squares.len()).zip(left_squares).enumerate();
                // Each pair once: within a square on the diagonal, the part below it.
                Ok(rows
                    .map(|(at, (row, a))| {
                        let width = if i == j { at } else { row.len() };
                        let potential = |(x, b): (&f32, &f32)| (-T * (a + b - 2.0 * x).max(0.0)).exp();
                        row[..width].iter().zip(right_squares).map(potential).map(f64::from).sum::<f64>()
                    })
                    .sum())
            },
        )
        .collect::<Result<_>>()?;
    let pairs = rows as f64 * (rows - 1) as f64 / 2.0;
    Ok((sums.iter().sum::<f64>() / pairs).ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    fn of(values: &[f32], dim: usize) -> f64 {
        uniformity(Features::new("features", values, dim).unwrap(), never()).unwrap()
    }

    #[test]
    fn known_places_have_their_known_potential() {
        // Four axes of the plane: two neighbours at 2 and one opposite at 4 each.
        let wanted = ((2.0 * (-4.0_f64).exp() + (-8.0_f64).exp()) / 3.0).ln();
        let found = of(&[1.0, 0.0, 0.0, 9.0, -3.0, 0.0, 0.0, -0.1], 2);
        assert!((found - wanted).abs() < 1e-6, "{found} against {wanted}");
        assert!(of(&[2.0, 1.0, 4.0, 2.0, 6.0, 3.0], 2).abs() < 1e-6);
    }

    #[test]
    fn blocks_add_up_to_all_pairs() {
        let (rows, dim) = (2 * SQUARE + 3, 3);
        let values: Vec<f32> = (0..rows * dim).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect();
        let units = unit_rows(&values, dim);
        let mut sum = 0.0;
        for i in 0..rows {
            for j in 0..i {
                let difference = |k: usize| f64::from(units[i * dim + k] - units[j * dim + k]).powi(2);
                sum += (-2.0 * (0..dim).map(difference).sum::<f64>()).exp();
            }
        }
        let wanted = (sum / (rows * (rows - 1) / 2) as f64).ln();
        assert!((of(&values, dim) - wanted).abs() < 1e-6, "{} against {wanted}", of(&values, dim));
    }
}
