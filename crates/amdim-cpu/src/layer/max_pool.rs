//! The largest value of a window, a channel.

use std::array;
use std::mem::take;

use amdim_kernels::{Stored, vectorized};
use amdim_network::{MapShape, Network, Window};

use super::{InputGradients, Maps, Pass, Weights, Write, check_window};
use crate::CpuError;
use crate::elementwise::{add_converted, convert};
use crate::groups::MAX_GROUPS;
use crate::workers::ScratchSize;

/// `y = max over the window of x`; the border is left out.
#[derive(Debug)]
pub(crate) struct MaxPool {
    window: Window,
    input: MapShape,
    output: MapShape,
}

/// A group's part of everything that backward touches.
struct BackwardTask<'a, S> {
    x: &'a [S],
    y: &'a [S],
    y_gradients: &'a [S],
    x_gradients: &'a mut [S],
}

impl MaxPool {
    pub(crate) fn new(network: &Network, index: usize, window: Window) -> Result<Self, CpuError> {
        let (input, node) = (check_window(network, index, window)?, &network.nodes[index]);
        if node.shape.channels != input.channels || 2 * window.padding.pixels > window.kernel {
            let problem = "a pool keeps the channels, and its border is at most half its window";
            return Err(CpuError::Network { layer: node.name.clone(), problem });
        }
        Ok(Self { window, input, output: node.shape })
    }

    /// Gradients of one picture, and of a window's result.
    pub(crate) fn scratch_size(&self) -> ScratchSize {
        ScratchSize { channels: self.input.channels, open_maps: self.input.len(), ..ScratchSize::default() }
    }

    /// Where the pixels of a location's window begin in a picture, row by row; zeros of the border are left out.
    #[inline(always)]
    fn pixels(&self, location: usize) -> impl Iterator<Item = usize> {
        let MapShape { channels, height, width } = self.input;
        let (row, column) = (location / self.output.width, location % self.output.width);
        self.seen(row, height)
            .flat_map(move |y| self.seen(column, width).map(move |x| (y * width + x) * channels))
    }

    /// Rows, or columns, of a picture that a window sees.
    #[inline(always)]
    fn seen(&self, position: usize, pixels: usize) -> impl Iterator<Item = usize> {
        (0..self.window.kernel).filter_map(move |k| self.window.source(position, k, pixels))
    }

    /// `y` of a few pictures, on the calling thread.
    pub(crate) fn forward_pictures<S: Stored>(&self, weights: Weights<S>, x: &[S], y: &mut [S]) {
        let channels = self.input.channels;
        let pictures = x.chunks_exact(self.input.len()).zip(y.chunks_exact_mut(self.output.len()));
        vectorized!(weights.instructions, {
            for (x, y) in pictures {
                for (location, y) in y.chunks_exact_mut(channels).enumerate() {
                    let mut pixels = self.pixels(location).map(|at| &x[at..at + channels]);
                    if let Some(first) = pixels.next() {
                        y.copy_from_slice(first);
                    }
                    pixels.for_each(|pixel| larger(pixel, y));
                }
            }
        });
    }

    pub(crate) fn forward<S: Stored>(&self, pass: Pass<S>, x: &[S], y: &mut [S]) {
        pass.for_each_group(x, y, |x, y, _| self.forward_pictures(pass.weights, x, y));
    }

    /// A window's gradient goes to the first pixel, row by row, that holds its maximum, as in `PyTorch`.
    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        maps: Maps<S>,
        y_gradients: &[S],
        x_gradients: Option<InputGradients<S>>,
    ) {
        let Some(InputGradients { values, write }) = x_gradients else { return };
        let groups = pass.groups;
        let (in_len, out_len) = (maps.x.len() / groups.batch(), maps.y.len() / groups.batch());
        let (xs, ys) = (groups.split(maps.x, in_len), groups.split(maps.y, out_len));
        let gs = groups.split(y_gradients, out_len);
        let mut x_parts = groups.split_mut(values, in_len);
        let mut tasks: [BackwardTask<S>; MAX_GROUPS] = array::from_fn(|group| BackwardTask {
            x: xs[group],
            y: ys[group],
            y_gradients: gs[group],
            x_gradients: take(&mut x_parts[group]),
        });
        let channels = self.input.channels;
        pass.workers.for_each(&mut tasks[..groups.count()], |_, task, scratch| {
            let rest = &mut scratch.centre[..channels];
            let open = &mut scratch.open_maps[..in_len];
            let pictures = task.x.chunks_exact(in_len).zip(task.x_gradients.chunks_exact_mut(in_len));
            let results = task.y.chunks_exact(out_len).zip(task.y_gradients.chunks_exact(out_len));
            for ((x, x_gradients), (y, y_gradients)) in pictures.zip(results) {
                vectorized!(pass.weights.instructions, {
                    open.fill(S::Real::default());
                    let rows = y.chunks_exact(channels).zip(y_gradients.chunks_exact(channels));
                    for (location, (y, gradients)) in rows.enumerate() {
                        convert(gradients, rest);
                        for pixel in self.pixels(location) {
                            hand_out(
                                rest,
                                &x[pixel..pixel + channels],
                                y,
                                &mut open[pixel..pixel + channels],
                            );
                        }
                    }
                    match write {
                        Write::Replace => convert(open, x_gradients),
                        Write::Add => add_converted(open, x_gradients),
                    }
                });
            }
        });
    }
}

/// Replaces what is smaller; NaN is larger than any number, as in `PyTorch`.
#[inline(always)]
#[expect(clippy::eq_op, reason = "NaN alone differs from itself")]
fn larger<S: Stored>(from: &[S], to: &mut [S]) {
    for (to, &value) in to.iter_mut().zip(from) {
        let (old, new) = (to.to_real(), value.to_real());
        *to = if new > old || new != new { value } else { *to };
    }
}

/// Gives each gradient that is still left to the pixel, where it holds the maximum.
#[inline(always)]
fn hand_out<S: Stored>(rest: &mut [S::Real], pixel: &[S], maximum: &[S], to: &mut [S::Real]) {
    let zero = S::Real::default();
    for (((rest, pixel), maximum), to) in rest.iter_mut().zip(pixel).zip(maximum).zip(to) {
        let is_maximum = pixel.to_real() == maximum.to_real();
        *to += if is_maximum { *rest } else { zero };
        *rest = if is_maximum { zero } else { *rest };
    }
}
