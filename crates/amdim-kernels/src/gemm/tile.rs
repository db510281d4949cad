//! Tiles of a product: a few rows times a panel of columns, summed in registers and finished there.
//!
//! The same loop serves every instruction set, number type and both kinds of product; see [`super`] for what is
//! computed. Factors are [`Stored::Packed`], what sums are finished with and become are maps. Pointers come checked from
//! [`super::Gemm`].

use crate::Stored;
use crate::simd::{Access, Products, Simd};

/// Steps of the inner dimension that are written out one after the other.
const UNROLL: usize = 4;

/// A left and a right factor, seen from one tile. The inner dimension is `runs` runs of `depth` values.
pub(crate) struct Inner<S> {
    /// The tile's first left value; with `offsets`, what they count from.
    pub(crate) left: *const S,
    /// Values between left rows; between steps where the left factor is transposed.
    pub(crate) left_stride: usize,
    /// `[rows, runs]`: where the runs of the tile's left rows begin. Null where left rows lie `left_stride` apart in
    /// one run each.
    pub(crate) offsets: *const usize,
    /// Number of runs.
    pub(crate) runs: usize,
    /// Length of a run; whole steps, if there are several.
    pub(crate) depth: usize,
    /// The tile's first right value.
    pub(crate) right: *const S,
    /// Values between steps of the right factor.
    pub(crate) right_stride: usize,
}

impl<S> Clone for Inner<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Inner<S> {}

impl<S> Inner<S> {
    /// Where run number `run` of left row `row` begins, counted from the tile's first row.
    ///
    /// # Safety
    /// The row and the run are there; the left factor is not transposed.
    #[inline(always)]
    pub(super) unsafe fn row_start(&self, row: usize, run: usize) -> *const S {
        // SAFETY: the caller's contract.
        unsafe {
            if self.offsets.is_null() {
                self.left.add(row * self.left_stride)
            } else {
                self.left.add(*self.offsets.add(row * self.runs + run))
            }
        }
    }

    /// Moves on to the tile `rows` below.
    #[inline(always)]
    fn advance<const TRANSPOSED: bool>(&mut self, rows: usize, depth: usize) {
        if TRANSPOSED {
            self.left = self.left.wrapping_add(rows * depth);
        } else if self.offsets.is_null() {
            self.left = self.left.wrapping_add(rows * self.left_stride);
        } else {
            self.offsets = self.offsets.wrapping_add(rows * self.runs);
        }
    }
}

/// What is added to a tile; `width` columns (counted from the tile's first), the others get nothing.
#[derive(Clone, Copy)]
pub(crate) enum Added<S: Stored> {
    Nothing,
    Stored { from: *const S, stride: usize, width: usize },
    Real { from: *const S::Real, stride: usize, width: usize },
}

/// Where a tile goes.
#[derive(Clone, Copy)]
pub(crate) enum Target<S: Stored> {
    Stored(*mut S),
    Real(*mut S::Real),
}

/// All that tiles of one height need, one below the other.
#[derive(Clone, Copy)]
pub(crate) struct Tile<S: Stored> {
    /// Number of tiles.
    pub(crate) tiles: usize,
    pub(crate) factors: [Inner<S::Packed>; 2],
    /// Factors in use: 1 or 2.
    pub(crate) count: usize,
    /// Columns in use, at most the panel's.
    pub(crate) columns: usize,
    /// One value a column, or null.
    pub(crate) bias: *const S::Real,
    pub(crate) added: Added<S>,
    /// Whether the target's old values are added.
    pub(crate) accumulate: bool,
    pub(crate) relu: bool,
    /// Activations that decide which results stay, or null.
    pub(crate) mask: *const S,
    pub(crate) mask_stride: usize,
    pub(crate) target: Target<S>,
    pub(crate) target_stride: usize,
}

