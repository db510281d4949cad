//! The weights of a convolution as matrices, and their gradients.

use std::array;
use std::ops::Range;

use amdim_kernels::gemm::{Gemm, Right, Rows};
use amdim_kernels::winograd::{ABSENT, Pixels, Points, SIDE, Shape, Winograd};
use amdim_kernels::{Buffer, Real, Stored, vectorized};
use amdim_network::{Network, ParameterId};

use crate::CpuError;
use crate::elementwise::convert;
use crate::layer::{Layout, Weights};
use crate::tiling::{POINTS, Tiling};
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
    /// Taps along a side of a phase, and phases along a side, where products are those of points.
    tiled: Option<[usize; 2]>,
    forward: Range<usize>,
    backward: Range<usize>,
}

impl Filter {
    pub(crate) fn new<S: Stored>(
        network: &Network,
        id: ParameterId,
        [out, inputs, taps]: [usize; 3],
        tiling: Option<&Tiling>,
        layout: &mut Layout<S>,
        layer: &str,
    ) -> Result<Self, CpuError> {
        let problem = "its weights don't have the shape that its maps ask for";
        match network.parameters.get(id.0) {
            Some(parameter) if parameter.len() == out * inputs * taps => {
                let [forward, backward] = match tiling {
                    Some(tiling) => layout.place_filter(POINTS, out, tiling.width()),
                    None => layout.place_filter(1, out, inputs * taps),
                };
                let tiled = tiling.map(|tiling| [tiling.taps(), tiling.stride()]);
                Ok(Self { range: parameter.range(), out, inputs, taps, tiled, forward, backward })
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

    /// Values of a point of an output channel's weights.
    fn width(&self) -> usize {
        self.tiled.map_or(self.fan_in(), |[_, stride]| self.inputs * stride * stride)
    }

    /// Length of the scratch that [`Filter::pack`] works in.
    pub(crate) fn scratch_len(&self) -> usize {
        self.len() + self.tiled.map_or(0, |_| POINTS * self.width() * self.out)
    }

    /// Writes what [`Filter::forward`] and, unless `backward` is empty, [`Filter::backward`] read. `scratch` has room
    /// for [`Filter::scratch_len`] values.
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
        let (channels_last, rest) = scratch.split_at_mut(self.len());
        workers.for_each_run(channels_last, fan_in, |out, channel, _| {
            let from = &weights[out * fan_in..][..fan_in];
            vectorized!(workers.instructions(), self.channels_last(from, channel));
        });
        let (values, points) = match self.tiled {
            Some(_) => {
                let points = &mut rest[..POINTS * self.width() * self.out];
                self.transform(workers, gemm, channels_last, points);
                (&*points, POINTS)
            }
            None => (&*channels_last, 1),
        };
        let width = self.width();
        let rows = |point: usize| Rows::strided(&values[point * width..], points * width, width);
        let pack = |to: &mut [S], inner: usize, right: fn(Rows<S>) -> Right<S>| {
            let length = gemm.panel_len(inner);
            let panels = to.len() / length / points;
            workers.pool().for_each_chunk(to, length, |index, packed, _| {
                gemm.pack_panel(index % panels, right(rows(index / panels)), packed);
            });
        };
        pack(&mut forward[self.forward.clone()], width, |rows| Right::Columns(rows));
        if !backward.is_empty() {
            pack(&mut backward[self.backward.clone()], self.out, |rows| Right::Rows(rows));
        }
    }

    /// Weights to points: `[out, tap, in]` -> `[out, point, phase, in]`.
    fn transform<S: Stored>(&self, workers: &Workers<S>, gemm: Gemm<S>, weights: &[S], points: &mut [S]) {
        let Some([taps, _]) = self.tiled else { return };
        let (winograd, fan_in, width) = (Winograd::new(gemm, taps), self.fan_in(), self.width());
        workers.for_each_run(points, POINTS * width, |out, points, _| {
            let weights = &weights[out * fan_in..][..fan_in];
            self.each_phase(|shape, pixels, offset| {
                winograd.weights(shape, (weights, pixels), (&mut *points, Self::points(width, offset)));
            });
        });
    }

    /// Visits the phases of an output channel's weights, `[tap, in]`, with their place in a point.
    pub(crate) fn each_phase(&self, mut visit: impl FnMut(Shape, Pixels, usize)) {
        let Some([taps, stride]) = self.tiled else { return };
        let tap = |i: usize, phase: usize, step: usize| {
            if i < taps { (i * stride + phase) * step } else { ABSENT }
        };
        for phase in 0..stride * stride {
            let pixels = Pixels {
                rows: array::from_fn(|i| tap(i, phase / stride, taps * stride * self.inputs)),
                columns: array::from_fn(|j| tap(j, phase % stride, self.inputs)),
                step: 0,
            };
            visit(Shape { tiles: 1, channels: self.inputs }, pixels, phase * self.inputs);
        }
    }

    /// Points that lie `step` values apart.
    pub(crate) fn points(step: usize, offset: usize) -> Points {
        let start = |i: usize, j: usize| (i * SIDE + j) * step + offset;
        Points { starts: array::from_fn(|i| array::from_fn(|j| start(i, j))), step: 0 }
    }

    /// An output channel's weights, `[in, tap]` -> `[tap, in]`.
    #[inline(always)]
    fn channels_last<S: Stored>(&self, from: &[S::Real], to: &mut [S]) {
        if self.taps == 1 {
            return convert(from, to);
        }
        // Converted side by side, which registers do, before single values are moved.
        let mut converted = [S::default(); CONVERTED];
        let inputs = CONVERTED / self.taps;
        if inputs == 0 {
            for (at, &weight) in from.iter().enumerate() {
                to[at % self.taps * self.inputs + at / self.taps] = S::from_real(weight);
            }
            return;
        }
        for (block, from) in from.chunks(inputs * self.taps).enumerate() {
            let converted = &mut converted[..from.len()];
            convert(from, converted);
            for tap in 0..self.taps {
                let to = &mut to[tap * self.inputs + block * inputs..];
                for (to, &weight) in to.iter_mut().zip(converted[tap..].iter().step_by(self.taps)) {
                    *to = weight;
                }
            }
        }
    }

    /// `[tap * in, out]`: patches times this are the convolution. Or one such matrix a point, `[phase * in, out]`.
    pub(crate) fn forward<'a, S: Stored>(&self, weights: Weights<'a, S>) -> &'a [S] {
        &weights.forward[self.forward.clone()]
    }

    /// `[out, tap * in]`: gradients of the result times this are the gradients of the patches. Or one a point.
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

/// Weights that are converted at once.
const CONVERTED: usize = 1024;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_any_window_come_channels_last() {
        // More inputs than are converted at once, and a window with more pixels.
        for [inputs, taps] in [[5, 1], [3, 9], [300, 16], [2, 1089]] {
            let len = inputs * taps;
            let filter =
                Filter { range: 0..len, out: 1, inputs, taps, tiled: None, forward: 0..0, backward: 0..0 };
            let weights: Vec<f64> = (0..len).map(|at| at as f64).collect();
            let mut result = vec![0.0; len];
            filter.channels_last(&weights, &mut result);
            for (at, &weight) in result.iter().enumerate() {
                assert_eq!(weight, weights[at % inputs * taps + at / inputs], "{inputs} inputs, {taps} taps");
            }
        }
    }
}
