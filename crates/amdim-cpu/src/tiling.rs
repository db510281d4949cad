//! How a convolution's map is cut into tiles for [`amdim_kernels::winograd`].

use std::array;
use std::ops::Range;

use amdim_kernels::winograd::{ABSENT, Pixels, Points, SIDE};
use amdim_network::{MapShape, Window};

use crate::groups::chunks;

/// Points of a tile.
pub(crate) const POINTS: usize = SIDE * SIDE;

/// Tiles that a layer works on at once, so that their points stay in the cache, while the packed weights of a point meet
/// enough rows.
const CHUNK_TILES: usize = 64;

/// Fewest channels, of the map and of the result, that pay for the transforms.
const FEWEST_CHANNELS: usize = 16;

/// Multiplications saved that pay for the transforms.
const WORTH_IT: f64 = 1.5;

/// Pixels of a map in steps of the window's stride are its *phases*: a window of `taps * stride` pixels a side that moves
/// by `stride` is one of `taps` that moves by one over `stride * stride` maps, whose products are summed. Rows of tiles
/// are *strips*, counted `picture * down + row`. A tile whose last pixel lies beyond the result's border has no point at
/// infinity, which that pixel alone needs.
#[derive(Debug)]
pub(crate) struct Tiling {
    input: MapShape,
    /// Rows and columns of the result.
    result: [usize; 2],
    stride: usize,
    taps: usize,
    /// Pixels along a side of a tile's result.
    side: usize,
    /// Tiles above each other.
    down: usize,
    /// Tiles side by side, and those of them that have all points.
    across: [usize; 2],
    /// Where rows of the map begin, what lies beyond the last window included, in the order of windows.
    rows: Vec<usize>,
    columns: Vec<Columns>,
}

/// Tiles side by side that differ in their place alone.
#[derive(Debug, PartialEq, Eq)]
struct Columns {
    first: usize,
    tiles: usize,
    /// Where the columns of the first tile are in a row, of each phase.
    places: Vec<[usize; SIDE]>,
    /// Columns of the result that the first tile has.
    result: Range<usize>,
    whole: bool,
}

/// Tiles side by side in a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TileRun<'a> {
    tiling: &'a Tiling,
    columns: &'a Columns,
    picture: usize,
    row: usize,
    /// Rows of the points' matrices that lie before those of the first tile.
    starts: [[usize; SIDE]; SIDE],
    /// The strip's first location, counted from the chunk's.
    location: usize,
}

impl Tiling {
    /// The tiles of a window from framed maps (see [`crate::patches`]) to `output`, where they pay.
    pub(crate) fn new(input: MapShape, output: MapShape, window: Window) -> Option<Self> {
        Self::fitting(input, output, window).filter(|tiling| tiling.pays(output.channels))
    }

    /// The tiles of a window from framed maps to `output`, if it can be cut into tiles.
    pub(crate) fn fitting(input: MapShape, output: MapShape, window: Window) -> Option<Self> {
        let Window { kernel, stride, .. } = window;
        let taps = kernel / stride;
        if !matches!(taps, 2 | 3) || !kernel.is_multiple_of(stride) {
            return None;
        }
        let side = SIDE + 1 - taps;
        let result = [output.height, output.width];
        let [down, across] = result.map(|pixels| pixels.div_ceil(side));
        // A tile reaches further than the windows of the result's last pixels, beyond which there may be anything.
        let places = |positions: usize, tiles: usize, width: usize| -> Vec<usize> {
            let seen = (positions - 1) * stride + kernel;
            let reached = (tiles * side + taps - 1) * stride;
            (0..reached).map(|at| if at < seen { at * width } else { ABSENT }).collect()
        };
        let columns = places(output.width, across, input.channels);
        let whole = usize::from(output.width.is_multiple_of(side));
        Some(Self {
            input,
            result,
            stride,
            taps,
            side,
            down,
            across: [across, across - 1 + whole],
            rows: places(output.height, down, input.width * input.channels),
            columns: Columns::group(&columns, [taps, stride, output.width], input.channels),
        })
    }

    /// Whether fewer multiplications pay for the transforms.
    fn pays(&self, out: usize) -> bool {
        let [height, width] = self.result;
        let plain = (height * width * self.taps * self.taps) as f64;
        self.input.channels.min(out) >= FEWEST_CHANNELS && plain >= WORTH_IT * self.point_rows() as f64
    }

    /// Bytes of the tables.
    pub(crate) fn bytes(&self) -> usize {
        let places = self.columns.iter().map(|columns| SIDE * columns.places.len()).sum::<usize>();
        (self.rows.len() + places) * size_of::<usize>() + self.columns.len() * size_of::<Columns>()
    }

    /// Points of all tiles of a picture.
    fn point_rows(&self) -> usize {
        let [height, width] = self.result;
        let points = |pixels: usize| {
            pixels / self.side * SIDE + if pixels.is_multiple_of(self.side) { 0 } else { SIDE - 1 }
        };
        points(height) * points(width)
    }

    /// Taps along a side of a phase.
    pub(crate) fn taps(&self) -> usize {
        self.taps
    }

    /// Phases along a side.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Values of a point over all phases.
    pub(crate) fn width(&self) -> usize {
        self.stride * self.stride * self.input.channels
    }

    /// Most strips of a chunk.
    fn most_strips(&self) -> usize {
        CHUNK_TILES.div_ceil(self.across[0])
    }

    /// Most tiles of a chunk.
    pub(crate) fn most_tiles(&self) -> usize {
        self.most_strips() * self.across[0]
    }