impl<S: Stored> Tile<S> {
    /// Moves on to the tile `rows` below.
    #[inline(always)]
    pub(super) fn advance<const TRANSPOSED: bool>(&mut self, rows: usize, depth: usize) {
        for inner in &mut self.factors {
            inner.advance::<TRANSPOSED>(rows, depth);
        }
        match &mut self.added {
            Added::Nothing => {}
            Added::Stored { from, stride, .. } => *from = from.wrapping_add(rows * *stride),
            Added::Real { from, stride, .. } => *from = from.wrapping_add(rows * *stride),
        }
        if !self.mask.is_null() {
            self.mask = self.mask.wrapping_add(rows * self.mask_stride);
        }
        match &mut self.target {
            Target::Stored(to) => *to = to.wrapping_add(rows * self.target_stride),
            Target::Real(to) => *to = to.wrapping_add(rows * self.target_stride),
        }
    }

    /// Moves on by so many columns of all but the right factors, which are packed.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn advance_columns(&mut self, columns: usize) {
        if !self.bias.is_null() {
            self.bias = self.bias.wrapping_add(columns);
        }
        self.added = match self.added {
            Added::Stored { from, stride, width } if width > columns => {
                Added::Stored { from: from.wrapping_add(columns), stride, width: width - columns }
            }
            Added::Real { from, stride, width } if width > columns => {
                Added::Real { from: from.wrapping_add(columns), stride, width: width - columns }
            }
            _ => Added::Nothing,
        };
        if !self.mask.is_null() {
            self.mask = self.mask.wrapping_add(columns);
        }
        self.target = match self.target {
            Target::Stored(to) => Target::Stored(to.wrapping_add(columns)),
            Target::Real(to) => Target::Real(to.wrapping_add(columns)),
        };
    }
}

/// Computes `tile.tiles` tiles of `ROWS` rows and as many columns as `VECTORS` registers hold, or with `EDGE` fewer:
/// the first ones of panels that are `PANEL` registers wide.
///
/// # Safety
/// The processor has the instructions of `V`, and the pointers of `tile` reach all values of the tiles' rows,
/// `tile.columns` columns and the inner dimensions (right factors: whole panels).
#[inline(always)]
pub(crate) unsafe fn run<
    V: Products<S::Packed> + Access<S>,
    S: Stored,
    const ROWS: usize,
    const VECTORS: usize,
    const PANEL: usize,
    const TRANSPOSED: bool,
    const EDGE: bool,
>(
    tile: &Tile<S>,
) {
    let mut tile = *tile;
    for _ in 0..tile.tiles {
        // SAFETY: the caller's contract; every offset below stays within it.
        unsafe {
            prefetch::<V, S, ROWS, VECTORS>(&tile);
            let mut sums = [[V::zero(); VECTORS]; ROWS];
            for inner in tile.factors.iter().take(tile.count) {
                let mut right = inner.right;
                for run in 0..inner.runs {
                    let left = left_rows::<V, S::Packed, ROWS, TRANSPOSED>(inner, run);
                    right = multiply::<V, S::Packed, ROWS, VECTORS, PANEL, TRANSPOSED>(
                        left, right, inner, &mut sums,
                    );
                }
            }
            finish::<V, S, ROWS, VECTORS, EDGE>(&tile, sums);
        }
        tile.advance::<TRANSPOSED>(ROWS, V::DEPTH);
    }
}

