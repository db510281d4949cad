//! The weights of a convolution as matrices, and their gradients.

use std::array;
use std::ops::Range;

use amdim_kernels::gemm::{Gemm, Right, Rows};
use amdim_kernels::winograd::{ABSENT, Pixels, Points, SIDE, Shape, Winograd};
use amdim_kernels::{Buffer, Kernel, Real, Stored, transpose, vectorized};
use amdim_network::{Network, ParameterId};

use crate::CpuError;
use crate::elementwise::{add_converted, convert};
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

    /// Output channels that are put in order and packed at a time: whole panels, at least one a thread. The scratch holds
    /// no more.
    fn band<S: Stored>(&self, gemm: Gemm<S>, threads: usize) -> usize {
        let columns = gemm.panel_columns();
        let least = (LEAST_BAND / self.fan_in()).next_multiple_of(columns);
        least.max(threads * columns).min(self.out)
    }

    /// Length of the scratch that [`Filter::pack`] works in on so many threads.
    pub(crate) fn scratch_len<S: Stored>(&self, gemm: Gemm<S>, threads: usize) -> usize {
        let points = self.tiled.map_or(0, |_| POINTS * self.width());
        self.band(gemm, threads) * (self.fan_in() + points)
    }

    /// Writes what [`Filter::forward`] and, unless `backward` is empty, [`Filter::backward`] read. `scratch` has room
    /// for [`Filter::scratch_len`] values.
    pub(crate) fn pack<S: Stored>(
        &self,
        workers: &Workers<S>,
        gemm: Gemm<S>,
        parameters: &[S::Real],
        [forward, backward]: [&mut [S::Packed]; 2],
        scratch: &mut [S::Packed],
    ) {
        let (fan_in, width) = (self.fan_in(), self.width());
        let points = if self.tiled.is_some() { POINTS } else { 1 };
        let forward = &mut forward[self.forward.clone()];
        let backward = if backward.is_empty() { backward } else { &mut backward[self.backward.clone()] };
        let [forward_panel, backward_panel] = [width, self.out].map(|inner| gemm.panel_len(inner));
        // Of one point.
        let forward_panels = forward.len() / forward_panel / points;
        let backward_panels = backward.len() / backward_panel / points;
        let band = self.band(gemm, workers.pool().threads());
        for (index, weights) in parameters[self.range.clone()].chunks(band * fan_in).enumerate() {
            let (channels_last, rest) = scratch.split_at_mut(weights.len());
            workers.for_each_run(channels_last, fan_in, |out, channel, _| {
                let from = &weights[out * fan_in..][..fan_in];
                vectorized!(
                    workers.instructions(),
                    self.channels_last(workers.instructions(), from, channel)
                );
            });
            let values = if self.tiled.is_some() {
                let values = &mut rest[..weights.len() / fan_in * POINTS * width];
                self.transform(workers, gemm, channels_last, values);
                values
            } else {
                channels_last
            };
            let rows = |point: usize| Rows::strided(&values[point * width..], points * width, width);
            let first = index * band;
            let first_panel = first / gemm.panel_columns();
            let own = first_panel..first_panel + (weights.len() / fan_in).div_ceil(gemm.panel_columns());
            workers.pool().for_each_chunk(forward, forward_panel, |index, packed, _| {
                let (point, panel) = (index / forward_panels, index % forward_panels);
                if own.contains(&panel) {
                    gemm.packing().pack_panel(panel - first_panel, Right::Columns(rows(point)), packed);
                }
            });
            workers.pool().for_each_chunk(backward, backward_panel, |index, packed, _| {
                let (point, panel) = (index / backward_panels, index % backward_panels);
                gemm.packing().pack_panel_rows(panel, [first, self.out], rows(point), packed);
            });
        }
    }

    /// Weights to points: `[out, tap, in]` -> `[out, point, phase, in]`.
    fn transform<S: Stored>(
        &self,
        workers: &Workers<S>,
        gemm: Gemm<S>,
        weights: &[S::Packed],
        points: &mut [S::Packed],
    ) {
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
    fn channels_last<P: Stored>(&self, kernel: Kernel, from: &[P::Real], to: &mut [P]) {
        if self.taps == 1 {
            return convert(from, to);
        }
        let mut turned = [P::Real::default(); TURNED];
        for (inputs, taps) in self.blocks() {
            let (count, turned) = (inputs.len(), &mut turned[..inputs.len() * taps.len()]);
            let from = (&from[inputs.start * self.taps + taps.start..], self.taps);
            transpose::<_, 1>(kernel, [count, taps.len()], from, (&mut *turned, count));
            let to = to.chunks_exact_mut(self.inputs).skip(taps.start);
            for (turned, to) in turned.chunks_exact(count).zip(to) {
                convert(turned, &mut to[inputs.clone()]);
            }
        }
    }

    /// Adds an output channel's gradients, `[tap, in]`, to what is there, `[in, tap]`.
    #[inline(always)]
    fn add_taps_last<R: Real>(&self, kernel: Kernel, from: &[R], to: &mut [R]) {
        if self.taps == 1 {
            return add_converted(from, to);
        }
        let mut turned = [R::default(); TURNED];
        for (inputs, taps) in self.blocks() {
            let (count, turned) = (taps.len(), &mut turned[..inputs.len() * taps.len()]);
            let from = (&from[taps.start * self.inputs + inputs.start..], self.inputs);
            transpose::<_, 1>(kernel, [count, inputs.len()], from, (&mut *turned, count));
            // One input, where these are not all of its taps.
            add_converted(turned, &mut to[inputs.start * self.taps + taps.start..][..turned.len()]);
        }
    }

    /// What is turned over at a time: whole inputs, or some taps of one.
    fn blocks(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + use<> {
        let parts =
            |all: usize, most: usize| (0..all).step_by(most).map(move |first| first..(first + most).min(all));
        let taps = self.taps;
        parts(self.inputs, (TURNED / taps).max(1))
            .flat_map(move |inputs| parts(taps, TURNED).map(move |taps| (inputs.clone(), taps)))
    }

    /// `[tap * in, out]`: patches times this are the convolution. Or one such matrix a point, `[phase * in, out]`.
    pub(crate) fn forward<'a, S: Stored>(&self, weights: Weights<'a, S>) -> &'a [S::Packed] {
        &weights.forward[self.forward.clone()]
    }

    /// `[out, tap * in]`: gradients of the result times this are the gradients of the patches. Or one a point.
    pub(crate) fn backward<'a, S: Stored>(&self, weights: Weights<'a, S>) -> &'a [S::Packed] {
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
            vectorized!(workers.instructions(), self.add_taps_last(workers.instructions(), sum, channel));
        });
    }
}

