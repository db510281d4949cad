//! Products of matrices, with what follows a product done on the way out of the registers.
//!
//! The left factor is read as it lies in memory, row by row (what is kept in fewer bits than it is multiplied in, a few
//! rows at a time, widened); the right one, which many rows meet, is packed once into panels of a few registers' width. A tile of a few rows times a panel stays in registers over the whole inner
//! dimension, is finished there (bias, addition, ReLU, mask) and stored once, in the type that maps are kept in.
//!
//! Equal shapes give equal bits on one kernel. Between kernels, sums differ in rounding.

#[cfg(target_arch = "x86_64")]
mod amx;
mod room;
mod table;
mod tile;

use std::any::{TypeId, type_name};
use std::{ptr, slice};

use room::with_room;
use table::{MatrixUnit, Table, Tiles};
pub use table::{TableRef, Tabled};
use tile::{Added, Inner, Target, Tile};

use crate::winograd::Transforms;
use crate::{Bf16, Kernel, Stored, transpose};

/// Rows that are dense in themselves: `rows` of `width` values, `stride` apart.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "the number of rows is called rows")]
pub struct Rows<'a, S> {
    data: &'a [S],
    stride: usize,
    rows: usize,
    width: usize,
}

impl<'a, S> Rows<'a, S> {
    /// Neighbouring rows of `width` values (at least 1).
    ///
    /// # Panics
    /// If `data` are no whole rows.
    pub fn new(data: &'a [S], width: usize) -> Self {
        assert_eq!(data.len() % width, 0, "rows of {width} values");
        Self { data, stride: width, rows: data.len() / width, width }
    }

    /// The first `width` of every `stride` values; the last row may end after `width`.
    ///
    /// # Panics
    /// If `width` is 0 or above `stride`.
    pub fn strided(data: &'a [S], stride: usize, width: usize) -> Self {
        assert!(0 < width && width <= stride, "rows of {width} values, {stride} apart");
        Self { data, stride, rows: (data.len() + stride - width) / stride, width }
    }

    /// Number of rows.
    pub fn len(self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(self) -> bool {
        self.rows == 0
    }

    /// Values a row.
    pub fn width(self) -> usize {
        self.width
    }

    #[inline(always)]
    fn row(self, index: usize) -> &'a [S] {
        &self.data[index * self.stride..][..self.width]
    }
}

/// Rows that are put together from several places: `runs` stretches of `run` values each, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Windows<'a, S> {
    data: &'a [S],
    offsets: &'a [usize],
    runs: usize,
    run: usize,
}

impl<'a, S> Windows<'a, S> {
    /// Rows of `runs` stretches of `run` values in `data`, which begin at `offsets`, `[rows, runs]`.
    ///
    /// # Panics
    /// If `offsets` are no whole rows, or a stretch doesn't lie within `data`.
    pub fn new(data: &'a [S], offsets: &'a [usize], [runs, run]: [usize; 2]) -> Self {
        assert_eq!(offsets.len() % runs, 0, "rows of {runs} stretches");
        // A maximum takes no branch, and every row of every product is seen.
        let most = offsets.iter().max().map_or(Some(0), |most| most.checked_add(run));
        assert!(most.is_some_and(|most| most <= data.len()), "a stretch beyond the data");
        Self { data, offsets, runs, run }
    }
}

/// A left factor's rows.
#[derive(Debug, Clone, Copy)]
pub enum Left<'a, S> {
    /// As they lie in memory.
    Rows(Rows<'a, S>),
    /// Put together. Stretches must be whole steps of a product, so of an even length.
    Windows(Windows<'a, S>),
}

impl<'a, S> From<Rows<'a, S>> for Left<'a, S> {
    fn from(rows: Rows<'a, S>) -> Self {
        Self::Rows(rows)
    }
}

