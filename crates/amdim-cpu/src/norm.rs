//! Batch normalisation (Ioffe and Szegedy 2015, arXiv 1502.03167), channel by channel over pictures and locations.

use std::array;
use std::ops::Range;

use amdim_kernels::{Kernel, Real, Stored, vectorized};
use amdim_network::{BatchNorm, Network};

use crate::CpuError;
use crate::elementwise::{add_rows, add_squared_distances};
use crate::groups::{Groups, MAX_GROUPS};
use crate::vectors::Vectors;
use crate::workers::Workers;

/// Rows summed in the layer's own precision before the sum moves on to `f64`.
const BLOCK_ROWS: usize = 32;

/// Least length of a row of the loops over a map: four of the widest registers, as many as a loop is unrolled to.
const LEAST_ROW: usize = 64;

/// `f32` values in the widest register.
const LANES: usize = 16;

/// A batch norm that is applied, with its places in the flat vectors.
#[derive(Debug)]
pub(crate) struct Norm {
    /// Index of its [`NormState`].
    pub(crate) index: usize,
    channels: usize,
    weight: Range<usize>,
    bias: Range<usize>,
    running_mean: Range<usize>,
    running_variance: Range<usize>,
    epsilon: f64,
    momentum: f64,
}

/// What a batch norm computes with in one pass: `y = (x - mean) scale + shift`. Each vector holds its channels again
/// and again, for a whole row of the loops over a map.
#[derive(Debug, Clone)]
pub(crate) struct NormState<R> {
    mean: Vec<R>,
    /// `weight / sqrt(variance + epsilon)`
    scale: Vec<R>,
    shift: Vec<R>,
    inverse_deviation: Vec<R>,
    /// Mean of the gradients of `y`.
    gradient_mean: Vec<R>,
    /// Slope of the gradients of `y` over `x`: their covariance over the variance.
    gradient_slope: Vec<R>,
}

impl<R: Real> NormState<R> {
    pub(crate) fn new(norm: &Norm) -> Self {
        let zeros = || vec![R::default(); norm.row_len()];
        Self {
            mean: zeros(),
            scale: zeros(),
            shift: zeros(),
            inverse_deviation: zeros(),
            gradient_mean: zeros(),
            gradient_slope: zeros(),
        }
    }

    /// Bytes of the state of `norm`.
    pub(crate) fn bytes(norm: &Norm) -> usize {
        6 * norm.row_len() * size_of::<R>()
    }

    /// Mean, scale and shift of a row.
    #[inline(always)]
    pub(crate) fn affine(&self) -> [&[R]; 3] {
        [&self.mean, &self.scale, &self.shift]
    }

    /// Replaces `x` by `y` in `rows`, `[rows, channels]`.
    pub(crate) fn apply<S: Stored<Real = R>>(&self, instructions: Kernel, rows: &mut [S]) {
        let [mean, scale, shift] = self.affine();
        vectorized!(instructions, {
            for row in rows.chunks_mut(mean.len()) {
                for (((x, &mean), &scale), &shift) in row.iter_mut().zip(mean).zip(scale).zip(shift) {
                    *x = S::from_real((x.to_real() - mean) * scale + shift);
                }
            }
        });
    }

    /// Replaces gradients with respect to `y` by those with respect to `x`. Both `[rows, channels]`.
    pub(crate) fn apply_backward<S: Stored<Real = R>>(
        &self,
        instructions: Kernel,
        gradients: &mut [S],
        inputs: &[S],
    ) {
        let Self { mean, scale, gradient_mean, gradient_slope, .. } = self;
        let row_len = mean.len();
        vectorized!(instructions, {
            for (row, x) in gradients.chunks_mut(row_len).zip(inputs.chunks(row_len)) {
                let means = mean.iter().zip(gradient_mean);
                let factors = scale.iter().zip(gradient_slope);
                for (((g, x), (&mean, &g_mean)), (&scale, &g_slope)) in
                    row.iter_mut().zip(x).zip(means).zip(factors)
                {
                    let centred = x.to_real() - mean;
                    *g = S::from_real(scale * (g.to_real() - g_mean - centred * g_slope));
                }
            }
        });
    }
}

