//! How near the features of two views of a picture are.

use crate::error::{Result, check_count};
use crate::features::Features;
use crate::knn::unit_scale;

/// Mean squared distance between features of length 1 of two views of the same picture: 0 (views never differ) to 4;
/// 2 for views that have nothing in common. A row of zeros stays one.
///
/// # Shapes
/// - `one`, `other`: `[pictures, dim]`, row by row of the same picture
///
/// # Errors
/// [`EvalError::Shape`](crate::EvalError::Shape): the shapes differ
///
/// # Source
/// T. Wang and P. Isola, 2020, "Understanding contrastive representation learning through alignment and uniformity on
/// the hypersphere", arXiv 2005.10242, equation 2 with alpha = 2.
pub fn alignment(one: Features<'_>, other: Features<'_>) -> Result<f64> {
    check_count("features in a second view", one.dim(), other.dim())?;
    check_count("second views", one.rows(), other.rows())?;
    let rows = one.values().chunks_exact(one.dim()).zip(other.values().chunks_exact(one.dim()));
    let distance = |(a, b): (&[f32], &[f32])| -> f64 {
        let (a_scale, b_scale) = (unit_scale(a), unit_scale(b));
        let difference = |(&a, &b): (&f32, &f32)| f64::from(a) * a_scale - f64::from(b) * b_scale;
        a.iter().zip(b).map(difference).map(|x| x * x).sum()
    };
    Ok(rows.map(distance).sum::<f64>() / one.rows() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(one: &[f32], other: &[f32]) -> Result<f64> {
        alignment(Features::new("one", one, 2)?, Features::new("other", other, 2)?)
    }

    #[test]
    fn angles_alone_count() {
        // At 0, 90 and 180 degrees: 0, 2 and 4.
        let found = of(&[1.0, 0.0, 3.0, 0.0, 0.0, 2.0], &[5.0, 0.0, 0.0, 0.5, 0.0, -1.0]).unwrap();
        assert!((found - 2.0).abs() < 1e-12, "{found}");
        assert_eq!(of(&[0.0, 0.0], &[0.0, 7.0]).unwrap(), 1.0);
    }

    #[test]
    fn views_must_come_in_pairs() {
        assert_eq!(of(&[1.0, 0.0], &[1.0, 0.0, 0.0, 1.0]).unwrap_err().code(), "AMDIM_SHAPE");
    }
}
