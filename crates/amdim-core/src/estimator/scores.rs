//! Scores of pairs, apart by whether they belong together.

use candle_core::Tensor;

use crate::{Error, Result, tensors};

/// What a critic gave pairs of sources and targets.
///
/// A source is one of `n` samples (a picture's vector); a target is one of `locations` values of a sample (its local
/// features; 1 where there are none). Pairs of one sample are drawn from the joint distribution, pairs of different
/// samples stand for the product of the marginals.
#[derive(Debug, Clone)]
pub struct Scores {
    /// Scores of a source and the locations of its own sample: `[n, locations]`.
    pub positives: Tensor,
    /// Scores of a source and the locations of other samples: `[n, others, locations]`.
    pub negatives: Tensor,
}

impl Scores {
    /// From scores of every source against every location of every sample, `[n, n, locations]`; source i and sample i
    /// belong together. Of the others each source keeps the `others` that follow it, round the end; at most `n - 1`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for fewer than two samples or a number of others out of range; [`Error::Shape`] if the
    /// first two dimensions differ.
    pub fn of_pairs(scores: &Tensor, others: usize) -> Result<Self> {
        let (n, samples, locations) = scores.dims3()?;
        tensors::expect_shape("scores", scores, &[n, n, locations])?;
        if n < 2 {
            return Err(Error::argument(
                "batch",
                "at least 2 pictures (each is the others' negative)",
                samples,
            ));
        }
        if !(1..n).contains(&others) {
            return Err(Error::argument("negatives", format!("1 to {}", n - 1), others));
        }
        let rows = scores.reshape((n * n, locations))?;
        let pick = |places: Vec<u32>| -> Result<Tensor> {
            Ok(rows.index_select(&Tensor::new(places, scores.device())?, 0)?)
        };
        let positives = pick((0..n).map(|i| (i * n + i) as u32).collect())?;
        let followers = |i: usize| (1..=others).map(move |step| (i * n + (i + step) % n) as u32);
        let negatives = pick((0..n).flat_map(followers).collect())?.reshape((n, others, locations))?;
        Ok(Self { positives, negatives })
    }

    /// From scores of pairs of a sample, `[n]`, and those of shuffled pairs, `[n, others]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if they do not agree.
    pub fn of_samples(positives: &Tensor, negatives: &Tensor) -> Result<Self> {
        let n = positives.dims1()?;
        let others = negatives.dims2()?.1;
        tensors::expect_shape("negatives", negatives, &[n, others])?;
        Ok(Self { positives: positives.unsqueeze(1)?, negatives: negatives.unsqueeze(2)? })
    }

    /// Negatives that a positive pair competes with: `others * locations`.
    pub fn negatives_each(&self) -> usize {
        self.negatives.dims()[1..].iter().product()
    }
}
