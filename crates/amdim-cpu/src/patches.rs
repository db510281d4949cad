//! What a sliding window reads: patches as the rows of a product, gradients scattered back, averages.

use std::ops::Range;
use std::sync::Arc;

use amdim_kernels::gemm::{Left, Rows, Windows, ZEROS};
use amdim_kernels::{Buffer, Real, Stored};
use amdim_network::{MapShape, PadMode, Window};

use crate::elementwise::{add_both, add_converted, add_rows, convert, scale};
use crate::layer::Write;

/// Shortest stretch of a patch that a product reads where it lies. Patches of shorter ones are copied together.
const SHORTEST_READ: usize = 16;

/// A window over maps of one shape.
///
/// Maps are `[pictures, height, width, channels]`. A *row* is one position of the window in one picture, counted
/// `(picture * out_height + y) * out_width + x`. A patch is `[kernel_y, kernel_x, channels]`.
#[derive(Debug)]
pub(crate) struct Patches {
    input: MapShape,
    window: Window,
    /// Window positions in one picture.
    pub(crate) locations: usize,
    /// Length of the stretches of memory that a patch is made of: a row of the window, or where that may reach over
    /// the border, a pixel.
    run: usize,
    /// `[locations, runs]`: where in a picture they begin; [`ZEROS`] beyond the border.
    offsets: Arc<[usize]>,
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
        let pixels = if window.padding.pixels == 0 { window.kernel } else { 1 };
        let mut offsets = vec![];
        for location in 0..output.locations() {
            let (y, x) = (location / output.width, location % output.width);
            for (ky, kx) in
                (0..window.kernel).flat_map(|ky| (0..window.kernel).step_by(pixels).map(move |kx| (ky, kx)))
            {
                let source = (window.source(y, ky, input.height), window.source(x, kx, input.width));
                offsets.push(match source {
                    (Some(row), Some(column)) => (row * input.width + column) * input.channels,
                    _ => ZEROS,
                });
            }
        }
        let (locations, offsets) = (output.locations(), offsets.into());
        Some(Self { input, window, locations, run: pixels * input.channels, offsets })
    }

    /// The same window over another map of this shape; both share a table.
    pub(crate) fn shared(&self) -> Self {
        Self { offsets: Arc::clone(&self.offsets), ..*self }
    }

    /// Whether it is this window, from maps of the shape `input` to maps of the shape `output`.
    pub(crate) fn leads(&self, input: MapShape, output: MapShape, window: Window) -> bool {
        let positions = [window.positions(input.height), window.positions(input.width)];
        (self.input, self.window) == (input, window) && positions == [Some(output.height), Some(output.width)]
    }

    /// Bytes of the table of windows.
    pub(crate) fn table_bytes(&self) -> usize {
        self.offsets.len() * size_of::<usize>()
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

    /// Whether products read patches where they lie; else they are copied together first.
    pub(crate) fn in_place(&self) -> bool {
        self.is_identity() || self.run >= SHORTEST_READ && self.run.is_multiple_of(2)
    }

    /// Number of stretches of a patch.
    pub(crate) fn runs(&self) -> usize {
        self.patch_len() / self.run
    }

    /// The patches of `rows` as a matrix `[rows, patch_len]`.
    pub(crate) fn rows<'a, S: Stored>(
        &self,
        maps: &'a [S],
        rows: Range<usize>,
        room: &'a mut PatchRoom<S>,
    ) -> Left<'a, S> {
        let length = self.patch_len();
        if self.is_identity() {
            return Rows::new(&maps[rows.start * length..rows.end * length], length).into();
        }
        if self.in_place() {
            let offsets = &mut room.offsets[..rows.len() * self.runs()];
            let mut rest = &mut *offsets;
            for (picture, of_picture) in self.pictures(rows) {
                let to;
                (to, rest) = rest.split_at_mut(of_picture.len());
                for (to, &offset) in to.iter_mut().zip(of_picture) {
                    *to = if offset == ZEROS { ZEROS } else { picture + offset };
                }
            }
            return Left::Windows(Windows::new(maps, &room.zeros, offsets, [self.runs(), self.run]));
        }
        let columns = &mut room.columns[..rows.len() * length];
        let mut runs = columns.chunks_exact_mut(self.run);
        for (picture, offsets) in self.pictures(rows) {
            for (&offset, to) in offsets.iter().zip(&mut runs) {
                match offset {
                    ZEROS => to.fill(S::default()),
                    offset => copy_short(&maps[picture + offset..][..self.run], to),
                }
            }
        }
        Rows::new(columns, length).into()
    }

    /// Most maps that `rows` neighbouring windows reach into.
    pub(crate) fn open_maps(&self, rows: usize) -> usize {
        rows.div_ceil(self.locations) + 1
    }

    /// Makes `open` ready for the gradients of the pixels that `rows` see.
    ///
    /// A pixel's gradient is summed there, over all windows that see it, and [`Patches::close`] hands it over in one
    /// piece when the last row of its picture is done. So rows must come in order, from a picture's first to its last,
    /// and `open` must be left alone in between.
    pub(crate) fn open<R: Real>(&self, rows: &Range<usize>, open: &mut [R]) {
        let length = self.input.len();
        let begun = usize::from(!rows.start.is_multiple_of(self.locations));
        let reached = rows.end.div_ceil(self.locations) - self.picture(rows);
        open[begun * length..reached * length].fill(R::default());
    }

    /// The picture of the first of `rows`, which `open` begins with.
    pub(crate) fn picture(&self, rows: &Range<usize>) -> usize {
        rows.start / self.locations
    }

    /// Adds `pooled` (`[rows, channels]`) to each pixel of a row's window.
    #[inline(always)]
    pub(crate) fn scatter_pooled<R: Real>(&self, pooled: &[R], rows: Range<usize>, open: &mut [R]) {
        let (length, channels) = (self.input.len(), self.input.channels);
        let first = self.picture(&rows);
        for (place, pooled) in self.places(rows).zip(pooled.chunks_exact(channels)) {
            for at in sources(place).flatten() {
                let at = at - first * length;
                for to in open[at..at + self.run].chunks_exact_mut(channels) {
                    to.iter_mut().zip(pooled).for_each(|(to, &gradient)| *to += gradient);
                }
            }
        }
    }

    /// Adds the gradients of patches, `[rows, patch_len]`, to the gradients of the pixels that they were gathered from.
    /// `pooled` (`[rows, channels]`) is added to each pixel of a row's window besides.
    #[inline(always)]
    pub(crate) fn scatter<R: Real>(
        &self,
        columns: &[R],
        pooled: Option<&[R]>,
        rows: Range<usize>,
        open: &mut [R],
    ) {
        let channels = self.input.channels;
        let first = self.picture(&rows) * self.input.len();
        let mut stretches = columns.chunks_exact(self.run);
        let mut pooled = pooled.map(|pooled| pooled.chunks_exact(channels));
        for (picture, offsets) in self.pictures(rows) {
            let open = &mut open[picture - first..];
            for offsets in offsets.chunks_exact(self.runs()) {
                let pooled = pooled.as_mut().and_then(Iterator::next);
                for (&offset, from) in offsets.iter().zip(&mut stretches) {
                    if offset == ZEROS {
                        continue;
                    }
                    let to = &mut open[offset..offset + self.run];
                    match pooled {
                        Some(pooled) => {
                            for (to, from) in to.chunks_exact_mut(channels).zip(from.chunks_exact(channels)) {
                                add_both(from, pooled, to);
                            }
                        }
                        None => to.iter_mut().zip(from).for_each(|(to, &gradient)| *to += gradient),
                    }
                }
            }
        }
    }

    /// Hands over the gradients of the pictures whose last row is among `rows`.
    #[inline(always)]
    pub(crate) fn close<S: Stored>(
        &self,
        rows: &Range<usize>,
        open: &mut [S::Real],
        maps: &mut [S],
        write: Write,
    ) {
        let length = self.input.len();
        let first = self.picture(rows);
        let reached = rows.end.div_ceil(self.locations) - first;
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
        for (place, average) in self.places(rows).zip(averages.chunks_exact_mut(self.input.channels)) {
            average.fill(S::Real::default());
            for at in sources(place).flatten() {
                add_rows(&maps[at..at + self.run], average);
            }
            scale(average, self.share());
        }
    }

    /// The share of a pixel in an average over the window.
    pub(crate) fn share<R: Real>(&self) -> R {
        R::from_f64(1.0 / self.taps() as f64)
    }

    /// Where the pixels of a row's window begin in the maps, row by row; those of a border of zeros are left out.
    #[inline(always)]
    pub(crate) fn pixels(&self, row: usize) -> impl Iterator<Item = usize> {
        let (run, channels) = (self.run, self.input.channels);
        let place = self.places(row..row + 1).next();
        place.into_iter().flat_map(sources).flatten().flat_map(move |at| (at..at + run).step_by(channels))
    }

    /// Where the picture of each of `rows` begins, and where the row's stretches begin in the picture.
    #[inline(always)]
    fn places(&self, rows: Range<usize>) -> impl Iterator<Item = Place<'_>> {
        let runs = self.runs();
        self.pictures(rows).flat_map(move |(picture, offsets)| {
            offsets.chunks_exact(runs).map(move |offsets| (picture, offsets))
        })
    }

    /// Where each picture of `rows` begins, and where the stretches of its rows begin in it, row after row. (A division
    /// a row would cost as much as a short row's copy.)
    #[inline(always)]
    fn pictures(&self, rows: Range<usize>) -> impl Iterator<Item = Place<'_>> {
        let (locations, runs) = (self.locations, self.runs());
        (self.picture(&rows)..rows.end.div_ceil(locations)).map(move |picture| {
            let first = picture * locations;
            let within = rows.start.saturating_sub(first)..locations.min(rows.end - first);
            (picture * self.input.len(), &self.offsets[within.start * runs..within.end * runs])
        })
    }
}