impl Norm {
    pub(crate) fn new(
        network: &Network,
        norm: &BatchNorm,
        channels: usize,
        index: usize,
        layer: &str,
    ) -> Result<Self, CpuError> {
        let problem = "its batch norm doesn't have as many channels as its map";
        let wrong = || CpuError::Network { layer: layer.into(), problem };
        let parameter = |at: usize| network.parameters.get(at).filter(|p| p.len() == channels);
        let buffer = |at: usize| network.buffers.get(at).filter(|b| b.len == channels);
        Ok(Self {
            index,
            channels,
            weight: parameter(norm.weight.0).ok_or_else(wrong)?.range(),
            bias: parameter(norm.bias.0).ok_or_else(wrong)?.range(),
            running_mean: buffer(norm.running_mean.0).ok_or_else(wrong)?.range(),
            running_variance: buffer(norm.running_var.0).ok_or_else(wrong)?.range(),
            epsilon: norm.epsilon,
            momentum: norm.momentum,
        })
    }

    /// Values in a row of the loops over a map. A map of few channels is read as one of fewer and longer rows, of
    /// several locations each, which fill whole registers; only the last may be shorter.
    pub(crate) fn row_len(&self) -> usize {
        row_len(self.channels)
    }

    /// Evaluation: normalise with the running statistics.
    pub(crate) fn use_running<R: Real>(
        &self,
        parameters: &Vectors<R>,
        buffers: &[R],
        state: &mut NormState<R>,
    ) {
        let vectors = self.vectors(parameters);
        let means = &buffers[self.running_mean.clone()];
        let variances = &buffers[self.running_variance.clone()];
        for (channel, (mean, variance)) in means.iter().zip(variances).enumerate() {
            self.set(vectors, channel, mean.to_f64(), variance.to_f64(), state);
        }
    }

    /// Training: normalise with the statistics of `values`, `[batch, locations, channels]`, and move the running
    /// ones; or with the running ones, which stay, where they are frozen. `sums` holds two values a channel and group.
    pub(crate) fn use_batch<S: Stored>(
        &self,
        pass: Statistics<S>,
        values: &[S],
        parameters: &Vectors<S::Real>,
        buffers: &mut [S::Real],
        state: &mut NormState<S::Real>,
    ) {
        let Statistics { workers, groups, sums, frozen } = pass;
        if frozen {
            return self.use_running(parameters, buffers, state);
        }
        let channels = self.channels;
        let per_picture = values.len() / groups.batch();
        let mut tasks = tasks(groups.split(values, per_picture), sums, channels);
        workers.for_each(&mut tasks[..groups.count()], |_, (values, sums), scratch| {
            let [block, _] = &mut scratch.sums;
            let block = &mut block[..self.row_len()];
            let centre = &mut scratch.centre[..self.row_len()];
            vectorized!(workers.instructions(), moments(values, block, centre, sums));
        });
        let count = (values.len() / channels) as f64;
        let vectors = self.vectors(parameters);
        for channel in 0..channels {
            let (mean, squares) = combine(&tasks[..groups.count()], channel, channels);
            let variance = squares / count;
            self.set(vectors, channel, mean, variance, state);
            let move_towards = |running: &mut S::Real, batch: f64| {
                *running =
                    S::Real::from_f64((1.0 - self.momentum) * running.to_f64() + self.momentum * batch);
            };
            move_towards(&mut buffers[self.running_mean.start + channel], mean);
            move_towards(&mut buffers[self.running_variance.start + channel], squares / (count - 1.0));
        }
    }