/// Asks for what the end of a tile reads and writes, while its products are computed: maps, and sums that are added to.
/// (What is computed with and not stored as maps are is in the cache; asking would cost short products 5 %.)
#[inline(always)]
pub(super) unsafe fn prefetch<V: Simd, S: Stored, const ROWS: usize, const VECTORS: usize>(tile: &Tile<S>) {
    #[inline(always)]
    unsafe fn rows<V: Simd, T, const ROWS: usize, const VECTORS: usize>(first: *const T, stride: usize) {
        for row in 0..ROWS {
            for v in 0..VECTORS {
                // SAFETY: any address will do; the caller vouches for the instructions.
                unsafe { V::prefetch(first.wrapping_add(row * stride + v * V::LANES)) }
            }
        }
    }
    // SAFETY: the caller of `run` vouches for the instructions.
    unsafe {
        match tile.target {
            Target::Stored(to) => rows::<V, S, ROWS, VECTORS>(to, tile.target_stride),
            Target::Real(to) if tile.accumulate => {
                rows::<V, S::Real, ROWS, VECTORS>(to, tile.target_stride);
            }
            Target::Real(_) => {}
        }
        if !tile.mask.is_null() {
            rows::<V, S, ROWS, VECTORS>(tile.mask, tile.mask_stride);
        }
        if let Added::Stored { from, stride, .. } = tile.added {
            rows::<V, S, ROWS, VECTORS>(from, stride);
        }
    }
}

/// Where the left rows of a run begin.
#[inline(always)]
unsafe fn left_rows<V: Products<P>, P: Stored, const ROWS: usize, const TRANSPOSED: bool>(
    inner: &Inner<P>,
    run: usize,
) -> [*const P; ROWS] {
    std::array::from_fn(|row| {
        // SAFETY: the caller of `run` vouches for the pointers.
        unsafe { if TRANSPOSED { inner.left.add(row * V::DEPTH) } else { inner.row_start(row, run) } }
    })
}

/// Adds the products of a run; returns where the next one's right values are.
#[inline(always)]
unsafe fn multiply<
    V: Products<P>,
    P: Stored,
    const ROWS: usize,
    const VECTORS: usize,
    const PANEL: usize,
    const TRANSPOSED: bool,
>(
    left: [*const P; ROWS],
    mut right: *const P,
    inner: &Inner<P>,
    sums: &mut [[V; VECTORS]; ROWS],
) -> *const P {
    // What the compiler knows it needs no register for.
    let (step, right_stride) = if TRANSPOSED {
        (inner.left_stride, inner.right_stride)
    } else {
        (V::DEPTH, V::LANES * PANEL * V::DEPTH)
    };
    // A transposed left factor is padded to whole steps.
    let steps = if TRANSPOSED { inner.depth.div_ceil(V::DEPTH) } else { inner.depth / V::DEPTH };
    // SAFETY: the caller of `run` vouches for the pointers.
    unsafe {
        let mut at = 0;
        for _ in 0..steps / UNROLL {
            for u in 0..UNROLL {
                one_step(&left, at + u * step, right.add(u * right_stride), sums);
            }
            at += UNROLL * step;
            right = right.add(UNROLL * right_stride);
        }
        for _ in 0..steps % UNROLL {
            one_step(&left, at, right, sums);
            at += step;
            right = right.add(right_stride);
        }
        if !TRANSPOSED && !inner.depth.is_multiple_of(V::DEPTH) {
            let columns = V::right_step::<VECTORS>(right);
            for (left, sums) in left.iter().zip(sums) {
                let value = V::left_single(left.add(at));
                for (sum, &column) in sums.iter_mut().zip(&columns) {
                    *sum = sum.multiply_add(value, column);
                }
            }
            right = right.add(right_stride);
        }
        right
    }
}

/// The products of one step, `at` values into the left rows. (A closure would not be inlined for certain, which the
/// registers depend on.)
#[inline(always)]
unsafe fn one_step<V: Products<P>, P: Stored, const ROWS: usize, const VECTORS: usize>(
    left: &[*const P; ROWS],
    at: usize,
    right: *const P,
    sums: &mut [[V; VECTORS]; ROWS],
) {
    // SAFETY: the caller of `run` vouches for the pointers.
    unsafe {
        let right = V::right_step::<VECTORS>(right);
        for (left, sums) in left.iter().zip(sums) {
            V::row_step(sums, left.add(at), &right);
        }
    }
}

