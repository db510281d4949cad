//! What a sliding window reads: patches as the rows of a product, gradients scattered back, averages.

use std::ops::Range;
use std::sync::Arc;

use amdim_kernels::gemm::{Left, Rows, Windows};
use amdim_kernels::{Buffer, Real, Stored, copy_short};
use amdim_network::{MapShape, PadMode, Window};

use crate::elementwise::{add_both, add_converted, add_rows, convert, scale};
use crate::layer::Write;

/// Shortest stretch of a patch that a product reads where it lies. Patches of shorter ones are copied together.
const SHORTEST_READ: usize = 16;

/// A window over maps of one shape.
///
/// Maps are `[pictures, height, width, channels]`. A *row* is one position of the window in one picture, counted
/// `(picture * out_height + y) * out_width + x`. A patch is `[kernel_y, kernel_x, channels]`. A *framed* map has the
/// window's border round it, so that every row of a window is one stretch of memory; without a border it is the map.
#[derive(Debug)]
pub(crate) struct Patches {
    input: MapShape,
    framed: MapShape,
    window: Window,
    /// Window positions side by side.
    across: usize,
    /// Window positions in one picture.
    pub(crate) locations: usize,
    /// `[locations, kernel]`: where in a framed map the rows of the window begin.
    offsets: Arc<[usize]>,
}

/// Framed maps of the pictures from `first` on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Framed<'a, S> {
    pub(crate) maps: &'a [S],
    pub(crate) first: usize,
}

/// Whether the window gives maps of the shape `output` of those of the shape `input`, their channels aside.
pub(crate) fn leads(window: Window, input: MapShape, output: MapShape) -> bool {
    let Window { kernel, stride, padding } = window;
    kernel > 0
        && stride > 0
        && window.positions(input.height) == Some(output.height)
        && window.positions(input.width) == Some(output.width)
        && (padding.mode == PadMode::Zero || padding.pixels < input.height.min(input.width))
}

impl Patches {
    /// `window` must lead from `input` to `output`.
    pub(crate) fn new(input: MapShape, output: MapShape, window: Window) -> Self {
        let [height, width] = [input.height, input.width].map(|pixels| pixels + 2 * window.padding.pixels);
        let framed = MapShape { height, width, ..input };
        let begin = |y: usize, x: usize| (y * framed.width + x) * framed.channels;
        let offsets = (0..output.locations())
            .flat_map(|location| {
                let (y, x) = (location / output.width, location % output.width);
                (0..window.kernel).map(move |ky| begin(y * window.stride + ky, x * window.stride))
            })
            .collect();
        Self { input, framed, window, across: output.width, locations: output.locations(), offsets }
    }

    /// The same window over another map of this shape; both share a table.
    pub(crate) fn shared(&self) -> Self {
        Self { offsets: Arc::clone(&self.offsets), ..*self }
    }

