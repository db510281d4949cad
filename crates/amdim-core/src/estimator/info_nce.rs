//! InfoNCE: telling the location of a source's own sample among those of other samples.
//!
//! ```text
//! I(X; Y) >= log(1 + K) - loss,   K negatives a positive
//! ```
//!
//! - **Bias.** A bound for any scores and any K, but never above `log(1 + K)`: large where mutual information is.
//! - **Variance.** Small: each positive is measured against the same sum of negatives, and the value is bounded.
//! - **Constant.** A function of the source may be added to the scores freely.
//!
//! Source: van den Oord, Li, Vinyals 2018, arXiv 1807.03748, equation 4; Poole et al. 2019, arXiv 1905.06922, equation 10.

use candle_core::{D, Tensor};

use super::{Compat, Definition, Form, Scores};
use crate::Result;

pub(super) const DEFINITION: Definition =
    Definition { bounds_mutual_information: true, form: Form::Whole(value) };

/// Score of a picture's own locations among the negatives of the reference, which masks them so.
const OWN_SCORE: f64 = -10.0;

/// Result of [`info_nce`].
#[derive(Debug, Clone)]
pub struct InfoNce {
    /// Mean of `-log softmax` of the positive pairs, in nats: `[]`, with gradient.
    pub loss: Tensor,
    /// `log softmax` of every positive pair: `[batch, locations]`.
    pub log_softmax: Tensor,
    /// Scores of the positive pairs: `[batch, locations]`.
    pub positives: Tensor,
    /// 1 for every positive pair that scores above all its negatives, else 0: `[batch, locations]`.
    pub hits: Tensor,
    /// Share of positive pairs that score above all their negatives: `[]`, 0..1.
    pub top1: Tensor,
}

/// InfoNCE with all locations of all other pictures as negatives.
///
/// For source `i` and location `l`, with scores `s[i, j, l]` of source `i` against location `l` of picture `j`:
///
/// ```text
/// loss = mean over i, l of  log( exp s[i,i,l] + sum over j != i, m of exp s[i,j,m] ) - s[i,i,l]
/// ```
///
/// The negatives of a source are shared by all its positives; the other locations of its own picture are no
/// negatives. Stable for any finite score: the largest is subtracted before `exp`. Equal scores give the chance
/// level `log(1 + (batch - 1) * locations)` ([`chance_level`](crate::loss::chance_level)).
///
/// # Shapes
/// - scores: `[batch, batch, locations]` (source, target picture, location)
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for fewer than two pictures;
/// [`Error::Shape`](crate::Error::Shape) if the first two dimensions differ.
///
/// # Source
/// van den Oord, Li, Vinyals 2018, "Representation learning with contrastive predictive coding", arXiv 1807.03748,
/// equation 4; reference `costs.py`, `_model_scores`.
pub fn info_nce(scores: &Tensor) -> Result<InfoNce> {
    let others = scores.dims3()?.0.saturating_sub(1).max(1);
    among(&Scores::of_pairs(scores, others)?, None)
}

/// The bound in nats, `log(1 + K) - loss`; with the reference's peculiarities minus its loss.
fn value(scores: &Scores, compat: Compat) -> Result<Tensor> {
    Ok(match compat {
        Compat::None => {
            let most = (1.0 + scores.negatives_each() as f64).ln();
            (among(scores, None)?.loss.neg()? + most)?
        }
        Compat::RdevonDim => among(scores, Some(OWN_SCORE))?.loss.neg()?,
    })
}

/// `own`: a score with which all locations of a source's own picture are further negatives.
fn among(scores: &Scores, own: Option<f64>) -> Result<InfoNce> {
    let Scores { positives, negatives } = scores;
    let mut candidates = negatives.flatten_from(1)?; // [B, K]
    if let Some(score) = own {
        let constant = (positives.zeros_like()? + score)?;
        candidates = Tensor::cat(&[&candidates, &constant], 1)?;
    }
    let largest_negative = candidates.detach().max_keepdim(D::Minus1)?; // [B, 1]
    let largest = positives.detach().broadcast_maximum(&largest_negative)?; // [B, L]
    let sum = candidates.broadcast_sub(&largest_negative)?.exp()?.sum_keepdim(1)?;
    // log(exp(p) + exp(n) * sum), with the largest of p and n taken out.
    let from_negatives = largest_negative.broadcast_sub(&largest)?.exp()?.broadcast_mul(&sum)?; // [B, L]
    let denominator = ((positives - &largest)?.exp()? + from_negatives)?.log()?;
    let log_softmax = ((positives - &largest)? - denominator)?;
    let hits = positives.detach().broadcast_gt(&largest_negative)?.to_dtype(positives.dtype())?;
    let top1 = hits.mean_all()?;
    Ok(InfoNce {
        loss: log_softmax.mean_all()?.neg()?,
        log_softmax,
        positives: positives.clone(),
        hits,
        top1,
    })
}
