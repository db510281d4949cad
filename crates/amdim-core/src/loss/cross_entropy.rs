//! Cross-entropy of softly clipped logits, for the classifiers.

use candle_core::{D, Tensor};

use super::soft_clip;
use crate::{Error, Result};

/// Settings of [`clipped_cross_entropy`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropy {
    /// Soft clip of the logits, above 0.
    pub clip: f64,
    /// Weight of the mean squared logit, 0 or more.
    pub penalty: f64,
    /// Share of a label's weight that all classes get alike, `0..1`.
    pub label_smoothing: f64,
    /// Weight of the entropy of what is predicted, which is subtracted; 0 or more.
    pub confidence_penalty: f64,
}

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

/// `mean over labelled rows of (sum over classes of -target log p - confidence_penalty H(p)) + penalty * mean(logits^2)`
/// with `p = softmax(clip * tanh(logits / clip))`, the entropy H(p), and a target of
/// `(1 - label_smoothing) [class is the label] + label_smoothing / classes`.
///
/// The penalty of the logits is over all rows, labelled or not; without a labelled row the first part is 0.
///
/// # Shapes
/// - logits: `[rows, classes]`; labels: `[rows]`, -1 for none
///
/// # Errors
/// [`Error::InvalidArgument`] for a label outside `-1..classes`; [`Error::Shape`] for another number of labels.
///
/// # Source
/// Reference `costs.py`, `loss_xent` (clip 10, penalty 1e-3). Smoothing: Szegedy et al. 2016, arXiv 1512.00567, section 7;
/// confidence penalty: Pereyra et al. 2017, arXiv 1701.06548.
pub fn clipped_cross_entropy(
    logits: &Tensor,
    labels: &[i64],
    &CrossEntropy { clip, penalty, label_smoothing, confidence_penalty }: &CrossEntropy,
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
    // A row a picture: its target; unlabelled rows are all 0.
    let mut targets = vec![0f32; rows * classes];
    let mut has_label = vec![0f32; rows];
    for (row, &label) in labels.iter().enumerate().filter(|&(_, &label)| label >= 0) {
        let target = &mut targets[row * classes..][..classes];
        target.fill((label_smoothing / classes as f64) as f32);
        target[label as usize] += (1.0 - label_smoothing) as f32;
        has_label[row] = 1.0;
    }
    let like = |values: &[f32], dims: &[usize]| {
        crate::tensors::from_slice(values, dims, logits.dtype(), logits.device())
    };
    let clipped = soft_clip(logits, clip)?;
    let largest = clipped.detach().max_keepdim(D::Minus1)?;
    let shifted = clipped.broadcast_sub(&largest)?;
    let log_softmax = shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
    let of_targets = (&log_softmax * like(&targets, &[rows, classes])?)?.sum_all()?;
    let mut cross_entropy = (of_targets * (-1.0 / labelled as f64))?;
    if confidence_penalty > 0.0 {
        let certainty = (log_softmax.exp()? * &log_softmax)?.broadcast_mul(&like(&has_label, &[rows, 1])?)?;
        cross_entropy = (cross_entropy + (certainty.sum_all()? * (confidence_penalty / labelled as f64))?)?;
    }
    let predicted: Vec<u32> = logits.detach().argmax(D::Minus1)?.to_vec1()?;
    let correct = labels.iter().zip(&predicted).filter(|&(&label, &class)| label == i64::from(class)).count();
    Ok(ClippedCrossEntropy { loss: (cross_entropy + penalty)?, correct, labelled })
}
