//! Entropy and mutual information of noisy samples by a mixture of Gaussians, one at each sample.

use std::f64::consts::{E, PI};

use super::by_row;
use crate::error::{EvalError, Result, check_count, check_number};
use crate::features::Features;
use crate::stop::Stop;

/// A lower and an upper bound, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Not above the value.
    pub lower: f64,
    /// Not below it.
    pub upper: f64,
}

/// Bounds on the differential entropy of `x + noise`, the noise being normal with this variance in each dimension and x
/// one of the rows, each as likely: the entropy of a mixture of Gaussians.
///
/// ```text
/// H >= d/2 log(2 pi e v) - mean over i of log mean over j of exp(-|x_i - x_j|^2 / (8 v))
/// H <= d/2 log(2 pi e v) - mean over i of log mean over j of exp(-|x_i - x_j|^2 / (2 v))
/// ```
///
/// # Errors
/// [`EvalError::InvalidArgument`] for a variance that is not above 0; [`EvalError::Cancelled`].
///
/// # Source
/// Kolchinsky, Tracey 2017, arXiv 1706.02419, equations 10 and 11 (pairwise distances of Bhattacharyya and KL); used by
/// Saxe et al. 2018, "On the information bottleneck theory of deep learning", appendix B.
pub fn kde_entropy(x: Features<'_>, variance: f64, stop: Stop<'_>) -> Result<Bounds> {
    let noise = noise_entropy(x, variance)?;
    let [lower, upper] = spread(x, variance, None, stop)?;
    Ok(Bounds { lower: noise + lower, upper: noise + upper })
}

/// Bounds on the mutual information of a layer T with the input of the network, and with labels.
///
/// T is the layer's activations, a row a sample, plus normal noise of this variance, without which a deterministic layer
/// would share infinitely much with its input:
///
/// ```text
/// I(X; T) = H(T) - H(noise),   I(T; Y) = H(T) - sum over labels y of p(y) H(T | y)
/// ```
///
/// The bounds on I(T; Y) are the differences of equal bounds on both entropies, as in Saxe et al.; they need not enclose
/// the value strictly.
///
/// # Errors
/// As [`kde_entropy`]; [`EvalError::Shape`] if there is not a label a row.
pub fn kde_information(
    x: Features<'_>,
    labels: Option<&[u32]>,
    variance: f64,
    stop: Stop<'_>,
) -> Result<(Bounds, Option<Bounds>)> {
    noise_entropy(x, variance)?;
    if let Some(labels) = labels {
        check_count("labels", x.rows(), labels.len())?;
    }
    let [lower, upper] = spread(x, variance, None, stop)?;
    let input = Bounds { lower, upper };
    let Some(labels) = labels else { return Ok((input, None)) };
    let [within_lower, within_upper] = spread(x, variance, Some(labels), stop)?;
    let output = Bounds { lower: lower - within_lower, upper: upper - within_upper };
    Ok((input, Some(output)))
}

fn noise_entropy(x: Features<'_>, variance: f64) -> Result<f64> {
    check_number("noiseVariance", variance, "a number above 0", |value| value > 0.0)?;
    if x.rows() < 2 {
        return Err(EvalError::EmptySet { what: "pairs of samples" });
    }
    Ok(x.dim() as f64 / 2.0 * ((2.0 * PI * E).ln() + variance.ln()))
}

