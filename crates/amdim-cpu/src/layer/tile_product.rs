//! A convolution by tiles: its products are those of points, see [`amdim_kernels::winograd`].

use std::ops::Range;

use amdim_kernels::gemm::{Destination, Factor, Finish, Gemm, Rows};
use amdim_kernels::winograd::{Shape, Winograd};
use amdim_kernels::{Buffer, Stored};

use super::Weights;
use crate::filter::Filter;
use crate::patches::Framed;
use crate::tiling::{POINTS, TileRun, Tiling};

/// A tiling, the weights of its points, and the channels of its result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TileProduct<'a> {
    pub(crate) tiling: &'a Tiling,
    pub(crate) filter: &'a Filter,
    pub(crate) out: usize,
}

/// Memory for the points of a chunk.
#[derive(Debug)]
pub(crate) struct TileRoom<S: Stored> {
    /// Of the map, `[point, tile, width]`.
    inputs: Buffer<S::Packed>,
    /// Of the result, `[point, tile, out]`.
    outputs: Buffer<S::Real>,
    /// Their gradients.
    input_gradients: Buffer<S::Real>,
    output_gradients: Buffer<S::Packed>,
    /// Of the weights, `[point, out, width]`, summed over the chunks of a group.
    weight_gradients: Buffer<S::Real>,
}

/// Lengths of a [`TileRoom`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TileRoomSize {
    inputs: usize,
    outputs: usize,
    weights: usize,
}

impl TileRoomSize {
    /// What a chunk needs.
    pub(crate) fn new(tiling: &Tiling, out: usize) -> Self {
        let tiles = POINTS * tiling.most_tiles();
        Self { inputs: tiles * tiling.width(), outputs: tiles * out, weights: POINTS * tiling.width() * out }
    }

    /// The larger of both, kind by kind.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            inputs: self.inputs.max(other.inputs),
            outputs: self.outputs.max(other.outputs),
            weights: self.weights.max(other.weights),
        }
    }
}

impl<S: Stored> TileRoom<S> {
    /// `trains`: whether there will be gradients.
    pub(crate) fn new(size: TileRoomSize, trains: bool) -> Self {
        let TileRoomSize { inputs, outputs, weights } = size;
        let for_training = |length| if trains { length } else { 0 };
        Self {
            inputs: Buffer::zeros(inputs),
            outputs: Buffer::zeros(outputs),
            input_gradients: Buffer::zeros(for_training(inputs)),
            output_gradients: Buffer::zeros(for_training(outputs)),
            weight_gradients: Buffer::zeros(for_training(weights)),
        }
    }

    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> usize {
        let Self { inputs, outputs, input_gradients, output_gradients, weight_gradients } = self;
        (inputs.len() + output_gradients.len()) * size_of::<S::Packed>()
            + (outputs.len() + input_gradients.len() + weight_gradients.len()) * size_of::<S::Real>()
    }
}

/// The part of a point in matrices of `width` columns.
fn part(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}