    /// Whether it is this window over maps of the shape `input`.
    pub(crate) fn is(&self, window: Window, input: MapShape) -> bool {
        (self.window, self.input) == (window, input)
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

    /// Length of a row of the window in memory.
    fn run(&self) -> usize {
        self.window.kernel * self.input.channels
    }

    /// Shape of the maps that the window slides over.
    pub(crate) fn input(&self) -> MapShape {
        self.input
    }

    /// Shape of those maps with the border round them.
    pub(crate) fn framed_shape(&self) -> MapShape {
        self.framed
    }

    /// Whether patches are the map's pixels themselves, in order: a 1x1 window that visits every pixel.
    pub(crate) fn is_identity(&self) -> bool {
        self.window.kernel == 1 && self.window.stride == 1 && self.window.padding.pixels == 0
    }

    /// Whether products read patches where they lie; else they are copied together first.
    fn in_place(&self) -> bool {
        self.is_identity() || self.run() >= SHORTEST_READ && self.run().is_multiple_of(2)
    }

    /// The framed maps of the pictures of `rows`, at least as far as the windows of `rows` reach into them; `room` holds
    /// as many maps (see [`PatchRoom::framed`]).
    pub(crate) fn framed<'a, S: Stored>(
        &self,
        maps: &'a [S],
        rows: &Range<usize>,
        room: &'a mut [S],
    ) -> Framed<'a, S> {
        if self.window.padding.pixels == 0 {
            return Framed { maps, first: 0 };
        }
        let first = self.picture(rows);
        let pictures = maps.chunks_exact(self.input.len()).enumerate().skip(first);
        for ((picture, map), to) in pictures.zip(room.chunks_exact_mut(self.framed.len())) {
            let seen = self.within(picture, rows);
            if seen.is_empty() {
                break;
            }
            let stride = self.window.stride;
            let reached =
                seen.start / self.across * stride..(seen.end - 1) / self.across * stride + self.window.kernel;
            let width = self.framed.width * self.framed.channels;
            for y in reached {
                self.frame(map, y, &mut to[y * width..][..width]);
            }
        }
        Framed { maps: room, first }
    }

    /// Row `y` of a framed map.
    fn frame<S: Stored>(&self, map: &[S], y: usize, to: &mut [S]) {
        let MapShape { channels, height, width } = self.input;
        let border = self.window.padding.pixels;
        let Some(row) = self.window.source(0, y, height) else {
            to.fill(S::default());
            return;
        };
        let row = &map[row * width * channels..][..width * channels];
        to[border * channels..][..row.len()].copy_from_slice(row);
        for x in (0..border).chain(border + width..self.framed.width) {
            let to = &mut to[x * channels..][..channels];
            match self.window.source(0, x, width) {
                Some(x) => to.copy_from_slice(&row[x * channels..][..channels]),
                None => to.fill(S::default()),
            }
        }
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
        let PatchRoom { columns, offsets, framed } = room;
        let Framed { maps, first } = self.framed(maps, &rows, framed);
        if self.in_place() {
            let offsets = &mut offsets[..rows.len() * self.window.kernel];
            let mut rest = &mut *offsets;
            for (picture, of_picture) in self.pictures(rows) {
                let start = (picture - first) * self.framed.len();
                let to;
                (to, rest) = rest.split_at_mut(of_picture.len());
                to.iter_mut().zip(of_picture).for_each(|(to, &offset)| *to = start + offset);
            }
            return Left::Windows(Windows::new(maps, offsets, [self.window.kernel, self.run()]));
        }
        let columns = &mut columns[..rows.len() * length];
        let mut runs = columns.chunks_exact_mut(self.run());
        for (picture, offsets) in self.pictures(rows) {
            let map = &maps[(picture - first) * self.framed.len()..];
            for (&offset, to) in offsets.iter().zip(&mut runs) {
                copy_short(&map[offset..][..self.run()], to);
            }
        }
        Rows::new(columns, length).into()
    }

    /// Most values of the framed maps that `rows` neighbouring windows reach into.
    pub(crate) fn open_len(&self, rows: usize) -> usize {
        (rows.div_ceil(self.locations) + 1) * self.framed.len()
    }

    /// Makes `open`, framed maps, ready for the gradients of the pixels that `rows` see.
    ///
    /// A pixel's gradient is summed there, over all windows that see it, and [`Patches::close`] hands it over in one
    /// piece when the last row of its picture is done. So rows must come in order, from a picture's first to its last,
    /// and `open` must be left alone in between.
    pub(crate) fn open<R: Real>(&self, rows: &Range<usize>, open: &mut [R]) {
        let length = self.framed.len();
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
        let channels = self.input.channels;
        let first = self.picture(&rows);
        for (place, pooled) in self.places(rows, first).zip(pooled.chunks_exact(channels)) {
            for at in place {
                for to in open[at..at + self.run()].chunks_exact_mut(channels) {
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
        let first = self.picture(&rows);
        let mut stretches = columns.chunks_exact(self.run());
        let mut pooled = pooled.map(|pooled| pooled.chunks_exact(channels));
        for place in self.places(rows, first) {
            let pooled = pooled.as_mut().and_then(Iterator::next);
            for (at, from) in place.zip(&mut stretches) {
                let to = &mut open[at..at + self.run()];
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

    /// Hands over the gradients of the pictures whose last row is among `rows`.
    #[inline(always)]
    pub(crate) fn close<S: Stored>(
        &self,
        rows: &Range<usize>,
        open: &mut [S::Real],
        maps: &mut [S],
        write: Write,
    ) {
        let length = self.framed.len();
        let first = self.picture(rows);
        let reached = rows.end.div_ceil(self.locations) - first;
        let done = rows.end / self.locations - first;
        let maps = maps.chunks_exact_mut(self.input.len()).skip(first);
        for (framed, map) in open.chunks_exact_mut(length).take(done).zip(maps) {
            self.unframe(framed, map, write);
        }
        if done < reached {
            open.copy_within(done * length..reached * length, 0);
        }
    }

    /// The gradients of a map from those of the framed one: a mirrored border's come on top of the pixels that it shows.
    #[inline(always)]
    fn unframe<S: Stored>(&self, framed: &mut [S::Real], map: &mut [S], write: Write) {
        let MapShape { channels, height, width } = self.input;
        let (border, stride) = (self.window.padding.pixels, self.framed.width * channels);
        let mut add = |from: usize, to: usize, count: usize| {
            for i in 0..count {
                let gradient = framed[from + i];
                framed[to + i] += gradient;
            }
        };
        if self.window.padding.mode == PadMode::Reflect {
            for y in (0..border).chain(border + height..self.framed.height) {
                if let Some(row) = self.window.source(0, y, height) {
                    add(y * stride, (border + row) * stride, stride);
                }
            }
            for x in (0..border).chain(border + width..self.framed.width) {
                if let Some(column) = self.window.source(0, x, width) {
                    for row in border..border + height {
                        let row = row * stride;
                        add(row + x * channels, row + (border + column) * channels, channels);
                    }
                }
            }
        }
        let rows = framed.chunks_exact(stride).skip(border);
        for (row, to) in rows.zip(map.chunks_exact_mut(width * channels)) {
            let row = &row[border * channels..][..width * channels];
            match write {
                Write::Replace => convert(row, to),
                Write::Add => add_converted(row, to),
            }
        }
    }

    /// Average over the window, the border included: `[rows, channels]`.
    #[inline(always)]
    pub(crate) fn average<S: Stored>(
        &self,
        Framed { maps, first }: Framed<S>,
        rows: Range<usize>,
        averages: &mut [S::Real],
    ) {
        let averages = averages.chunks_exact_mut(self.input.channels);
        for (place, average) in self.places(rows, first).zip(averages) {
            average.fill(S::Real::default());
            for at in place {
                add_rows(&maps[at..at + self.run()], average);
            }
            scale(average, self.share());
        }
    }

    /// The share of a pixel in an average over the window.
    pub(crate) fn share<R: Real>(&self) -> R {
        R::from_f64(1.0 / self.taps() as f64)
    }

    /// Where the rows of each window begin in framed maps from picture `first` on.
    #[inline(always)]
    fn places(&self, rows: Range<usize>, first: usize) -> impl Iterator<Item = impl Iterator<Item = usize>> {
        let (kernel, length) = (self.window.kernel, self.framed.len());
        self.pictures(rows).flat_map(move |(picture, offsets)| {
            let start = (picture - first) * length;
            offsets.chunks_exact(kernel).map(move |offsets| offsets.iter().map(move |&offset| start + offset))
        })
    }

    /// Each picture of `rows`, and where its windows' rows begin, window after window. (A division a window would cost
    /// as much as a short one's copy.)
    #[inline(always)]
    fn pictures(&self, rows: Range<usize>) -> impl Iterator<Item = (usize, &[usize])> {
        let kernel = self.window.kernel;
        (self.picture(&rows)..rows.end.div_ceil(self.locations)).map(move |picture| {
            let within = self.within(picture, &rows);
            (picture, &self.offsets[within.start * kernel..within.end * kernel])
        })
    }

    /// The locations of a picture that are among `rows`.
    fn within(&self, picture: usize, rows: &Range<usize>) -> Range<usize> {
        let first = picture * self.locations;
        let within = |row: usize| row.saturating_sub(first).min(self.locations);
        within(rows.start)..within(rows.end)
    }
}

/// Memory for the patches of a chunk.
#[derive(Debug)]
pub(crate) struct PatchRoom<S> {
    /// Patches, copied together.
    columns: Buffer<S>,
    /// Where the stretches of patches begin.
    offsets: Vec<usize>,
    /// Framed maps.
    pub(crate) framed: Buffer<S>,
}

/// Lengths of a [`PatchRoom`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PatchRoomSize {
    columns: usize,
    offsets: usize,
    framed: usize,
}

impl PatchRoomSize {
    /// What the framed maps of a chunk of `rows` need.
    pub(crate) fn framed(patches: &Patches, rows: usize) -> Self {
        let framed = if patches.window.padding.pixels == 0 { 0 } else { patches.open_len(rows) };
        Self { framed, ..Self::default() }
    }

    /// What the patches of a chunk of `rows` need.
    pub(crate) fn new(patches: &Patches, rows: usize) -> Self {
        let framed = Self::framed(patches, rows);
        match (patches.is_identity(), patches.in_place()) {
            (true, _) => framed,
            (false, true) => Self { offsets: rows * patches.window.kernel, ..framed },
            (false, false) => Self { columns: rows * patches.patch_len(), ..framed },
        }
    }

    /// The larger of both, kind by kind.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            columns: self.columns.max(other.columns),
            offsets: self.offsets.max(other.offsets),
            framed: self.framed.max(other.framed),
        }
    }
}

impl<S: Stored> PatchRoom<S> {
    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> usize {
        let Self { columns, offsets, framed } = self;
        (columns.len() + framed.len()) * size_of::<S>() + offsets.len() * size_of::<usize>()
    }

    pub(crate) fn new(size: PatchRoomSize) -> Self {
        Self {
            columns: Buffer::zeros(size.columns),
            offsets: vec![0; size.offsets],
            framed: Buffer::zeros(size.framed),
        }
    }
}