/// Where a picture begins, and where stretches begin in it.
type Place<'a> = (usize, &'a [usize]);

/// Where a row's stretches begin in the maps, `None` for zeros.
#[inline(always)]
fn sources((picture, offsets): Place) -> impl Iterator<Item = Option<usize>> {
    offsets.iter().map(move |&offset| (offset != ZEROS).then_some(picture + offset))
}

/// Copies a few values, which a call of the library's function would take longer for.
#[inline(always)]
fn copy_short<T: Copy>(from: &[T], to: &mut [T]) {
    /// The first and the last `N` of at most twice as many.
    #[inline(always)]
    fn copy_ends<T: Copy, const N: usize>(from: &[T], to: &mut [T]) {
        if let (Some(from), Some(to)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
            *to = *from;
        }
        if let (Some(from), Some(to)) = (from.last_chunk::<N>(), to.last_chunk_mut::<N>()) {
            *to = *from;
        }
    }
    match from.len() {
        4..=8 => copy_ends::<T, 4>(from, to),
        9..=16 => copy_ends::<T, 8>(from, to),
        17..=32 => copy_ends::<T, 16>(from, to),
        _ => to.copy_from_slice(from),
    }
}

/// Memory for the patches of a chunk.
#[derive(Debug)]
pub(crate) struct PatchRoom<S> {
    /// Patches, copied together.
    columns: Buffer<S>,
    /// Where the stretches of patches begin.
    offsets: Vec<usize>,
    /// What lies beyond the border.
    zeros: Buffer<S>,
}

/// Lengths of a [`PatchRoom`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PatchRoomSize {
    columns: usize,
    offsets: usize,
    zeros: usize,
}

impl PatchRoomSize {
    /// What a chunk of `rows` needs.
    pub(crate) fn new(patches: &Patches, rows: usize) -> Self {
        let nothing = Self::default();
        match (patches.is_identity(), patches.in_place()) {
            (true, _) => nothing,
            (false, true) => Self { offsets: rows * patches.runs(), zeros: patches.run, ..nothing },
            (false, false) => Self { columns: rows * patches.patch_len(), ..nothing },
        }
    }

    /// The larger of both, kind by kind.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            columns: self.columns.max(other.columns),
            offsets: self.offsets.max(other.offsets),
            zeros: self.zeros.max(other.zeros),
        }
    }
}

impl<S: Stored> PatchRoom<S> {
    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> usize {
        let Self { columns, offsets, zeros } = self;
        (columns.len() + zeros.len()) * size_of::<S>() + offsets.len() * size_of::<usize>()
    }

    pub(crate) fn new(size: PatchRoomSize) -> Self {
        Self {
            columns: Buffer::zeros(size.columns),
            offsets: vec![0; size.offsets],
            zeros: Buffer::zeros(size.zeros),
        }
    }
}