/// Weights that are packed at a time, at least: fewer don't pay for calling the threads.
const LEAST_BAND: usize = 1 << 16;

/// Weights that are turned over at a time, at most.
const TURNED: usize = 1024;

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
    use std::sync::Arc;

    use amdim_kernels::{Bf16, Kernel, Pool, WideBf16};

    use super::*;
    use crate::workers::ScratchSize;

    fn packed<S: Stored<Real = f32>>(
        filter: &Filter,
        gemm: Gemm<S>,
        kernel: Kernel,
        threads: usize,
    ) -> [Vec<S::Packed>; 2] {
        let pool = Arc::new(Pool::new(threads).unwrap());
        let workers = Workers::new(pool, kernel, ScratchSize::default(), true);
        let weights: Vec<f32> = (0..filter.len()).map(|at| (at as f32 * 0.37).sin()).collect();
        let mut packed =
            [&filter.forward, &filter.backward].map(|range| vec![S::Packed::from_real(9.0); range.end]);
        let mut scratch = vec![S::Packed::default(); filter.scratch_len(gemm, threads)];
        let [forward, backward] = &mut packed;
        filter.pack(&workers, gemm, &weights, [forward, backward], &mut scratch);
        packed
    }

    /// More threads take more output channels at a time, at last all of them.
    fn packs_in_bands<S: Stored<Real = f32>>(tiled: Option<[usize; 2]>) {
        let [out, inputs, taps] = [301, 80, 9];
        for kernel in Kernel::ALL.into_iter().filter(|&kernel| Gemm::<S>::exists(kernel)) {
            let gemm = Gemm::<S>::new(kernel);
            let [points, width] = if tiled.is_some() { [POINTS, inputs] } else { [1, inputs * taps] };
            let lens = [gemm.packed_len(width, out), gemm.packed_len(out, width)];
            let [forward, backward] = lens.map(|len| 0..points * len);
            let filter =
                Filter { range: 0..out * inputs * taps, out, inputs, taps, tiled, forward, backward };
            assert!(filter.band(gemm, 1) < out && filter.band(gemm, 40) == out, "{kernel}");
            assert!(packed(&filter, gemm, kernel, 1) == packed(&filter, gemm, kernel, 40), "{kernel}");
        }
    }

    #[test]
    fn filters_are_packed_in_bands() {
        packs_in_bands::<f32>(None);
        packs_in_bands::<Bf16>(None);
        packs_in_bands::<WideBf16>(None);
        packs_in_bands::<f32>(Some([3, 1]));
        packs_in_bands::<WideBf16>(Some([3, 1]));
    }

    #[test]
    fn weights_of_any_window_come_channels_last_and_gradients_go_back() {
        // More inputs than are turned over at once, and windows with more pixels.
        for [inputs, taps] in [[5, 1], [3, 9], [300, 16], [2, 1089], [2, 4225]] {
            let len = inputs * taps;
            let filter =
                Filter { range: 0..len, out: 1, inputs, taps, tiled: None, forward: 0..0, backward: 0..0 };
            let weights: Vec<f32> = (0..len).map(|at| at as f32).collect();
            for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_supported()) {
                let mut result = vec![0.0f32; len];
                filter.channels_last(kernel, &weights, &mut result);
                for (at, &weight) in result.iter().enumerate() {
                    let expected = weights[at % inputs * taps + at / inputs];
                    assert_eq!(weight, expected, "{inputs} inputs, {taps} taps, {kernel}");
                }
                let mut sum = weights.clone();
                filter.add_taps_last(kernel, &result, &mut sum);
                assert!(sum.iter().zip(&weights).all(|(sum, weight)| *sum == 2.0 * weight), "{kernel}");
            }
        }
    }
}
