//! Whether two classifiers differ on the same pictures.

use amdim_random::{Purpose, Stream};
use rayon::prelude::*;

use crate::error::{EvalError, Result, check_count, check_number};
use crate::stop::{Stop, check};

/// How two classifiers are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedConfig {
    /// Bootstrap samples, 100 to 1,000,000.
    pub resamples: usize,
    /// Probability that the interval is for, above 0 and below 1.
    pub confidence: f64,
    /// What the samples depend on.
    pub seed: u64,
}

/// Two classifiers on the same test pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedTest {
    /// Pictures that both classify rightly.
    pub both: usize,
    /// Pictures that only the first does.
    pub only_first: usize,
    /// Pictures that only the second does.
    pub only_second: usize,
    /// Pictures that neither does.
    pub neither: usize,
    /// Accuracy of the second less that of the first, -1..1.
    pub difference: f64,
    /// Percentile interval of the difference over bootstrap samples of the pictures.
    pub interval: [f64; 2],
    /// Probability of a split of the pictures on which they differ at least as uneven, if neither were better: `McNemar`'s
    /// test, exact, two-sided.
    pub p_value: f64,
}

impl PairedTest {
    /// Compares what two classifiers got right.
    ///
    /// # Shapes
    /// - `first`, `second`: `[pictures]`
    ///
    /// # Errors
    /// - [`EvalError::EmptySet`], [`EvalError::Shape`]: no pictures, or two numbers of them
    /// - [`EvalError::InvalidArgument`]: an option out of range
    /// - [`EvalError::Cancelled`]
    ///
    /// # Source
    /// Q. `McNemar`, 1947, "Note on the sampling error of the difference between correlated proportions or percentages";
    /// B. Efron and R. J. Tibshirani, 1993, An Introduction to the Bootstrap, section 13.3.
    pub fn new(config: &PairedConfig, first: &[bool], second: &[bool], stop: Stop<'_>) -> Result<Self> {
        check_count("outcomes of the second classifier", first.len(), second.len())?;
        if first.is_empty() {
            return Err(EvalError::EmptySet { what: "test pictures" });
        }
        check_number("resamples", config.resamples as f64, "100 to 1000000", |n| (100.0..=1e6).contains(&n))?;
        check_number("confidence", config.confidence, "a number above 0 and below 1", |c| {
            c > 0.0 && c < 1.0
        })?;
        let count = |a: bool, b: bool| first.iter().zip(second).filter(|&(&x, &y)| x == a && y == b).count();
        let (only_first, only_second) = (count(true, false), count(false, true));
        let differences: Vec<i8> =
            first.iter().zip(second).map(|(&a, &b)| i8::from(b) - i8::from(a)).collect();
        Ok(Self {
            both: count(true, true),
            only_first,
            only_second,
            neither: count(false, false),
            difference: (only_second as f64 - only_first as f64) / first.len() as f64,
            interval: interval(config, &differences, stop)?,
            p_value: p_value(only_first, only_second),
        })
    }
}

/// Percentiles of the means of samples of `differences`, drawn with replacement.
fn interval(config: &PairedConfig, differences: &[i8], stop: Stop<'_>) -> Result<[f64; 2]> {
    let pictures = differences.len() as u64;
    let mut sums: Vec<i64> = (0..config.resamples)
        .into_par_iter()
        .map(|sample| {
            check(stop)?;
            let mut stream = Stream::new(config.seed, Purpose::Bootstrap, sample as u64);
            Ok((0..pictures).map(|_| i64::from(differences[stream.below(pictures) as usize])).sum())
        })
        .collect::<Result<_>>()?;
    sums.sort_unstable();
    let tail = 0.5 * (1.0 - config.confidence);
    Ok([tail, 1.0 - tail].map(|share| percentile(&sums, share) / pictures as f64))
}