impl<'a, S: Copy> Left<'a, S> {
    #[inline(always)]
    fn rows(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.rows,
            Self::Windows(windows) => windows.offsets.len() / windows.runs,
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.width,
            Self::Windows(windows) => windows.runs * windows.run,
        }
    }

    /// Length of the stretches that a row is made of.
    #[inline(always)]
    fn run(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.width,
            Self::Windows(windows) => windows.run,
        }
    }

    /// Stretch number `run` of a row.
    #[inline(always)]
    fn stretch(&self, row: usize, run: usize) -> &'a [S] {
        match self {
            Self::Rows(rows) => rows.row(row),
            Self::Windows(windows) => {
                &windows.data[windows.offsets[row * windows.runs + run]..][..windows.run]
            }
        }
    }

    /// What a tile sees of it from `row` on; `right` is the whole panel.
    fn inner(&self, row: usize, right: &[S], right_stride: usize) -> Inner<S> {
        let right = right.as_ptr();
        match self {
            Self::Rows(rows) => Inner {
                left: rows.data[row * rows.stride..].as_ptr(),
                left_stride: rows.stride,
                offsets: ptr::null(),
                runs: 1,
                depth: rows.width,
                right,
                right_stride,
            },
            Self::Windows(windows) => Inner {
                left: windows.data.as_ptr(),
                left_stride: 0,
                offsets: windows.offsets[row * windows.runs..].as_ptr(),
                runs: windows.runs,
                depth: windows.run,
                right,
                right_stride,
            },
        }
    }
}

impl<'a, S: Stored> Left<'a, S> {
    /// The same rows as what they are packed as, for types that are packed as they are.
    fn as_packed(&self) -> Left<'a, S::Packed> {
        match *self {
            Self::Rows(Rows { data, stride, rows, width }) => {
                Left::Rows(Rows { data: as_packed(data), stride, rows, width })
            }
            Self::Windows(Windows { data, offsets, runs, run }) => {
                Left::Windows(Windows { data: as_packed(data), offsets, runs, run })
            }
        }
    }
}

/// The same values; see [`Left::as_packed`].
fn as_packed<S: Stored>(values: &[S]) -> &[S::Packed] {
    assert_eq!(TypeId::of::<S>(), TypeId::of::<S::Packed>(), "values that are packed as they are");
    // SAFETY: the types are the same.
    unsafe { slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// A right factor `[inner, n]` as it lies in memory.
#[derive(Debug, Clone, Copy)]
pub enum Right<'a, S> {
    /// `[inner, n]`
    Rows(Rows<'a, S>),
    /// `[n, inner]`: the factor's columns.
    Columns(Rows<'a, S>),
}

impl<S> Right<'_, S> {
    /// `(inner, n)`
    fn shape(&self) -> (usize, usize) {
        match self {
            Self::Rows(rows) => (rows.rows, rows.width),
            Self::Columns(rows) => (rows.width, rows.rows),
        }
    }
}

/// A product's two factors.
#[derive(Debug, Clone, Copy)]
pub struct Factor<'a, S: Stored> {
    /// `[rows, inner]`
    pub left: Left<'a, S>,
    /// `[inner, n]`, packed by [`Gemm::pack`].
    pub right: &'a [S::Packed],
}

/// What is added to a product, element by element. Columns beyond its width get nothing.
#[derive(Debug, Clone, Copy)]
pub enum Addend<'a, S: Stored> {
    /// As maps are kept.
    Stored(Rows<'a, S>),
    /// As sums are computed.
    Real(Rows<'a, S::Real>),
}

/// What happens to a product before it is stored, in this order.
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a, S: Stored> {
    /// `[n]`, added to every row.
    pub bias: Option<&'a [S::Real]>,
    /// Added element by element.
    pub add: Option<Addend<'a, S>>,
    /// Whether the destination's old values are added.
    pub accumulate: bool,
    /// Whether negative values become zero (NaN stays).
    pub relu: bool,
    /// `[rows, n]`: where this is zero or less, the result is zero.
    pub mask: Option<Rows<'a, S>>,
}

impl<S: Stored> Default for Finish<'_, S> {
    fn default() -> Self {
        Self { bias: None, add: None, accumulate: false, relu: false, mask: None }
    }
}

/// Where a product goes: dense rows of `n` values.
#[derive(Debug)]
pub enum Destination<'a, S: Stored> {
    /// As maps are kept.
    Stored(&'a mut [S]),
    /// As sums are computed.
    Real(&'a mut [S::Real]),
}

impl<S: Stored> Destination<'_, S> {
    fn len(&self) -> usize {
        match self {
            Self::Stored(values) => values.len(),
            Self::Real(values) => values.len(),
        }
    }
}

/// The products of one kernel for one number type; see the module page.
#[derive(Clone, Copy)]
pub struct Gemm<S: Stored> {
    kernel: Kernel,
    table: &'static Table<S>,
    /// The same kernel's for what factors are packed as.
    packing: &'static Table<S::Packed>,
}

impl<S: Stored> std::fmt::Debug for Gemm<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gemm").field("columns", &self.table.columns).finish_non_exhaustive()
    }
}