/// How much more entropy than the noise the mixture has, by both distances; with labels that of the mixture of each
/// label's rows, averaged.
fn spread(x: Features<'_>, variance: f64, labels: Option<&[u32]>, stop: Stop<'_>) -> Result<[f64; 2]> {
    let rows = x.rows();
    let belongs = |i: usize, j: usize| labels.is_none_or(|labels| labels[i] == labels[j]);
    let mut result = [0.0; 2];
    for (place, factor) in [8.0, 2.0].into_iter().enumerate() {
        let logs = by_row(rows, stop, |i| {
            let (mut sum, mut count) = (0.0, 0u32);
            for j in (0..rows).filter(|&j| belongs(i, j)) {
                sum += (-squared_distance(x.row(i), x.row(j)) / (factor * variance)).exp();
                count += 1;
            }
            // A row is at distance 0 of itself, so the sum is at least 1.
            (sum / f64::from(count)).ln()
        })?;
        result[place] = -logs.iter().sum::<f64>() / rows as f64;
    }
    Ok(result)
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::tests::gaussian;
    use super::*;
    use crate::never;

    fn view(values: &[f32], dim: usize) -> Features<'_> {
        Features::new("x", values, dim).unwrap()
    }

    /// Normal samples plus normal noise are normal: the entropy is known.
    #[test]
    fn bounds_enclose_the_entropy_of_a_normal_variable() {
        for dim in [1, 3] {
            let [x, _] = gaussian(1500, dim, 0.0);
            let variance = 0.3;
            let Bounds { lower, upper } = kde_entropy(view(&x, dim), variance, never()).unwrap();
            let expected = dim as f64 / 2.0 * (2.0 * PI * E * (1.0 + variance)).ln();
            assert!(lower < expected && expected < upper + 0.05, "{dim}: {lower} {expected} {upper}");
            assert!(upper - lower < 0.9 * dim as f64);
        }
    }

    /// Samples far apart are told apart entirely, equal ones not at all: known answers for both bounds.
    #[test]
    fn far_and_equal_samples_have_known_information() {
        let far: Vec<f32> = (0..8u8).map(|i| 1000.0 * f32::from(i)).collect();
        let labels = [0, 0, 0, 0, 1, 1, 1, 1];
        let (input, output) = kde_information(view(&far, 1), Some(&labels), 0.1, never()).unwrap();
        for value in [input.lower, input.upper] {
            assert!((value - 8f64.ln()).abs() < 1e-9);
        }
        let output = output.unwrap();
        for value in [output.lower, output.upper] {
            assert!((value - 2f64.ln()).abs() < 1e-9);
        }
        let (input, output) = kde_information(view(&[2.0; 8], 1), Some(&labels), 0.1, never()).unwrap();
        assert!(input.upper.abs() < 1e-12 && output.unwrap().upper.abs() < 1e-12);
    }

    /// The noise is all there is, and its variance times a constant would be infinite.
    #[test]
    fn the_largest_noise_has_a_finite_entropy() {
        let Bounds { lower, upper } = kde_entropy(view(&[1.0, 2.0], 1), 1e308, never()).unwrap();
        let expected = 0.5 * ((2.0 * PI * E).ln() + 1e308f64.ln());
        assert!((lower - expected).abs() < 1e-9 && (upper - expected).abs() < 1e-9, "{lower} {upper}");
    }

    #[test]
    fn a_shift_or_a_turn_changes_nothing() {
        let [x, _] = gaussian(200, 2, 0.0);
        let turned: Vec<f32> = x
            .chunks_exact(2)
            .flat_map(|row| [0.6 * row[0] - 0.8 * row[1] + 5.0, 0.8 * row[0] + 0.6 * row[1] - 3.0])
            .collect();
        let of = |values: &[f32]| kde_entropy(view(values, 2), 0.2, never()).unwrap();
        assert!((of(&x).upper - of(&turned).upper).abs() < 1e-4);
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for variance in [0.0, -1.0, f64::NAN] {
            let error = kde_entropy(view(&[1.0, 2.0], 1), variance, never()).unwrap_err();
            assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT");
        }
        assert_eq!(kde_entropy(view(&[1.0], 1), 1.0, never()).unwrap_err().code(), "AMDIM_DATA");
        let error = kde_information(view(&[1.0, 2.0], 1), Some(&[0]), 1.0, never()).unwrap_err();
        assert_eq!(error.code(), "AMDIM_SHAPE");
        assert_eq!(kde_entropy(view(&[1.0, 2.0], 1), 1.0, &|| true).unwrap_err(), EvalError::Cancelled);
    }
}