    /// Most locations of a chunk.
    pub(crate) fn most_rows(&self) -> usize {
        self.most_strips() * self.side * self.result[1]
    }

    /// Cuts `rows` locations, of whole pictures, into chunks of whole strips.
    pub(crate) fn chunks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let ([height, width], down, side) = (self.result, self.down, self.side);
        let start = move |strip: usize| (strip / down * height + (strip % down * side).min(height)) * width;
        let strips = rows / (height * width) * down;
        chunks(strips, self.most_strips()).map(move |strips| start(strips.start)..start(strips.end))
    }

    /// The strips of a chunk of locations.
    fn strips(&self, rows: &Range<usize>) -> Range<usize> {
        let [height, width] = self.result;
        let strip = |location: usize| {
            let (picture, row) = (location / (height * width), location % (height * width) / width);
            picture * self.down + row.div_ceil(self.side)
        };
        strip(rows.start)..strip(rows.end)
    }

    /// Whether the strip's tiles have all points.
    fn is_whole(&self, strip: usize) -> bool {
        strip % self.down + 1 < self.down || self.result[0].is_multiple_of(self.side)
    }

    /// Rows of each point's matrix, for a chunk of locations, and how many of all points lie before it.
    pub(crate) fn points(&self, rows: &Range<usize>) -> [Range<usize>; POINTS] {
        let strips = self.strips(rows);
        let down = [strips.len(), strips.filter(|&strip| self.is_whole(strip)).count()];
        let mut end = 0;
        array::from_fn(|point| {
            let start = end;
            end += down[usize::from(point / SIDE == SIDE - 1)]
                * self.across[usize::from(point % SIDE == SIDE - 1)];
            start..end
        })
    }

    /// Visits the tiles of a chunk of locations, many at a time.
    pub(crate) fn each_run(&self, rows: &Range<usize>, mut visit: impl FnMut(TileRun)) {
        let points = self.points(rows);
        let mut seen = [0; 2];
        let mut location = 0;
        for strip in self.strips(rows) {
            let (picture, row, whole) = (strip / self.down, strip % self.down, self.is_whole(strip));
            for columns in &self.columns {
                let start = |i: usize, j: usize| {
                    let (last_down, last_across) = (i == SIDE - 1, j == SIDE - 1);
                    if last_down && !whole || last_across && !columns.whole {
                        return ABSENT;
                    }
                    let before = seen[usize::from(last_down)] * self.across[usize::from(last_across)];
                    points[i * SIDE + j].start + before + columns.first
                };
                let starts = array::from_fn(|i| array::from_fn(|j| start(i, j)));
                visit(TileRun { tiling: self, columns, picture, row, starts, location });
            }
            seen[0] += 1;
            seen[1] += usize::from(whole);
            location += (self.result[0] - row * self.side).min(self.side) * self.result[1];
        }
    }
}

impl Columns {
    /// Groups the tiles of a strip. `places` are those of the map's columns.
    fn group(places: &[usize], [taps, stride, width]: [usize; 3], channels: usize) -> Vec<Self> {
        let side = SIDE + 1 - taps;
        let mut groups: Vec<Self> = vec![];
        for tile in 0..width.div_ceil(side) {
            let first = tile * side;
            let place = |phase: usize, j: usize| places[(first + j) * stride + phase];
            let next = Self {
                first: tile,
                tiles: 1,
                places: (0..stride).map(|phase| array::from_fn(|j| place(phase, j))).collect(),
                result: first..(first + side).min(width),
                whole: first + side <= width,
            };
            match groups.last_mut() {
                Some(last) if last.leads_to(&next, side * stride * channels) => last.tiles += 1,
                _ => groups.push(next),
            }
        }
        groups
    }

    /// Whether `next` is what comes after the group's last tile, with places `step` apart.
    fn leads_to(&self, next: &Self, step: usize) -> bool {
        let moved = |place: usize| if place == ABSENT { ABSENT } else { place + self.tiles * step };
        self.whole == next.whole && self.places.iter().zip(&next.places).all(|(a, b)| a.map(moved) == *b)
    }
}

impl TileRun<'_> {
    /// Number of tiles.
    pub(crate) fn tiles(&self) -> usize {
        self.columns.tiles
    }

    /// Where the pixels of a phase are in maps from picture `first` on.
    pub(crate) fn pixels(&self, [down, across]: [usize; 2], first: usize) -> Pixels {
        let Tiling { input, stride, side, rows, .. } = self.tiling;
        let picture = (self.picture - first) * input.len();
        let row = |i: usize| match rows[(self.row * side + i) * stride + down] {
            ABSENT => ABSENT,
            row => picture + row,
        };
        Pixels {
            rows: array::from_fn(row),
            columns: self.columns.places[across],
            step: side * stride * input.channels,
        }
    }

    /// Where the result's pixels are in the chunk's locations, of `out` channels.
    pub(crate) fn results(&self, out: usize) -> Pixels {
        let Tiling { result: [height, width], side, .. } = *self.tiling;
        let row = |i: usize| {
            let there = i < side && self.row * side + i < height;
            if there { (self.location + i * width) * out } else { ABSENT }
        };
        let columns = &self.columns.result;
        let column = |j: usize| if j < columns.len() { (columns.start + j) * out } else { ABSENT };
        Pixels { rows: array::from_fn(row), columns: array::from_fn(column), step: side * out }
    }

    /// Where the points are: rows of `width` values, of which theirs begin at `offset`.
    pub(crate) fn points(&self, width: usize, offset: usize) -> Points {
        let place = |start: usize| if start == ABSENT { ABSENT } else { start * width + offset };
        Points { starts: self.starts.map(|row| row.map(place)), step: width }
    }
}
