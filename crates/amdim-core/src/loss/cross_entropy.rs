//! Cross-entropy of softly clipped logits, for the classifiers.

use candle_core::{D, Tensor};

use super::soft_clip;
use crate::{Error, Result};

/// Result of [`clipped_cross_entropy`].
#[derive(Debug, Clone)]
pub struct ClippedCrossEntropy {
    /// Loss in nats, `[]`, with gradient.
    pub loss: Tensor,
    /// Number of labelled rows whose largest logit is their label's.
    pub correct: usize,
    /// Number of labelled rows.
    pub labelled: usize,
}

/// `mean over labelled rows of -log softmax(clip * tanh(logits / clip))[label] + penalty * mean(logits^2)`.
///
/// The penalty is over all rows, labelled or not; without a labelled row the first part is 0.
///
/// # Shapes
/// - logits: `[rows, classes]`; labels: `[rows]`, -1 for none
///
/// # Errors
/// [`Error::InvalidArgument`] for a label outside `-1..classes`; [`Error::Shape`] for another number of labels.
///
/// # Source
/// Reference `costs.py`, `loss_xent` (clip 10, penalty 1e-3).
pub fn clipped_cross_entropy(
    logits: &Tensor,
    labels: &[i64],
    clip: f64,
    penalty: f64,
) -> Result<ClippedCrossEntropy> {
    let (rows, classes) = logits.dims2()?;
    if labels.len() != rows {
        return Err(Error::shape("labels", &[rows], &[labels.len()]));
    }
    if let Some(&bad) = labels.iter().find(|&&label| label < -1 || label >= classes as i64) {
        return Err(Error::argument("label", format!("-1 (none) or 0..{classes}"), bad));
    }
    let labelled = labels.iter().filter(|&&label| label >= 0).count();
    let penalty = (logits.sqr()?.mean_all()? * penalty)?;
    if labelled == 0 {
        return Ok(ClippedCrossEntropy { loss: penalty, correct: 0, labelled });
    }
    // One row per picture: 1 / labelled at its label, 0 elsewhere; unlabelled rows are all 0.
    let mut weights = vec![0f32; rows * classes];
    for (row, &label) in labels.iter().enumerate().filter(|&(_, &label)| label >= 0) {
        weights[row * classes + label as usize] = 1.0;
    }
    let weights = crate::tensors::from_slice(&weights, &[rows, classes], logits.dtype(), logits.device())?;
    let clipped = soft_clip(logits, clip)?;
    let largest = clipped.detach().max_keepdim(D::Minus1)?;
    let shifted = clipped.broadcast_sub(&largest)?;
    let log_softmax = shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
    let cross_entropy = ((log_softmax * weights)?.sum_all()? * (-1.0 / labelled as f64))?;
    let predicted: Vec<u32> = logits.detach().argmax(D::Minus1)?.to_vec1()?;
    let correct = labels.iter().zip(&predicted).filter(|&(&label, &class)| label == i64::from(class)).count();
    Ok(ClippedCrossEntropy { loss: (cross_entropy + penalty)?, correct, labelled })
}