impl<S: Stored> Gemm<S> {
    /// The products of `kernel`.
    ///
    /// # Panics
    /// If this processor doesn't support it, or it has no products of this type; see [`Gemm::exists`].
    pub fn new(kernel: Kernel) -> Self {
        let (table, packing) = (S::table(kernel), S::Packed::table(kernel));
        match table.zip(packing) {
            Some((TableRef(table), TableRef(packing))) => Self { kernel, table, packing },
            None => panic!("products of {} by the kernel {kernel} on this processor", type_name::<S>()),
        }
    }

    /// Whether `kernel` has products of this type on this processor.
    pub fn exists(kernel: Kernel) -> bool {
        S::table(kernel).is_some()
    }

    /// The products of packed values: those of factors that are packed on both sides, and what packs right factors.
    pub fn packing(self) -> Gemm<S::Packed> {
        Gemm { kernel: self.kernel, table: self.packing, packing: self.packing }
    }

    /// The kernel's transforms of tiles; see [`crate::winograd`].
    pub(crate) fn transforms(self, index: usize) -> &'static Transforms<S> {
        &self.table.transforms[index]
    }

    /// Columns of a panel of a packed right factor.
    pub fn panel_columns(self) -> usize {
        self.table.columns
    }

    /// Number of values of a packed right factor `[inner, n]`.
    pub fn packed_len(self, inner: usize, n: usize) -> usize {
        n.div_ceil(self.table.columns) * self.panel_len(inner)
    }

    /// Number of values of one panel of a packed right factor. Panels can be packed in parallel.
    pub fn panel_len(self, inner: usize) -> usize {
        self.padded(inner) * self.table.columns
    }

    /// Inner values of a packed factor: whole steps, the last one padded with zeros.
    fn padded(self, inner: usize) -> usize {
        inner.next_multiple_of(self.table.unit.as_ref().map_or(self.table.depth, |unit| unit.step))
    }

    /// `to = finish(sum over factors of left right)`, `[rows, n]`. One or two factors.
    ///
    /// # Panics
    /// If the sizes don't fit each other.
    pub fn multiply(self, factors: &[Factor<S>], n: usize, finish: Finish<S>, mut to: Destination<S>) {
        assert!(matches!(factors.len(), 1 | 2), "one or two factors");
        let (rows, count) = (factors[0].left.rows(), factors.len());
        assert_eq!(to.len(), rows * n, "a {rows}x{n} product");
        for factor in factors {
            let (width, run) = (factor.left.width(), factor.left.run());
            assert_eq!(factor.left.rows(), rows, "rows of a left factor");
            assert!(run == width || run.is_multiple_of(self.table.depth), "stretches of whole steps");
            assert_eq!(factor.right.len(), self.packed_len(width, n), "a packed right factor");
        }
        check_finish(&finish, rows, n);
        let columns = self.table.columns;
        // The part of the product from a row and a panel on.
        let mut tile = |[row, tiles]: [usize; 2], [panel, used]: [usize; 2], factors: [Inner<_>; 2]| {
            let first = panel * columns;
            Tile {
                tiles,
                factors,
                count,
                columns: used,
                bias: finish.bias.map_or(ptr::null(), |bias| bias[first..].as_ptr()),
                added: added(finish.add, row, first),
                accumulate: finish.accumulate,
                relu: finish.relu,
                mask: finish.mask.map_or(ptr::null(), |mask| mask.data[row * mask.stride + first..].as_ptr()),
                mask_stride: finish.mask.map_or(0, |mask| mask.stride),
                target: match &mut to {
                    Destination::Stored(to) => Target::Stored(to[row * n + first..].as_mut_ptr()),
                    Destination::Real(to) => Target::Real(to[row * n + first..].as_mut_ptr()),
                },
                target_stride: n,
            }
        };
        // SAFETY (all calls): the table is that of a kernel that the processor supports. Tiles end with the last row,
        // `first + used <= n`, and the sizes of all that the tile points to were checked above.
        let inner = |left: &Left<S::Packed>, at: usize, row: usize, panel: usize| {
            let panels = &factors[at].right[panel * self.panel_len(left.width())..];
            left.inner(row, panels, columns * self.table.depth)
        };
        // The tiles of some rows, from row `first` on.
        let mut multiply = |lefts: [Left<S::Packed>; 2], first: usize| {
            for panel in 0..n.div_ceil(columns) {
                let used = columns.min(n - panel * columns);
                let width = Tiles::narrowest(self.table.tiles, used);
                width.each_height(lefts[0].rows(), used, |row, tiles, function| {
                    let inners = [inner(&lefts[0], 0, row, panel), inner(&lefts[1], count - 1, row, panel)];
                    unsafe { function(&tile([first + row, tiles], [panel, used], inners)) };
                });
            }
        };
        // One factor stands for both where there is one.
        let [first, second] = [&factors[0].left, &factors[count - 1].left];
        if let Some(widen) = self.table.widen {
            let [width, second_width] = [first, second].map(Left::width);
            with_room(WIDE_ROWS * (width + second_width), |room: &mut [S::Packed]| {
                let (room, second_room) = room.split_at_mut(WIDE_ROWS * width);
                for block in (0..rows).step_by(WIDE_ROWS) {
                    let part = block..rows.min(block + WIDE_ROWS);
                    let (values, second_values) =
                        (&mut room[..part.len() * width], &mut second_room[..part.len() * second_width]);
                    unsafe { widen(*first, part.clone(), values) };
                    if count == 2 {
                        unsafe { widen(*second, part, second_values) };
                    }
                    let wide = Rows::new(values, width);
                    let second = if count == 2 { Rows::new(second_values, second_width) } else { wide };
                    multiply([wide.into(), second.into()], block);
                }
            });
            return;
        }
        let lefts = [first, second].map(Left::as_packed);
        let length: usize = factors.iter().map(|factor| self.padded(factor.left.width())).sum();
        match &self.table.unit {
            Some(unit) if length <= unit.most_steps * unit.step => {
                if rows > 0 && n > 0 {
                    let inners = [inner(&lefts[0], 0, 0, 0), inner(&lefts[1], count - 1, 0, 0)];
                    let _in_use = UnitInUse::begin(unit);
                    unsafe { (unit.multiply)(&tile([0, rows], [0, n], inners)) };
                }
            }
            _ => multiply(lefts, 0),
        }
    }

    /// Number of values of the scratch that [`Gemm::multiply_transposed`] works in.
    pub fn transposed_scratch(self, rows: usize, left_width: usize) -> usize {
        let Table { depth, columns, .. } = *self.table;
        let padded = self.padded(rows);
        let left = match &self.table.unit {
            Some(unit) => LINE + left_width.next_multiple_of(unit.rows) * padded,
            None if depth == 1 && self.table.widen.is_none() => 0,
            None => padded * left_width,
        };
        left + padded * columns
    }

    /// `to = left^T right`, or added to it: `[left.width, right.width]`, summed over the rows.
    ///
    /// # Panics
    /// If the sizes don't fit each other, or `scratch` is shorter than [`Gemm::transposed_scratch`].
    pub fn multiply_transposed(
        self,
        left: Rows<S>,
        right: Left<S>,
        to: &mut [S::Real],
        accumulate: bool,
        scratch: &mut [S::Packed],
    ) {
        let Table { depth, columns, .. } = *self.table;
        let (rows, n) = (left.rows, right.width());
        assert_eq!(right.rows(), rows, "rows of the right factor");
        assert_eq!(to.len(), left.width * n, "a {}x{n} product", left.width);
        let padded = self.padded(rows);
        // Where the left factor's columns are, values between them, and values between steps in one of them.
        let (left_data, left_column, left_stride, rest) = if let Some(unit) = &self.table.unit {
            let (_, scratch) = scratch.split_at_mut(scratch.as_ptr().align_offset(LINE_BYTES).min(LINE));
            let (left_scratch, rest) = scratch.split_at_mut(left.width.next_multiple_of(unit.rows) * padded);
            // SAFETY: the table is that of a kernel that the processor supports.
            unsafe { (unit.transpose)(left, left_scratch) };
            (left_scratch.as_ptr(), 0, 0, rest)
        } else if let Some(widen) = self.table.widen {
            let (left_scratch, rest) = scratch.split_at_mut(rows * left.width);
            // SAFETY: as above.
            unsafe { widen(left.into(), 0..rows, left_scratch) };
            (left_scratch.as_ptr(), 1, left.width, rest)
        } else if depth == 1 {
            (as_packed(left.data).as_ptr(), 1, left.stride, scratch)
        } else {
            let (left_scratch, rest) = scratch.split_at_mut(padded * left.width);
            self.interleave_rows(left.into(), 0, left.width, left_scratch, left.width);
            (left_scratch.as_ptr(), depth, left.width * depth, rest)
        };
        let panel_scratch = &mut rest[..padded * columns];
        panel_scratch[rows.next_multiple_of(depth) * columns..].fill(S::Packed::default());
        let _in_use = self.table.unit.as_ref().map(UnitInUse::begin);
        for panel in 0..n.div_ceil(columns) {
            let first = panel * columns;
            let used = columns.min(n - first);
            let width = Tiles::narrowest(self.table.transposed, used);
            let across = if self.table.unit.is_some() { columns } else { width.columns };
            // Single values that fill tiles can be read where they are, if their rows are near each other.
            let in_place = match right {
                Left::Rows(rows) if depth == 1 && used == across && self.table.widen.is_none() => {
                    Some(rows).filter(|rows| rows.stride * size_of::<S>() <= NEAR_BYTES)
                }
                _ => None,
            };
            let (right_data, right_stride) = if let Some(rows) = in_place {
                (as_packed(&rows.data[first..]).as_ptr(), rows.stride)
            } else {
                let packed = &mut panel_scratch[..rows.next_multiple_of(depth) * across];
                self.interleave_rows(right, first, used, packed, across);
                (panel_scratch.as_ptr(), across * depth)
            };
            let mut tile = |row: usize, tiles: usize| {
                let inner = Inner {
                    left: left_data.wrapping_add(row * left_column),
                    left_stride,
                    offsets: ptr::null(),
                    runs: 1,
                    depth: rows,
                    right: right_data,
                    right_stride,
                };
                Tile {
                    tiles,
                    factors: [inner; 2],
                    count: 1,
                    columns: used,
                    bias: ptr::null(),
                    added: Added::Nothing,
                    accumulate,
                    relu: false,
                    mask: ptr::null(),
                    mask_stride: 0,
                    target: Target::Real(to[row * n + first..].as_mut_ptr()),
                    target_stride: n,
                }
            };
            // SAFETY (both calls): the table is that of a kernel that the processor supports. Tiles end with the left
            // factor's last column, and `first + used <= n`; both factors have `rows` rows, packed ones whole steps.
            if let Some(unit) = &self.table.unit {
                unsafe { (unit.multiply_packed)(&tile(0, left.width)) };
                continue;
            }
            width.each_height(left.width, used, |row, tiles, function| {
                unsafe { function(&tile(row, tiles)) };
            });
        }
    }

    /// Packs columns `first..first + used` of `rows` into steps of `to_width` columns, padded with zeros.
    fn interleave_rows(
        self,
        rows: Left<S>,
        first: usize,
        used: usize,
        to: &mut [S::Packed],
        to_width: usize,
    ) {
        // SAFETY: the table is that of a kernel that the processor supports.
        unsafe { (self.table.interleave)(rows, first..first + used, to, to_width) }
    }
}