    /// Backward, first half: gathers what [`NormState::apply_backward`] needs from the gradients with respect to
    /// `y` and the layer's inputs, and adds the gradients of scale and shift.
    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Statistics<S>,
        output_gradients: &[S],
        inputs: &[S],
        gradients: &mut [S::Real],
        state: &mut NormState<S::Real>,
    ) {
        let Statistics { workers, groups, sums, frozen } = pass;
        let channels = self.channels;
        let per_picture = inputs.len() / groups.batch();
        let inputs_of = groups.split(inputs, per_picture);
        let mut tasks = tasks(groups.split(output_gradients, per_picture), sums, channels);
        let mean = &state.mean;
        workers.for_each(&mut tasks[..groups.count()], |group, (gradients, sums), scratch| {
            let [values, products] = &mut scratch.sums;
            let blocks = (&mut values[..self.row_len()], &mut products[..self.row_len()]);
            let inputs = inputs_of[group];
            vectorized!(workers.instructions(), gradient_sums(gradients, inputs, mean, blocks, sums));
        });
        let count = (inputs.len() / channels) as f64;
        for channel in 0..channels {
            let total = |which: usize| -> f64 {
                tasks[..groups.count()].iter().map(|(_, sums)| sums[which * channels + channel]).sum()
            };
            let (sum, product) = (total(0), total(1));
            let inverse = state.inverse_deviation[channel].to_f64();
            gradients[self.weight.start + channel] += S::Real::from_f64(product * inverse);
            gradients[self.bias.start + channel] += S::Real::from_f64(sum);
            // Statistics that are frozen do not depend on the inputs.
            let share = if frozen { 0.0 } else { 1.0 / count };
            self.repeat(channel, sum * share, &mut state.gradient_mean);
            self.repeat(channel, product * inverse * inverse * share, &mut state.gradient_slope);
        }
    }

    /// Scale and shift.
    fn vectors<'a, R: Real>(&self, parameters: &'a Vectors<R>) -> [&'a [R]; 2] {
        [&parameters[self.weight.clone()], &parameters[self.bias.clone()]]
    }

    fn set<R: Real>(
        &self,
        [weight, bias]: [&[R]; 2],
        channel: usize,
        mean: f64,
        variance: f64,
        state: &mut NormState<R>,
    ) {
        let inverse = 1.0 / (variance + self.epsilon).sqrt();
        self.repeat(channel, mean, &mut state.mean);
        self.repeat(channel, inverse, &mut state.inverse_deviation);
        self.repeat(channel, inverse * weight[channel].to_f64(), &mut state.scale);
        self.repeat(channel, bias[channel].to_f64(), &mut state.shift);
    }

    /// Writes a channel's value to all its places in a row.
    fn repeat<R: Real>(&self, channel: usize, value: f64, row: &mut [R]) {
        row.iter_mut().skip(channel).step_by(self.channels).for_each(|to| *to = R::from_f64(value));
    }
}

/// The least multiple of `channels` from [`LEAST_ROW`] on that fills whole registers; with so many channels, these.
fn row_len(channels: usize) -> usize {
    if channels >= LEAST_ROW {
        return channels;
    }
    // Both are multiples of the same power of two.
    let even = channels * (LANES >> channels.trailing_zeros().min(LANES.trailing_zeros()));
    even * LEAST_ROW.div_ceil(even)
}

/// What sums over a batch are taken with.
pub(crate) struct Statistics<'a, S: Stored> {
    pub(crate) workers: &'a Workers<S>,
    pub(crate) groups: Groups,
    /// At least two values a channel and group.
    pub(crate) sums: &'a mut [f64],
    /// Whether the running statistics take the place of the batch's.
    pub(crate) frozen: bool,
}

type Task<'a, T> = (&'a [T], &'a mut [f64]);

fn tasks<'a, T>(
    parts: [&'a [T]; MAX_GROUPS],
    sums: &'a mut [f64],
    channels: usize,
) -> [Task<'a, T>; MAX_GROUPS] {
    let mut sums = sums.chunks_mut(2 * channels);
    array::from_fn(|group| (parts[group], sums.next().unwrap_or_default()))
}

