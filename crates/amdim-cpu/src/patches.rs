//! What a sliding window reads: patches gathered into a matrix (im2col), gradients scattered back, averages.

use std::ops::Range;

use amdim_kernels::{Real, Stored};
use amdim_network::{MapShape, PadMode, Window};

use crate::elementwise::{add_converted, add_rows, add_scaled, convert, scale};
use crate::layer::Write;

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
    pub(crate) fn gather<'a, S: Stored>(
        &self,
        maps: &'a [S],
        rows: Range<usize>,
        scratch: &'a mut [S],
    ) -> &'a [S] {
        let length = self.patch_len();
        if self.is_identity() {
            return &maps[rows.start * length..rows.end * length];
        }
        let columns = &mut scratch[..rows.len() * length];
        for (row, patch) in rows.zip(columns.chunks_exact_mut(length)) {
            self.for_each_run(row, |run| match run.map {
                Some(at) => patch[run.patch.clone()].copy_from_slice(&maps[at..at + run.patch.len()]),
                None => patch[run.patch].fill(S::default()),
            });
        }
        columns
    }

    /// Most maps that `rows` neighbouring windows reach into.
    pub(crate) fn open_maps(&self, rows: usize) -> usize {
        rows.div_ceil(self.locations) + 1
    }

    /// Adds the gradients of patches to the gradients of the pixels that they were gathered from. With `pooled`
    /// (gradients `[rows, out_channels]` and `out_channels`), those of the average over the window as well.
    ///
    /// A pixel's gradient is summed in `open`, over all windows that see it, and goes to `maps` in one piece when the
    /// last row of its picture is done. So rows must come in order, from a picture's first to its last, and `open`
    /// must be left alone in between.
    #[inline(always)]
    pub(crate) fn scatter<S: Stored>(
        &self,
        columns: &[S::Real],
        pooled: Option<(&[S], usize)>,
        rows: Range<usize>,
        open: &mut [S::Real],
        maps: &mut [S],
        write: Write,
    ) {
        let (length, channels) = (self.input.len(), self.input.channels);
        let first = rows.start / self.locations;
        let begun = usize::from(!rows.start.is_multiple_of(self.locations));
        let reached = rows.end.div_ceil(self.locations) - first;
        open[begun * length..reached * length].fill(S::Real::default());
        let share = self.share();
        for (index, (row, patch)) in rows.clone().zip(columns.chunks_exact(self.patch_len())).enumerate() {
            self.for_each_run(row, |run| {
                let Some(at) = run.map else { return };
                let at = at - first * length;
                let from = &patch[run.patch];
                let to = &mut open[at..at + from.len()];
                to.iter_mut().zip(from).for_each(|(to, &gradient)| *to += gradient);
                if let Some((gradients, width)) = pooled {
                    for pixel in to.chunks_exact_mut(channels) {
                        add_scaled(&gradients[index * width..][..channels], share, pixel);
                    }
                }
            });
        }
        let done = rows.end / self.locations - first;
        let to = &mut maps[first * length..(first + done) * length];
        match write {
            Write::Replace => convert(&open[..done * length], to),
            Write::Add => add_converted(&open[..done * length], to),
        }
        if done < reached {
            open.copy_within(done * length..reached * length, 0);
        }
    }

    /// Average over the window, the border included: `[rows, channels]`.
    #[inline(always)]
    pub(crate) fn average<S: Stored>(&self, maps: &[S], rows: Range<usize>, averages: &mut [S::Real]) {
        let channels = self.input.channels;
        for (row, average) in rows.zip(averages.chunks_exact_mut(channels)) {
            average.fill(S::Real::default());
            self.for_each_run(row, |run| {
                let Some(at) = run.map else { return };
                add_rows(&maps[at..at + run.patch.len()], average);
            });
            scale(average, self.share());
        }
    }

    fn share<R: Real>(&self) -> R {
        R::from_f64(1.0 / self.taps() as f64)
    }

    #[inline(always)]
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