/// What packs right factors. Packed values are what they are made of, so that nothing is rounded here.
impl<P: Stored<Packed = P>> Gemm<P> {
    /// Packs panel number `panel` of a right factor.
    ///
    /// # Panics
    /// If `packed` is not [`Gemm::panel_len`] long.
    pub fn pack_panel(self, panel: usize, right: Right<P>, packed: &mut [P]) {
        let Table { depth, columns, .. } = *self.table;
        let (inner, n) = right.shape();
        assert_eq!(packed.len(), self.panel_len(inner), "a packed panel");
        let rows = match right {
            Right::Rows(rows) => return self.pack_panel_rows(panel, [0, inner], rows, packed),
            Right::Columns(rows) => rows,
        };
        let first = panel * columns;
        let part = [first, n.saturating_sub(first).min(columns)];
        let (packed, padding) = packed.split_at_mut(inner.next_multiple_of(depth) * columns);
        padding.fill(P::default());
        if depth == 1 {
            interleave_columns::<P, 1>(self.kernel, rows, part, packed, columns);
        } else {
            interleave_columns::<P, 2>(self.kernel, rows, part, packed, columns);
        }
    }

    /// Packs the rows of panel number `panel` from row `first` on, of a right factor with `inner` rows of which `rows`
    /// are some: factors that are made a few rows at a time.
    ///
    /// # Panics
    /// If `packed` is not [`Gemm::panel_len`] long, the rows are not among the factor's, or they begin or end within a
    /// step of [`Gemm::row_step`] rows other than the last.
    pub fn pack_panel_rows(self, panel: usize, [first, inner]: [usize; 2], rows: Rows<P>, packed: &mut [P]) {
        let Table { depth, columns, .. } = *self.table;
        let end = first + rows.len();
        assert_eq!(packed.len(), self.panel_len(inner), "a packed panel");
        assert!(end <= inner, "rows {first} to {end} of {inner}");
        assert!(first.is_multiple_of(depth) && (end == inner || end.is_multiple_of(depth)), "whole steps");
        let column = panel * columns;
        let used = rows.width().saturating_sub(column).min(columns);
        let (packed, padding) =
            packed[first * columns..].split_at_mut(rows.len().next_multiple_of(depth) * columns);
        if end == inner {
            padding.fill(P::default());
        }
        self.interleave_rows(rows.into(), column, used, packed, columns);
    }

