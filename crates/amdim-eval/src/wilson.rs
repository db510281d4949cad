//! Confidence interval of a proportion.

use serde::Serialize;

/// The 97.5 % quantile of the standard normal distribution: 95 % lie within plus or minus this.
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// A share of successes with its Wilson 95 % confidence interval.
///
/// With `p = correct / n` and `z` = 1.96 the interval is
/// `(p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)`. Unlike the normal interval it stays
/// within 0..1 and has a width above 0 for shares of 0 and 1.
///
/// # Source
/// E. B. Wilson, 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Proportion {
    /// Number of successes.
    pub correct: usize,
    /// The share, 0..1.
    pub value: f64,
    /// Lower end of the 95 % interval, 0..1.
    pub low: f64,
    /// Upper end of the 95 % interval, 0..1.
    pub high: f64,
}

impl Proportion {
    /// The share `correct / n`, or `None` when `n` is 0 or below `correct`.
    pub fn new(correct: usize, n: usize) -> Option<Self> {
        if n == 0 || correct > n {
            return None;
        }
        let count = n as f64;
        let value = correct as f64 / count;
        let z2 = NORMAL_QUANTILE * NORMAL_QUANTILE;
        let centre = value + z2 / (2.0 * count);
        let half = NORMAL_QUANTILE * (value * (1.0 - value) / count + z2 / (4.0 * count * count)).sqrt();
        let scale = 1.0 + z2 / count;
        // Rounding could leave the ends of shares 0 and 1 a hair outside.
        let low = ((centre - half) / scale).clamp(0.0, value);
        let high = ((centre + half) / scale).clamp(value, 1.0);
        Some(Self { correct, value, low, high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn published_intervals() {
        // R. G. Newcombe, 1998, Statistics in Medicine 17, table I, method 3 (Wilson without continuity
        // correction).
        for (correct, n, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let share = Proportion::new(correct, n).unwrap();
            assert!((share.low - low).abs() < 5.1e-5, "{correct}/{n}: {share:?}");
            assert!((share.high - high).abs() < 5.1e-5, "{correct}/{n}: {share:?}");
        }
    }

    #[test]
    fn nothing_counted_has_no_share() {
        assert_eq!(Proportion::new(0, 0), None);
        assert_eq!(Proportion::new(3, 2), None);
    }

    quickcheck! {
        fn interval_holds_the_share_and_is_symmetric(a: u16, b: u16) -> bool {
            let n = usize::from(a) + usize::from(b) + 1;
            let share = Proportion::new(usize::from(a), n).unwrap();
            let mirrored = Proportion::new(n - usize::from(a), n).unwrap();
            0.0 <= share.low && share.low <= share.value && share.value <= share.high && share.high <= 1.0
                && (share.low - (1.0 - mirrored.high)).abs() < 1e-12
        }
    }
}