/// Adds, rectifies, masks and stores the sums of a tile.
///
/// # Safety
/// As [`run`].
#[inline(always)]
pub(crate) unsafe fn finish<
    V: Access<S> + Access<S::Real>,
    S: Stored,
    const ROWS: usize,
    const VECTORS: usize,
    const EDGE: bool,
>(
    tile: &Tile<S>,
    mut sums: [[V; VECTORS]; ROWS],
) {
    // SAFETY: the caller of `run` vouches for the pointers.
    unsafe {
        if !tile.bias.is_null() {
            for v in 0..VECTORS {
                let bias = load::<V, S::Real, EDGE>(tile.bias, v, tile.columns);
                for sums in &mut sums {
                    sums[v] = sums[v].add(bias);
                }
            }
        }
        match tile.added {
            Added::Nothing => {}
            Added::Stored { from, stride, width } => add_rows(&mut sums, from, stride, width),
            Added::Real { from, stride, width } => add_rows(&mut sums, from, stride, width),
        }
        let stride = tile.target_stride;
        if tile.accumulate {
            match tile.target {
                Target::Stored(to) => add_rows(&mut sums, to.cast_const(), stride, tile.columns),
                Target::Real(to) => add_rows(&mut sums, to.cast_const(), stride, tile.columns),
            }
        }
        if tile.relu {
            for sums in &mut sums {
                for sum in sums {
                    *sum = sum.relu();
                }
            }
        }
        if !tile.mask.is_null() {
            for (i, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    let row = tile.mask.add(i * tile.mask_stride);
                    *sum = sum.zero_where_off(load::<V, S, EDGE>(row, v, tile.columns));
                }
            }
        }
        match tile.target {
            Target::Stored(to) => store_rows::<V, S, ROWS, VECTORS, EDGE>(&sums, to, stride, tile.columns),
            Target::Real(to) => {
                store_rows::<V, S::Real, ROWS, VECTORS, EDGE>(&sums, to, stride, tile.columns);
            }
        }
    }
}

/// Columns of register `v` that lie within the first `columns`.
#[inline(always)]
fn part(v: usize, lanes: usize, columns: usize) -> usize {
    columns.saturating_sub(v * lanes).min(lanes)
}

#[inline(always)]
unsafe fn load<V: Access<T>, T, const EDGE: bool>(row: *const T, v: usize, columns: usize) -> V {
    // SAFETY: the caller of `run` vouches for the pointers; an empty part is not read.
    unsafe {
        if EDGE {
            V::load_first(row.wrapping_add(v * V::LANES), part(v, V::LANES, columns))
        } else {
            V::load(row.add(v * V::LANES))
        }
    }
}

#[inline(always)]
unsafe fn add_rows<V: Access<T>, T, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[V; VECTORS]; ROWS],
    from: *const T,
    stride: usize,
    width: usize,
) {
    // SAFETY: the caller of `run` vouches for `width` values a row; an empty part is not read.
    unsafe {
        for v in 0..VECTORS {
            let count = part(v, V::LANES, width);
            if count == V::LANES {
                for (i, sums) in sums.iter_mut().enumerate() {
                    sums[v] = sums[v].add(V::load(from.add(i * stride + v * V::LANES)));
                }
            } else if count > 0 {
                for (i, sums) in sums.iter_mut().enumerate() {
                    sums[v] = sums[v].add(V::load_first(from.add(i * stride + v * V::LANES), count));
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn store_rows<V: Access<T>, T, const ROWS: usize, const VECTORS: usize, const EDGE: bool>(
    sums: &[[V; VECTORS]; ROWS],
    to: *mut T,
    stride: usize,
    columns: usize,
) {
    // SAFETY: the caller of `run` vouches for `columns` values a row; an empty part is not written.
    unsafe {
        for (i, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let to = to.wrapping_add(i * stride + v * V::LANES);
                if EDGE { sum.store_first(to, part(v, V::LANES, columns)) } else { sum.store(to) }
            }
        }
    }
}
