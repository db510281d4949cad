//! How many directions features use, without labels.

use crate::error::Result;
use crate::scatter::Scatter;
use crate::stop::Stop;

/// Added to each share, as in the paper.
const EPSILON: f64 = 1e-7;

/// `RankMe`: the number of equal singular values that would have the entropy of those of the features.
///
/// `exp(-sum_k p_k ln p_k)` with `p_k = s_k / sum_j s_j + 1e-7`, from about 1 (all features lie on a line through 0) to
/// `min(pictures, features)`. Of encoders of one family, the one of higher rank tends to be the better one for linear
/// probes; ranks of features of different sizes do not compare.
///
/// # Errors
/// [`EvalError::Cancelled`](crate::EvalError::Cancelled)
///
/// # Source
/// Q. Garrido, R. Balestriero, L. Najman, Y. `LeCun`, 2023, "`RankMe`: assessing the downstream performance of pretrained
/// self-supervised representations by their rank", arXiv 2210.02885, equation 1.
pub fn rank_me(scatter: &Scatter, stop: Stop<'_>) -> Result<f64> {
    Ok(entropy_rank(&scatter.singular_values(stop)?, EPSILON))
}

/// `exp` of the entropy of `values`, 0 or more, as shares of their sum plus `epsilon`; 0 where all are 0.
pub(crate) fn entropy_rank(values: &[f64], epsilon: f64) -> f64 {
    let sum: f64 = values.iter().sum();
    if sum <= 0.0 {
        return 0.0;
    }
    let term = |value: &f64| {
        let share = value / sum + epsilon;
        if share > 0.0 { -share * share.ln() } else { 0.0 }
    };
    values.iter().map(term).sum::<f64>().exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;
    use crate::stop::never;

    fn rank(values: &[f32], dim: usize) -> f64 {
        let scatter = Scatter::new(Features::new("features", values, dim).unwrap(), never()).unwrap();
        rank_me(&scatter, never()).unwrap()
    }

    #[test]
    fn equal_singular_values_count_each() {
        // Twice the axes of four dimensions, and four rows of one direction.
        let axes: Vec<f32> = (0..32).map(|i| f32::from(u8::from(i / 4 % 4 == i % 4))).collect();
        assert!((rank(&axes, 4) - 4.0).abs() < 1e-4, "{}", rank(&axes, 4));
        let line = [1.0, 2.0, 2.0, 4.0, -1.0, -2.0, 3.0, 6.0];
        assert!((rank(&line, 2) - 1.0).abs() < 1e-4, "{}", rank(&line, 2));
        assert_eq!(rank(&[0.0; 6], 2), 0.0);
    }

    #[test]
    fn unequal_ones_count_by_their_entropy() {
        // Singular values 3 and 1: shares 3/4 and 1/4.
        let wanted = (-(0.75_f64 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln())).exp();
        let found = rank(&[3.0, 0.0, 0.0, 1.0], 2);
        assert!((found - wanted).abs() < 1e-5, "{found} against {wanted}");
        // Neither scale nor more features than pictures change it.
        let wide = [3e9, 0.0, 0.0, 0.0, 1e9, 0.0];
        assert!((rank(&wide, 3) - wanted).abs() < 1e-5);
    }
}