impl TileProduct<'_> {
    /// `result = convolution(maps) + bias`, rectified or not, of a chunk of locations.
    pub(crate) fn forward<S: Stored>(
        self,
        weights: Weights<S>,
        maps: Framed<S>,
        rows: &Range<usize>,
        (bias, relu): (Option<&[S::Real]>, bool),
        result: &mut [S],
        room: &mut TileRoom<S>,
    ) {
        let Self { tiling, filter, out } = self;
        let (winograd, width) = (Winograd::new(weights.gemm, tiling.taps()), tiling.width());
        self.inputs(weights.gemm, maps, rows, &mut room.inputs);
        let packed = filter.forward(weights);
        for (point, rows) in tiling.points(rows).iter().enumerate() {
            let left = &room.inputs[part(rows, width)];
            let to = &mut room.outputs[part(rows, out)];
            multiply(weights.gemm.packing(), left, width, point_of(packed, point), to, out);
        }
        tiling.each_run(rows, |run| {
            let shape = Shape { tiles: run.tiles(), channels: out };
            winograd.outputs(
                shape,
                (&room.outputs, run.points(out, 0)),
                (result, run.results(out)),
                bias,
                relu,
            );
        });
    }

    /// Adds to the gradients of weights' points, or replaces them with `first`, and adds to the gradients of the maps
    /// from picture `first_open` on, `open`, what comes of a chunk of locations.
    pub(crate) fn backward<S: Stored>(
        self,
        weights: Weights<S>,
        maps: Framed<S>,
        (rows, gradients): (&Range<usize>, &[S]),
        first: bool,
        (open, first_open): (Option<&mut [S::Real]>, usize),
        (room, packed_room): (&mut TileRoom<S>, &mut [S::Packed]),
    ) {
        let Self { tiling, filter, out } = self;
        let (gemm, width) = (weights.gemm, tiling.width());
        let winograd = Winograd::new(gemm, tiling.taps());
        self.inputs(gemm, maps, rows, &mut room.inputs);
        tiling.each_run(rows, |run| {
            let shape = Shape { tiles: run.tiles(), channels: out };
            let to = (&mut room.output_gradients[..], run.points(out, 0));
            winograd.output_gradients(shape, (gradients, run.results(out)), to);
        });
        let points = tiling.points(rows);
        for (rows, to) in points.iter().zip(room.weight_gradients.chunks_exact_mut(out * width)) {
            if rows.is_empty() {
                to[..if first { out * width } else { 0 }].fill(S::Real::default());
                continue;
            }
            let left = Rows::new(&room.output_gradients[part(rows, out)], out);
            let right = Rows::new(&room.inputs[part(rows, width)], width);
            gemm.packing().multiply_transposed(left, right.into(), to, !first, packed_room);
        }
        let Some(open) = open else { return };
        let packed = filter.backward(weights);
        for (point, rows) in points.iter().enumerate() {
            let left = &room.output_gradients[part(rows, out)];
            let to = &mut room.input_gradients[part(rows, width)];
            multiply(gemm.packing(), left, out, point_of(packed, point), to, width);
        }
        self.each_phase(rows, |run, phase, offset| {
            let shape = Shape { tiles: run.tiles(), channels: self.channels() };
            let from = (&room.input_gradients[..], run.points(width, offset));
            winograd.input_gradients(shape, from, (&mut *open, run.pixels(phase, first_open)));
        });
    }

    /// The gradients of weights, `[out, tap, in]`, from the points of a group.
    pub(crate) fn weight_gradients<S: Stored>(
        self,
        gemm: Gemm<S>,
        room: &TileRoom<S>,
        weight_gradients: &mut [S::Real],
    ) {
        let Self { tiling, filter, out } = self;
        let winograd = Winograd::new(gemm, tiling.taps());
        let width = tiling.width();
        for (channel, to) in weight_gradients.chunks_exact_mut(filter.fan_in()).enumerate() {
            filter.each_phase(|shape, pixels, offset| {
                let points = Filter::points(out * width, channel * width + offset);
                winograd.weight_gradients(shape, (&room.weight_gradients, points), (&mut *to, pixels));
            });
        }
    }

    fn channels(self) -> usize {
        self.tiling.width() / self.tiling.stride().pow(2)
    }

    /// The points of a chunk's maps.
    fn inputs<S: Stored>(self, gemm: Gemm<S>, maps: Framed<S>, rows: &Range<usize>, to: &mut [S::Packed]) {
        let winograd = Winograd::new(gemm, self.tiling.taps());
        let width = self.tiling.width();
        self.each_phase(rows, |run, phase, offset| {
            let shape = Shape { tiles: run.tiles(), channels: self.channels() };
            let pixels = run.pixels(phase, maps.first);
            winograd.inputs(shape, (maps.maps, pixels), (&mut *to, run.points(width, offset)));
        });
    }

    /// Visits tiles of a chunk phase by phase, with the place of the phase in a point.
    fn each_phase(self, rows: &Range<usize>, mut visit: impl FnMut(TileRun, [usize; 2], usize)) {
        let stride = self.tiling.stride();
        self.tiling.each_run(rows, |run| {
            for phase in 0..stride * stride {
                visit(run, [phase / stride, phase % stride], phase * self.channels());
            }
        });
    }
}

/// The packed weights of a point.
fn point_of<S>(packed: &[S], point: usize) -> &[S] {
    let length = packed.len() / POINTS;
    &packed[point * length..][..length]
}

fn multiply<P: Stored<Packed = P>>(
    gemm: Gemm<P>,
    left: &[P],
    width: usize,
    right: &[P],
    to: &mut [P::Real],
    out: usize,
) {
    let factor = Factor { left: Rows::new(left, width).into(), right };
    gemm.multiply(&[factor], out, Finish::default(), Destination::Real(to));
}
