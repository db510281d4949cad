//! Singular values of a small matrix.

use crate::eigenvalues::eigenvalues;
use crate::error::Result;
use crate::stop::Stop;

/// Singular values of `matrix`, the largest first: `min(rows, columns)` of them. They are roots of the eigenvalues of the
/// matrix times its transpose, so those below about 3e-8 of the largest are rounding.
///
/// # Shapes
/// - `matrix`: `[rows, columns]`, finite, row-major
pub fn singular_values(matrix: &[f64], rows: usize, columns: usize, stop: Stop<'_>) -> Result<Vec<f64>> {
    let side = rows.min(columns);
    let at = |index: usize, along: usize| {
        if rows <= columns { matrix[index * columns + along] } else { matrix[along * columns + index] }
    };
    let dot =
        |a: usize, b: usize| (0..rows.max(columns)).map(|along| at(a, along) * at(b, along)).sum::<f64>();
    let mut products = vec![0.0; side * side];
    for a in 0..side {
        for b in 0..=a {
            let value = dot(a, b);
            (products[a * side + b], products[b * side + a]) = (value, value);
        }
    }
    Ok(eigenvalues(products, side, stop)?.into_iter().map(|value| value.max(0.0).sqrt()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    #[test]
    fn known_matrices_have_their_known_values() {
        let close = |found: Vec<f64>, expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            let rounding = 3e-8 * expected[0];
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < rounding), "{found:?}");
        };
        close(singular_values(&[3.0, 0.0, 0.0, 0.0, -4.0, 0.0], 2, 3, never()).unwrap(), &[4.0, 3.0]);
        close(singular_values(&[3.0, 0.0, 0.0, -4.0, 0.0, 0.0], 3, 2, never()).unwrap(), &[4.0, 3.0]);
        // Rank 1: the product of (1, 2) and (3, 4).
        close(singular_values(&[3.0, 4.0, 6.0, 8.0], 2, 2, never()).unwrap(), &[125f64.sqrt(), 0.0]);
    }
}