/// Mean and sum of squared distances from it, a channel: `sums = [means, squares]`; `block` and `centre` are rows. Two
/// runs over the values, because the difference of large sums would lose the variance of a channel far from zero.
#[inline(always)]
fn moments<S: Stored>(values: &[S], block: &mut [S::Real], centre: &mut [S::Real], sums: &mut [f64]) {
    let channels = sums.len() / 2;
    let (means, squares) = sums.split_at_mut(channels);
    let rows = (values.len() / channels) as f64;
    means.fill(0.0);
    squares.fill(0.0);
    for part in values.chunks(BLOCK_ROWS * block.len()) {
        block.fill(S::Real::default());
        add_rows(part, block);
        flush(block, means);
    }
    for mean in means.iter_mut() {
        *mean /= rows;
    }
    for (centre, &mean) in centre.iter_mut().zip(means.iter().cycle()) {
        *centre = S::Real::from_f64(mean);
    }
    for part in values.chunks(BLOCK_ROWS * block.len()) {
        block.fill(S::Real::default());
        add_squared_distances(part, centre, block);
        flush(block, squares);
    }
}

/// Sums of `g` and of `g (x - mean)`, a channel; `mean`, `values` and `products` are rows.
#[inline(always)]
fn gradient_sums<S: Stored>(
    gradients: &[S],
    inputs: &[S],
    mean: &[S::Real],
    (values, products): (&mut [S::Real], &mut [S::Real]),
    sums: &mut [f64],
) {
    let row_len = mean.len();
    sums.fill(0.0);
    let (value_sums, product_sums) = sums.split_at_mut(sums.len() / 2);
    let length = BLOCK_ROWS * row_len;
    for (gradients, inputs) in gradients.chunks(length).zip(inputs.chunks(length)) {
        values.fill(S::Real::default());
        products.fill(S::Real::default());
        for (row, x) in gradients.chunks(row_len).zip(inputs.chunks(row_len)) {
            let sums = values.iter_mut().zip(products.iter_mut());
            for (((g, x), &mean), (value, product)) in row.iter().zip(x).zip(mean).zip(sums) {
                *value += g.to_real();
                *product += g.to_real() * (x.to_real() - mean);
            }
        }
        flush(values, value_sums);
        flush(products, product_sums);
    }
}

/// Adds the channels of a row to `sums`.
#[inline(always)]
fn flush<T: Real>(row: &[T], sums: &mut [f64]) {
    for location in row.chunks_exact(sums.len()) {
        for (sum, &value) in sums.iter_mut().zip(location) {
            *sum += value.to_f64();
        }
    }
}

/// Mean and sum of squared distances of one channel over all groups (Chan et al. 1979).
fn combine<T>(groups: &[Task<T>], channel: usize, channels: usize) -> (f64, f64) {
    let rows = |values: &[T]| (values.len() / channels) as f64;
    let total: f64 = groups.iter().map(|(values, _)| rows(values)).sum();
    let mean = groups.iter().map(|(values, sums)| rows(values) * sums[channel]).sum::<f64>() / total;
    let squares = groups
        .iter()
        .map(|(values, sums)| sums[channels + channel] + rows(values) * (sums[channel] - mean).powi(2))
        .sum();
    (mean, squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_whole_locations_and_registers() {
        for channels in 1..200 {
            let row_len = row_len(channels);
            assert!(row_len.is_multiple_of(channels) && row_len >= LEAST_ROW, "{channels}: {row_len}");
            assert!(channels >= LEAST_ROW || row_len.is_multiple_of(LANES), "{channels}: {row_len}");
        }
        assert_eq!([4, 6, 8, 32, 48, 64, 100].map(row_len), [64, 96, 64, 64, 96, 64, 100]);
    }
}
