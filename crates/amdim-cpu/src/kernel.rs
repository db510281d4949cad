//! The weights of a convolution as matrices, and their gradients.

use std::ops::Range;

use amdim_network::{Network, ParameterId};

use crate::gemm::Matrix;
use crate::workers::Workers;
use crate::{CpuError, Real};

/// A convolution's weights: `[out, in, kernel, kernel]` in the flat parameter vector.
///
/// The product with patches needs them in another order, *packed* in a second vector at the same offsets.
#[derive(Debug)]
pub(crate) struct Kernel {
    range: Range<usize>,
    out: usize,
    inputs: usize,
    taps: usize,
}

impl Kernel {
    pub(crate) fn new(
        network: &Network,
        id: ParameterId,
        [out, inputs, taps]: [usize; 3],
        layer: &str,
    ) -> Result<Self, CpuError> {
        let problem = "its weights don't have the shape that its maps ask for";
        match network.parameters.get(id.0) {
            Some(parameter) if parameter.len() == out * inputs * taps => {
                Ok(Self { range: parameter.range(), out, inputs, taps })
            }
            _ => Err(CpuError::Network { layer: layer.into(), problem }),
        }
    }

    /// Number of weights.
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    /// Number of weights of an output channel.
    pub(crate) fn fan_in(&self) -> usize {
        self.inputs * self.taps
    }

    /// Writes the weights that [`Kernel::forward`] reads: `[tap, in, out]`.
    pub(crate) fn pack_forward<T: Real>(&self, workers: &Workers<T>, parameters: &[T], packed: &mut [T]) {
        const ROWS: usize = 16;
        let weights = &parameters[self.range.clone()];
        workers.for_each_run(&mut packed[self.range.clone()], ROWS * self.out, |block, run, _| {
            let first = block * ROWS;
            for (row, to) in run.chunks_exact_mut(self.out).enumerate() {
                let (tap, input) = ((first + row) / self.inputs, (first + row) % self.inputs);
                let column = weights[input * self.taps + tap..].iter().step_by(self.fan_in());
                for (to, &weight) in to.iter_mut().zip(column) {
                    *to = weight;
                }
            }
        });
    }

    /// Writes the weights that [`Kernel::backward`] reads: `[out, tap, in]`. Nothing to do for a 1x1 kernel, whose
    /// parameters are in that order.
    pub(crate) fn pack_backward<T: Real>(&self, workers: &Workers<T>, parameters: &[T], packed: &mut [T]) {
        if self.taps == 1 {
            return;
        }
        let weights = &parameters[self.range.clone()];
        workers.for_each_run(&mut packed[self.range.clone()], self.fan_in(), |out, run, _| {
            let channel = &weights[out * self.fan_in()..][..self.fan_in()];
            for (tap, pixel) in run.chunks_exact_mut(self.inputs).enumerate() {
                for (to, &weight) in pixel.iter_mut().zip(channel[tap..].iter().step_by(self.taps)) {
                    *to = weight;
                }
            }
        });
    }

    /// `[tap * in, out]`: patches times this are the convolution. Packed by [`Kernel::pack_forward`].
    pub(crate) fn forward<'a, T: Real>(&self, packed: &'a [T]) -> Matrix<'a, T> {
        Matrix::new(&packed[self.range.clone()], self.fan_in(), self.out)
    }

    /// `[out, tap * in]`: gradients of the result times this are the gradients of the patches. Packed by
    /// [`Kernel::pack_backward`].
    pub(crate) fn backward<'a, T: Real>(&self, parameters: &'a [T], packed: &'a [T]) -> Matrix<'a, T> {
        let from = if self.taps == 1 { parameters } else { packed };
        Matrix::new(&from[self.range.clone()], self.out, self.fan_in())
    }

    /// Adds the groups' gradients, each `[out, tap, in]` at `offset` of a partial, to `gradients`, group after
    /// group.
    pub(crate) fn add_gradients<T: Real>(
        &self,
        workers: &Workers<T>,
        partials: &[Vec<T>],
        offset: usize,
        gradients: &mut [T],
    ) {
        let fan_in = self.fan_in();
        workers.for_each_run(&mut gradients[self.range.clone()], fan_in, |out, channel, scratch| {
            let sum = &mut scratch.weights[..fan_in];
            sum_partials(partials, offset + out * fan_in, sum);
            for (tap, pixel) in sum.chunks_exact(self.inputs).enumerate() {
                for (to, &gradient) in channel[tap..].iter_mut().step_by(self.taps).zip(pixel) {
                    *to += gradient;
                }
            }
        });
    }
}

/// `sum[i] = partials[0][offset + i] + partials[1][offset + i] + ...`, in this order.
pub(crate) fn sum_partials<T: Real>(partials: &[Vec<T>], offset: usize, sum: &mut [T]) {
    let length = sum.len();
    for (index, partial) in partials.iter().enumerate() {
        let values = &partial[offset..offset + length];
        if index == 0 {
            sum.copy_from_slice(values);
            continue;
        }
        for (total, &value) in sum.iter_mut().zip(values) {
            *total += value;
        }
    }
}
