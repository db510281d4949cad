//! Batch normalisation of rows, a channel at a time (Ioffe, Szegedy 2015, arXiv 1502.03167).

use candle_core::Tensor;

use crate::{Error, Result};

/// Statistics of one batch.
pub struct BatchStatistics {
    /// Mean, `[channels]`, with gradient.
    pub mean: Tensor,
    /// Biased variance, `[channels]`, with gradient: what normalises this batch.
    pub variance: Tensor,
    /// Unbiased variance, `[channels]`, without gradient: what the running variance moves towards.
    pub unbiased_variance: Tensor,
}

/// Mean and variance over the rows of `[rows, channels]`.
///
/// # Errors
/// [`Error::InvalidArgument`] for fewer than two rows, whose variance is undefined.
pub fn batch_statistics(rows: &Tensor) -> Result<BatchStatistics> {
    let (count, _) = rows.dims2()?;
    if count < 2 {
        return Err(Error::argument("batch", "at least 2 values a channel for batch norm", count));
    }
    let mean = rows.mean(0)?;
    let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(0)?;
    let unbiased_variance = (variance.detach() * (count as f64 / (count as f64 - 1.0)))?;
    Ok(BatchStatistics { mean, variance, unbiased_variance })
}

/// `(rows - mean) / sqrt(variance + epsilon) * weight + bias`; rows `[rows, channels]`, the rest `[channels]`.
pub fn normalise(
    rows: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
) -> Result<Tensor> {
    let deviation = (variance + epsilon)?.sqrt()?;
    let scaled = rows.broadcast_sub(mean)?.broadcast_div(&deviation)?;
    Ok(scaled.broadcast_mul(weight)?.broadcast_add(bias)?)
}

/// `(1 - momentum) * running + momentum * batch`, without gradient.
pub fn moved(running: &Tensor, batch: &Tensor, momentum: f64) -> Result<Tensor> {
    Ok(((running.detach() * (1.0 - momentum))? + (batch.detach() * momentum)?)?)
}
