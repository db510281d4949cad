//! The weights of a convolution as matrices, and their gradients.

use std::ops::Range;

use amdim_kernels::gemm::{Gemm, Right, Rows};
use amdim_kernels::{Buffer, Real, Stored, vectorized};
use amdim_network::{Network, ParameterId};

use crate::CpuError;
use crate::elementwise::convert;
use crate::layer::{Layout, Weights};
use crate::workers::Workers;

/// A convolution's weights: `[out, in, kernel, kernel]` in the flat parameter vector.
///
/// Products with patches need them in another order, and packed: once for the forward and once for the backward
/// direction, in two vectors of the whole network.
#[derive(Debug)]
pub(crate) struct Filter {
    range: Range<usize>,
    out: usize,
    inputs: usize,
    taps: usize,
    forward: Range<usize>,
    backward: Range<usize>,
}

impl Filter {
    pub(crate) fn new<S: Stored>(
        network: &Network,
        id: ParameterId,
        [out, inputs, taps]: [usize; 3],
        layout: &mut Layout<S>,
        layer: &str,
    ) -> Result<Self, CpuError> {
        let problem = "its weights don't have the shape that its maps ask for";
        match network.parameters.get(id.0) {
            Some(parameter) if parameter.len() == out * inputs * taps => {
                let [forward, backward] = layout.place_filter(out, inputs * taps);
                Ok(Self { range: parameter.range(), out, inputs, taps, forward, backward })
            }
            _ => Err(CpuError::Network { layer: layer.into(), problem }),
        }
    }

    /// Number of weights.
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    /// Their place in the flat parameter vector.
    pub(crate) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Number of weights of an output channel.
    pub(crate) fn fan_in(&self) -> usize {
        self.inputs * self.taps
    }

    /// Writes what [`Filter::forward`] and, unless `backward` is empty, [`Filter::backward`] read. `scratch` has room
    /// for the weights.
    pub(crate) fn pack<S: Stored>(
        &self,
        workers: &Workers<S>,
        gemm: Gemm<S>,
        parameters: &[S::Real],
        [forward, backward]: [&mut [S]; 2],
        scratch: &mut [S],
    ) {
        let fan_in = self.fan_in();
        let weights = &parameters[self.range.clone()];
        let channels_last = &mut scratch[..self.len()];
        workers.for_each_run(channels_last, fan_in, |out, channel, _| {
            let from = &weights[out * fan_in..][..fan_in];
            vectorized!(workers.instructions(), self.channels_last(from, channel));
        });
        let rows = Rows::new(channels_last, fan_in);
        let pack = |to: &mut [S], inner: usize, right: Right<S>| {
            workers.pool().for_each_chunk(to, gemm.panel_len(inner), |panel, packed, _| {
                gemm.pack_panel(panel, right, packed);
            });
        };
        pack(&mut forward[self.forward.clone()], fan_in, Right::Columns(rows));
        if !backward.is_empty() {
            pack(&mut backward[self.backward.clone()], self.out, Right::Rows(rows));
        }
    }

    /// An output channel's weights, `[in, tap]` -> `[tap, in]`.
    #[inline(always)]
    fn channels_last<S: Stored>(&self, from: &[S::Real], to: &mut [S]) {
        if self.taps == 1 {
            return convert(from, to);
        }
        for (tap, pixel) in to.chunks_exact_mut(self.inputs).enumerate() {
            for (to, &weight) in pixel.iter_mut().zip(from[tap..].iter().step_by(self.taps)) {
                *to = S::from_real(weight);
            }
        }
    }

    /// `[tap * in, out]`: patches times this are the convolution.
    pub(crate) fn forward<'a, S: Stored>(&self, weights: Weights<'a, S>) -> &'a [S] {
        &weights.forward[self.forward.clone()]
    }

    /// `[out, tap * in]`: gradients of the result times this are the gradients of the patches.
    pub(crate) fn backward<'a, S: Stored>(&self, weights: Weights<'a, S>) -> &'a [S] {
        &weights.backward[self.backward.clone()]
    }

    /// Adds the groups' gradients, each `[out, tap, in]` at `offset` of a partial, to `gradients`, group after
    /// group.
    pub(crate) fn add_gradients<S: Stored>(
        &self,
        workers: &Workers<S>,
        partials: &[Buffer<S::Real>],
        offset: usize,
        gradients: &mut [S::Real],
    ) {
        let fan_in = self.fan_in();
        workers.for_each_run(&mut gradients[self.range.clone()], fan_in, |out, channel, scratch| {
            let sum = &mut scratch.weights[..fan_in];
            vectorized!(workers.instructions(), sum_partials(partials, offset + out * fan_in, sum));
            if self.taps == 1 {
                channel.iter_mut().zip(&*sum).for_each(|(to, &gradient)| *to += gradient);
                return;
            }
            for (tap, pixel) in sum.chunks_exact(self.inputs).enumerate() {
                for (to, &gradient) in channel[tap..].iter_mut().step_by(self.taps).zip(pixel) {
                    *to += gradient;
                }
            }
        });
    }
}

/// `sum[i] = partials[0][offset + i] + partials[1][offset + i] + ...`, in this order.
#[inline(always)]
fn sum_partials<R: Real>(partials: &[Buffer<R>], offset: usize, sum: &mut [R]) {
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
