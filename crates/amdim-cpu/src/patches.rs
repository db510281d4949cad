//! What a sliding window reads: patches gathered into a matrix (im2col), gradients scattered back, averages.

use std::ops::Range;

use amdim_network::{MapShape, PadMode, Window};

use crate::Real;

/// A window over maps of one shape.
///
/// Maps are `[pictures, height, width, channels]`. A *row* is one position of the window in one picture, counted
/// `(picture * out_height + y) * out_width + x`. A patch is `[kernel_y, kernel_x, channels]`.
#[derive(Debug)]
pub(crate) struct Patches {
    input: MapShape,
    window: Window,
    out_width: usize,
    /// Window positions in one picture.
    pub(crate) locations: usize,
    /// `[out_height, kernel]`: the map's row that each row of the window reads; `None` is the border's zeros.
    source_rows: Vec<Option<usize>>,
    /// `[out_width, kernel]`: the same for columns.
    source_columns: Vec<Option<usize>>,
    /// `[out_width]`: whether the columns are neighbours, so that a row of the window is one run of memory.
    contiguous: Vec<bool>,
}

/// A stretch of a patch: where it lies in the patch, and where in the maps, or `None` for zeros.
struct Run {
    patch: Range<usize>,
    map: Option<usize>,
}

impl Patches {
    /// Returns `None` where the window does not fit `input` or does not give maps of the shape `output`.
    pub(crate) fn new(input: MapShape, output: MapShape, window: Window) -> Option<Self> {
        let fits = window.kernel > 0
            && window.stride > 0
            && window.positions(input.height) == Some(output.height)
            && window.positions(input.width) == Some(output.width)
            && (window.padding.mode == PadMode::Zero
                || window.padding.pixels < input.height.min(input.width));
        if !fits {
            return None;
        }
        let sources = |positions: usize, pixels: usize| -> Vec<Option<usize>> {
            (0..positions)
                .flat_map(|p| (0..window.kernel).map(move |k| window.source(p, k, pixels)))
                .collect()
        };
        let source_columns = sources(output.width, input.width);
        let is_run = |taps: &[Option<usize>]| {
            taps.iter().enumerate().all(|(k, &tap)| tap.is_some() && tap == taps[0].map(|first| first + k))
        };
        let contiguous = source_columns.chunks_exact(window.kernel).map(is_run).collect();
        Some(Self {
            input,
            window,
            out_width: output.width,
            locations: output.locations(),
            source_rows: sources(output.height, input.height),
            source_columns,
            contiguous,
        })
    }

    /// Number of pixels in the window.
    pub(crate) fn taps(&self) -> usize {
        self.window.kernel * self.window.kernel
    }

    /// Number of values in a patch.
    pub(crate) fn patch_len(&self) -> usize {
        self.taps() * self.input.channels
    }

    /// Shape of the maps that the window slides over.
    pub(crate) fn input(&self) -> MapShape {
        self.input
    }

    /// Whether patches are the map's pixels themselves, in order: a 1x1 window that visits every pixel.
    pub(crate) fn is_identity(&self) -> bool {
        self.window.kernel == 1 && self.window.stride == 1 && self.window.padding.pixels == 0
    }

    /// The patches of `rows` as a matrix `[rows, patch_len]`: a part of `maps` where that is possible, else
    /// gathered in `scratch`.
    pub(crate) fn gather<'a, T: Real>(
        &self,
        maps: &'a [T],
        rows: Range<usize>,
        scratch: &'a mut [T],
    ) -> &'a [T] {
        let length = self.patch_len();
        if self.is_identity() {
            return &maps[rows.start * length..rows.end * length];
        }
        let columns = &mut scratch[..rows.len() * length];
        for (row, patch) in rows.zip(columns.chunks_exact_mut(length)) {
            self.for_each_run(row, |run| match run.map {
                Some(at) => patch[run.patch.clone()].copy_from_slice(&maps[at..at + run.patch.len()]),
                None => patch[run.patch].fill(T::default()),
            });
        }
        columns
    }

    /// Adds the gradients of patches to the gradients of the pixels that they were gathered from.
    pub(crate) fn scatter_add<T: Real>(&self, columns: &[T], rows: Range<usize>, maps: &mut [T]) {
        for (row, patch) in rows.zip(columns.chunks_exact(self.patch_len())) {
            self.for_each_run(row, |run| {
                let Some(at) = run.map else { return };
                let from = &patch[run.patch];
                for (to, &gradient) in maps[at..at + from.len()].iter_mut().zip(from) {
                    *to += gradient;
                }
            });
        }
    }

    /// Average over the window, the border included: `[rows, out_channels]`, channels beyond the map's are zero.
    pub(crate) fn average<T: Real>(
        &self,
        maps: &[T],
        rows: Range<usize>,
        out_channels: usize,
        averages: &mut [T],
    ) {
        let channels = self.input.channels;
        let share = self.share();
        for (row, average) in rows.zip(averages.chunks_exact_mut(out_channels)) {
            if self.is_identity() {
                let at = row * channels;
                average[..channels].copy_from_slice(&maps[at..at + channels]);
                average[channels..].fill(T::default());
                continue;
            }
            average.fill(T::default());
            let kept = &mut average[..channels];
            self.for_each_run(row, |run| {
                let Some(at) = run.map else { return };
                for pixel in maps[at..at + run.patch.len()].chunks_exact(channels) {
                    for (sum, &value) in kept.iter_mut().zip(pixel) {
                        *sum += value;
                    }
                }
            });
            for sum in kept {
                *sum *= share;
            }
        }
    }

    /// The gradient of [`Patches::average`] with respect to the patches: `columns` is overwritten.
    pub(crate) fn average_backward<T: Real>(&self, gradients: &[T], out_channels: usize, columns: &mut [T]) {
        let channels = self.input.channels;
        let share = self.share();
        let patches = columns.chunks_exact_mut(self.patch_len());
        for (gradient, patch) in gradients.chunks_exact(out_channels).zip(patches) {
            for pixel in patch.chunks_exact_mut(channels) {
                for (to, &from) in pixel.iter_mut().zip(gradient) {
                    *to = from * share;
                }
            }
        }
    }

    fn share<T: Real>(&self) -> T {
        T::from_f64(1.0 / self.taps() as f64)
    }

    fn for_each_run(&self, row: usize, mut visit: impl FnMut(Run)) {
        let MapShape { channels, width, .. } = self.input;
        let kernel = self.window.kernel;
        let (picture, location) = (row / self.locations, row % self.locations);
        let (y, x) = (location / self.out_width, location % self.out_width);
        let map = picture * self.input.len();
        let columns = &self.source_columns[x * kernel..(x + 1) * kernel];
        for (k, source_row) in self.source_rows[y * kernel..(y + 1) * kernel].iter().enumerate() {
            let start = k * kernel * channels;
            let pixel = |column: usize| source_row.map(|r| map + (r * width + column) * channels);
            if let (true, Some(first)) = (self.contiguous[x], columns[0]) {
                visit(Run { patch: start..start + kernel * channels, map: pixel(first) });
                continue;
            }
            for (j, column) in columns.iter().enumerate() {
                let at = start + j * channels;
                visit(Run { patch: at..at + channels, map: column.and_then(pixel) });
            }
        }
    }
}