    /// Rows of a right factor that [`Gemm::pack_panel_rows`] doesn't tear apart.
    pub fn row_step(self) -> usize {
        self.table.depth
    }

    /// Packs a right factor.
    ///
    /// # Panics
    /// If `packed` is not [`Gemm::packed_len`] long.
    pub fn pack(self, right: Right<P>, packed: &mut [P]) {
        let (inner, n) = right.shape();
        assert_eq!(packed.len(), self.packed_len(inner, n), "a packed factor");
        for (panel, packed) in packed.chunks_exact_mut(self.panel_len(inner)).enumerate() {
            self.pack_panel(panel, right, packed);
        }
    }
}

/// A matrix unit from its `begin` to its `end`, which comes even if a product panics.
struct UnitInUse<S: Stored>(&'static MatrixUnit<S>);

impl<S: Stored> UnitInUse<S> {
    fn begin(unit: &'static MatrixUnit<S>) -> Self {
        // SAFETY: the unit is of a table, so of a kernel that the processor supports.
        unsafe { (unit.begin)() };
        Self(unit)
    }
}

impl<S: Stored> Drop for UnitInUse<S> {
    fn drop(&mut self) {
        // SAFETY: as above; it began when this was made.
        unsafe { (self.0.end)() };
    }
}

/// Packs rows `first..first + used` of `rows` as the columns of a panel of `width`, padded with zeros; `DEPTH` values
/// of a row stay together.
fn interleave_columns<S: Stored, const DEPTH: usize>(
    kernel: Kernel,
    rows: Rows<S>,
    [first, used]: [usize; 2],
    packed: &mut [S],
    width: usize,
) {
    let (steps, stride) = (rows.width / DEPTH, width * DEPTH);
    let from = &rows.data[(first * rows.stride).min(rows.data.len())..];
    transpose::<S, DEPTH>(kernel, [used, steps], (from, rows.stride), (packed, stride));
    if used < width {
        packed.chunks_exact_mut(stride).for_each(|step| step[used * DEPTH..].fill(S::default()));
    }
    let rest = rows.width % DEPTH;
    if rest > 0 {
        for (column, to) in packed[steps * stride..].chunks_exact_mut(DEPTH).take(used).enumerate() {
            to.fill(S::default());
            to[..rest].copy_from_slice(&rows.row(first + column)[steps * DEPTH..]);
        }
    }
}

/// A line of the cache, and how many bf16 it holds, which alone have a matrix unit.
const LINE_BYTES: usize = 64;
const LINE: usize = LINE_BYTES / size_of::<Bf16>();

/// Left rows that are widened at a time, so that they stay in the cache while they meet all panels. Whole tiles of every
/// kernel.
const WIDE_ROWS: usize = 60;

/// Rows further apart than this are copied together before they are read again and again.
const NEAR_BYTES: usize = 512;

fn check_finish<S: Stored>(finish: &Finish<S>, rows: usize, n: usize) {
    if let Some(bias) = finish.bias {
        assert_eq!(bias.len(), n, "a bias");
    }
    let (added_rows, width) = match finish.add {
        None => (rows, n),
        Some(Addend::Stored(add)) => (add.rows, add.width),
        Some(Addend::Real(add)) => (add.rows, add.width),
    };
    assert!(added_rows == rows && width <= n, "an addend of {added_rows}x{width} for {rows}x{n}");
    if let Some(mask) = finish.mask {
        assert!(
            mask.rows == rows && mask.width == n,
            "a mask of {}x{} for {rows}x{n}",
            mask.rows,
            mask.width
        );
    }
}

/// The addend as the tile at (`row`, `column`) sees it.
fn added<S: Stored>(add: Option<Addend<S>>, row: usize, column: usize) -> Added<S> {
    match add {
        Some(Addend::Stored(add)) if column < add.width => Added::Stored {
            from: add.data[row * add.stride + column..].as_ptr(),
            stride: add.stride,
            width: add.width - column,
        },
        Some(Addend::Real(add)) if column < add.width => Added::Real {
            from: add.data[row * add.stride + column..].as_ptr(),
            stride: add.stride,
            width: add.width - column,
        },
        _ => Added::Nothing,
    }
}

#[cfg(test)]
mod tests;