/// Between the two nearest values in order, as numpy's default.
fn percentile(sorted: &[i64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let (low, high) = (sorted[below] as f64, sorted[above] as f64);
    low + (high - low) * (place - below as f64)
}

/// Two-sided, of `a` and `b` heads and tails of a fair coin.
fn p_value(a: usize, b: usize) -> f64 {
    let (throws, fewer) = (a + b, a.min(b));
    // Logarithms, because 0.5^throws underflows from 1075 on.
    let mut ln_term = -(throws as f64) * std::f64::consts::LN_2;
    let mut sum = ln_term.exp();
    for k in 1..=fewer {
        ln_term += ((throws - k + 1) as f64 / k as f64).ln();
        sum += ln_term.exp();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    const CONFIG: PairedConfig = PairedConfig { resamples: 2000, confidence: 0.95, seed: 1 };

    fn outcomes(both: usize, first: usize, second: usize, neither: usize) -> (Vec<bool>, Vec<bool>) {
        let repeat = |pair: (bool, bool), count| std::iter::repeat_n(pair, count);
        repeat((true, true), both)
            .chain(repeat((true, false), first))
            .chain(repeat((false, true), second))
            .chain(repeat((false, false), neither))
            .unzip()
    }

    #[test]
    fn pictures_are_counted_by_who_is_right() {
        let (first, second) = outcomes(50, 10, 30, 10);
        let found = PairedTest::new(&CONFIG, &first, &second, never()).unwrap();
        assert_eq!((found.both, found.only_first, found.only_second, found.neither), (50, 10, 30, 10));
        assert!((found.difference - 0.2).abs() < 1e-12);
        // The mean's standard error is sqrt((0.4 - 0.2^2) / 100) = 0.06.
        let [low, high] = found.interval;
        assert!((low - (0.2 - 1.96 * 0.06)).abs() < 0.015, "{low}");
        assert!((high - (0.2 + 1.96 * 0.06)).abs() < 0.015, "{high}");
        assert_eq!(found, PairedTest::new(&CONFIG, &first, &second, never()).unwrap());
        let other = PairedConfig { seed: 2, ..CONFIG };
        assert!(PairedTest::new(&other, &first, &second, never()).is_ok());
    }

    #[test]
    fn exact_probabilities_are_those_of_a_coin() {
        assert_eq!(p_value(0, 0), 1.0);
        assert_eq!(p_value(4, 4), 1.0);
        assert_eq!(p_value(0, 5), 2.0 / 32.0);
        assert_eq!(p_value(5, 0), 2.0 / 32.0);
        // (1 + 10 + 45) / 2^10, twice.
        assert!((p_value(2, 8) - 112.0 / 1024.0).abs() < 1e-14);
        // scipy.stats.binomtest(900, 2000, 0.5).pvalue
        assert!((p_value(900, 1100) / 8.457_089_535_503_81e-6 - 1.0).abs() < 1e-10, "{}", p_value(900, 1100));
    }

    #[test]
    fn equal_classifiers_do_not_differ() {
        let (first, second) = outcomes(7, 0, 0, 3);
        let found = PairedTest::new(&CONFIG, &first, &second, never()).unwrap();
        assert_eq!((found.difference, found.interval, found.p_value), (0.0, [0.0, 0.0], 1.0));
    }

    #[test]
    fn percentiles_lie_between_values() {
        assert_eq!(percentile(&[0, 10, 20], 0.25), 5.0);
        assert_eq!(percentile(&[0, 10, 20], 1.0), 20.0);
        assert_eq!(percentile(&[3], 0.5), 3.0);
    }

    #[test]
    fn bad_input_is_refused() {
        let code = |config, first: &[bool], second: &[bool]| {
            PairedTest::new(&config, first, second, never()).unwrap_err().code()
        };
        assert_eq!(code(CONFIG, &[], &[]), "AMDIM_DATA");
        assert_eq!(code(CONFIG, &[true], &[]), "AMDIM_SHAPE");
        assert_eq!(code(PairedConfig { resamples: 1, ..CONFIG }, &[true], &[true]), "AMDIM_INVALID_ARGUMENT");
        assert_eq!(
            code(PairedConfig { confidence: 1.0, ..CONFIG }, &[true], &[true]),
            "AMDIM_INVALID_ARGUMENT"
        );
    }
}
