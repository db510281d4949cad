//! InfoNCE over a batch whose pictures are each other's negatives, at every location of the target map.

use candle_core::{D, Tensor};

use crate::{Error, Result, tensors};

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
/// [`Error::InvalidArgument`] for fewer than two pictures; [`Error::Shape`] if the first two dimensions differ.
///
/// # Source
/// van den Oord, Li, Vinyals 2018, "Representation learning with contrastive predictive coding", arXiv 1807.03748,
/// equation 4; reference `costs.py`, `_model_scores`.
pub fn info_nce(scores: &Tensor) -> Result<InfoNce> {
    let (batch, pictures, locations) = scores.dims3()?;
    tensors::expect_shape("scores", scores, &[batch, batch, locations])?;
    if batch < 2 {
        return Err(Error::argument("batch", "at least 2 pictures (each is the others' negative)", pictures));
    }
    let own = Tensor::eye(batch, scores.dtype(), scores.device())?.unsqueeze(2)?; // [B, B, 1]
    let positives = scores.broadcast_mul(&own)?.sum(1)?; // [B, L]
    let others = (own.ones_like()? - &own)?;
    // A picture's own scores are lowered to the smallest one, so that the largest is a negative's.
    let lowest = scores.detach().flatten_all()?.min(0)?;
    let candidates = (scores.detach().broadcast_mul(&others)?
        + own.broadcast_mul(&lowest)?.broadcast_as(scores.dims())?)?;
    let largest_negative = candidates.flatten_from(1)?.max_keepdim(D::Minus1)?; // [B, 1]
    let largest = positives.detach().broadcast_maximum(&largest_negative)?; // [B, L]
    let shifted = scores.broadcast_sub(&largest_negative.unsqueeze(2)?)?;
    // The own scores' exp may overflow where they far exceed the negatives; they are masked before exp.
    let negatives =
        shifted.broadcast_mul(&others)?.exp()?.broadcast_mul(&others)?.flatten_from(1)?.sum_keepdim(1)?;
    // log(exp(p) + exp(n) * negatives), with the largest of p and n taken out.
    let from_negatives = largest_negative.broadcast_sub(&largest)?.exp()?.broadcast_mul(&negatives)?; // [B, L]
    let denominator = ((&positives - &largest)?.exp()? + from_negatives)?.log()?;
    let log_softmax = ((&positives - &largest)? - denominator)?;
    let hits = positives.detach().broadcast_gt(&largest_negative)?.to_dtype(scores.dtype())?;
    let top1 = hits.mean_all()?;
    Ok(InfoNce { loss: log_softmax.mean_all()?.neg()?, log_softmax, positives, hits, top1 })
}
