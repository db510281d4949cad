//! Products of bf16 by a matrix unit: blocks of 32 rows times a panel, in four tiles of sums.
//!
//! A right panel lies in memory as tiles want it: a tile's row is a pair of inner values of sixteen columns, 64 of the
//! panel's 128 bytes. Left rows are read where they lie if they are evenly spaced, and copied together, a tile at a time,
//! otherwise. What is left of a stretch after whole steps is copied and padded with zeros. Sums leave the unit through
//! memory, and are finished in registers like those of any other kernel.

use std::arch::x86_64::{
    __m512i, _mm256_maskz_loadu_epi16, _mm512_cvtepu16_epi32, _mm512_loadu_si512, _mm512_maskz_loadu_epi16,
    _mm512_or_si512, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_slli_epi32, _mm512_storeu_si512,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::mem::MaybeUninit;
use std::{array, slice};

use super::Rows;
use super::table::{MatrixUnit, Table, TileFunction};
use super::tile::{Inner, Tile, finish};
use crate::Bf16;
use crate::simd::amx::{ROW_BYTES, Shapes, TILE_ROWS, TileUnit};
use crate::simd::{Access, Products};

/// Inner values that one product of tiles takes.
const STEP: usize = ROW_BYTES / size_of::<Bf16>();
/// Rows of a block: two tiles, one below the other.
const BLOCK: usize = 2 * TILE_ROWS;
/// Columns of a panel: two tiles, side by side.
const PANEL: usize = 2 * ROW_BYTES / size_of::<f32>();
/// Bytes between the sums of neighbouring rows, and between pairs of a panel.
const PANEL_BYTES: isize = 2 * ROW_BYTES as isize;

/// Numbers of the tiles: four of sums, row by row, two of a left and two of a right factor.
mod tiles {
    pub(super) const SUMS: [u8; 4] = [0, 1, 2, 3];
    pub(super) const LEFT: [u8; 2] = [4, 5];
    pub(super) const RIGHT: [u8; 2] = [6, 7];
}
use tiles::{LEFT, RIGHT, SUMS};

/// The table of a tile unit, and of registers that its sums are finished in; `vectors` does all but products.
pub(super) const fn table<U: TileUnit, V: Products<Bf16>>(vectors: &Table<Bf16>) -> Table<Bf16> {
    assert!(V::LANES * 2 == PANEL && V::DEPTH == 2);
    // The functions take any number of rows, so to them a tile is one row high.
    let functions: &[[TileFunction<Bf16>; 2]] = &[[blocks::<U, V, false>, blocks::<U, V, true>]];
    Table {
        depth: 2,
        columns: PANEL,
        heights: &[1],
        tiles: functions,
        transposed_heights: &[1],
        transposed: functions,
        interleave: vectors.interleave,
        transforms: vectors.transforms,
        unit: Some(MatrixUnit { begin: begin::<U>, end: end::<U>, transpose }),
    }
}

/// # Safety
/// The processor has the instructions of `U`.
unsafe fn begin<U: TileUnit>() {
    // SAFETY: the caller's contract.
    unsafe { U::configure(&Shapes::WHOLE) }
}

/// # Safety
/// The processor has the instructions of `U`; tiles are configured.
unsafe fn end<U: TileUnit>() {
    // SAFETY: the caller's contract.
    unsafe { U::release() }
}

/// What tiles are written to and put together in: each part is written before it is read, so that calls for few rows
/// need not fill all of it first.
#[repr(C, align(64))]
struct Buffers {
    sums: MaybeUninit<[[f32; PANEL]; BLOCK]>,
    left: [LeftBuffer; 2],
    right: MaybeUninit<[[Bf16; 2 * PANEL]; STEP / 2]>,
}

/// A left tile.
type LeftBuffer = MaybeUninit<[[Bf16; STEP]; TILE_ROWS]>;

/// Computes `tile.tiles` rows.
///
/// # Safety
/// As [`super::tile::run`]; the processor has AVX-512 with bf16 and the instructions of `U`, and tiles are configured.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")]
unsafe fn blocks<U: TileUnit, V: Products<Bf16>, const EDGE: bool>(tile: &Tile<Bf16>) {
    let mut buffers = Buffers {
        sums: MaybeUninit::uninit(),
        left: [MaybeUninit::uninit(); 2],
        right: MaybeUninit::uninit(),
    };
    let mut tile = *tile;
    while tile.tiles > 0 {
        let rows = tile.tiles.min(BLOCK);
        // SAFETY: the caller's contract; `rows` of its rows are left, whose sums `sum_block` writes.
        unsafe {
            if rows > TILE_ROWS {
                sum_block::<U, true>(&tile, rows, &mut buffers);
            } else {
                sum_block::<U, false>(&tile, rows, &mut buffers);
            }
            let mut sums = slice::from_raw_parts(buffers.sums.as_ptr().cast::<[f32; PANEL]>(), rows);
            while !sums.is_empty() {
                let finished = match sums.len() {
                    8.. => finish_rows::<V, 8, EDGE>(&mut tile, sums),
                    4.. => finish_rows::<V, 4, EDGE>(&mut tile, sums),
                    2.. => finish_rows::<V, 2, EDGE>(&mut tile, sums),
                    _ => finish_rows::<V, 1, EDGE>(&mut tile, sums),
                };
                sums = &sums[finished..];
            }
        }
        tile.tiles -= rows;
    }
}

/// Writes the sums of the first `rows` of the tile's rows to `buffers.sums`; `TALL` says that they need both tiles.
///
/// # Safety
/// As [`blocks`].
#[inline(always)]
unsafe fn sum_block<U: TileUnit, const TALL: bool>(tile: &Tile<Bf16>, rows: usize, buffers: &mut Buffers) {
    // SAFETY: the caller's contract; the buffer has room for four tiles.
    unsafe {
        U::zero::<{ SUMS[0] }>();
        U::zero::<{ SUMS[1] }>();
        if TALL {
            U::zero::<{ SUMS[2] }>();
            U::zero::<{ SUMS[3] }>();
        }
        for inner in tile.factors.iter().take(tile.count) {
            let mut right = inner.right;
            for run in 0..inner.runs {
                right = add_run::<U, TALL>(inner, run, rows, right, buffers);
            }
        }
        let sums: *mut u8 = buffers.sums.as_mut_ptr().cast();
        U::store::<{ SUMS[0] }>(sums, PANEL_BYTES);
        U::store::<{ SUMS[1] }>(sums.add(ROW_BYTES), PANEL_BYTES);
        if TALL {
            let sums = sums.offset(TILE_ROWS as isize * PANEL_BYTES);
            U::store::<{ SUMS[2] }>(sums, PANEL_BYTES);
            U::store::<{ SUMS[3] }>(sums.add(ROW_BYTES), PANEL_BYTES);
        }
    }
}

/// Adds the products of a run; returns where the next one's right values are.
///
/// # Safety
/// As [`blocks`].
#[inline(always)]
unsafe fn add_run<U: TileUnit, const TALL: bool>(
    inner: &Inner<Bf16>,
    run: usize,
    rows: usize,
    mut right: *const Bf16,
    buffers: &mut Buffers,
) -> *const Bf16 {
    let (steps, rest) = (inner.depth / STEP, inner.depth % STEP);
    let [upper_copy, lower_copy] = &mut buffers.left;
    // SAFETY: the caller's contract: `inner.depth` values of every row, and as many steps of the panel.
    unsafe {
        let upper = LeftRows::new(inner, run, 0, rows);
        let lower = if TALL { LeftRows::new(inner, run, TILE_ROWS, rows) } else { upper };
        for step in 0..steps {
            let upper = upper.step(step * STEP, upper_copy);
            let lower = if TALL { lower.step(step * STEP, lower_copy) } else { upper };
            multiply_tiles::<U, TALL>([upper, lower], right);
            right = right.add(STEP * PANEL);
        }
        if rest > 0 {
            // Zeros on both sides: what lies beyond may be a NaN, or not there.
            let pairs = rest.div_ceil(2);
            let copy: *mut [Bf16; 2 * PANEL] = buffers.right.as_mut_ptr().cast();
            copy.copy_from_nonoverlapping(right.cast(), pairs);
            copy.add(pairs).write_bytes(0, STEP / 2 - pairs);
            let upper = upper.rest(steps * STEP, rest, upper_copy);
            let lower = if TALL { lower.rest(steps * STEP, rest, lower_copy) } else { upper };
            multiply_tiles::<U, TALL>([upper, lower], copy.cast());
            right = right.add(2 * pairs * PANEL);
        }
        right
    }
}

/// Adds the products of a step to all sums.
///
/// # Safety
/// As [`blocks`]; `left` and `right` lead to whole tiles.
#[inline(always)]
unsafe fn multiply_tiles<U: TileUnit, const TALL: bool>(left: [LeftTile; 2], right: *const Bf16) {
    let right: *const u8 = right.cast();
    // SAFETY: the caller's contract. Each product comes as soon as its factors are there.
    unsafe {
        U::load::<{ LEFT[0] }>(left[0].from, left[0].stride);
        U::load::<{ RIGHT[0] }>(right, PANEL_BYTES);
        U::multiply_add::<{ SUMS[0] }, { LEFT[0] }, { RIGHT[0] }>();
        U::load::<{ RIGHT[1] }>(right.add(ROW_BYTES), PANEL_BYTES);
        U::multiply_add::<{ SUMS[1] }, { LEFT[0] }, { RIGHT[1] }>();
        if TALL {
            U::load::<{ LEFT[1] }>(left[1].from, left[1].stride);
            U::multiply_add::<{ SUMS[2] }, { LEFT[1] }, { RIGHT[0] }>();
            U::multiply_add::<{ SUMS[3] }, { LEFT[1] }, { RIGHT[1] }>();
        }
    }
}

/// Sixteen rows of 64 bytes, `stride` bytes apart.
#[derive(Clone, Copy)]
struct LeftTile {
    from: *const u8,
    stride: isize,
}

/// Where the rows of a tile begin in a run of the left factor.
#[derive(Clone, Copy)]
struct LeftRows {
    rows: [*const Bf16; TILE_ROWS],
    /// Bytes between neighbours, if those are the same everywhere.
    stride: Option<isize>,
}

impl LeftRows {
    /// Sixteen rows from `first` on. Where they would go beyond `rows`, the last one is taken again: each row of a left
    /// tile leads to one row of sums, and those are not used.
    ///
    /// # Safety
    /// As [`blocks`].
    #[inline(always)]
    unsafe fn new(inner: &Inner<Bf16>, run: usize, first: usize, rows: usize) -> Self {
        // SAFETY: the caller's contract.
        let rows = array::from_fn(|row| unsafe { inner.row_start((first + row).min(rows - 1), run) });
        let gap = |row: usize| rows[row + 1].addr().wrapping_sub(rows[row].addr());
        // Without a branch, because this is asked for every run of every block.
        let uneven = (1..TILE_ROWS - 1).fold(0, |uneven, row| uneven | (gap(row) ^ gap(0)));
        Self { rows, stride: (uneven == 0).then(|| gap(0) as isize) }
    }

    /// The tile that begins `at` values into the rows.
    ///
    /// # Safety
    /// A step's values are there in every row.
    #[inline(always)]
    unsafe fn step(&self, at: usize, copy: &mut LeftBuffer) -> LeftTile {
        // SAFETY: the caller's contract.
        unsafe {
            if let Some(stride) = self.stride {
                return LeftTile { from: self.rows[0].add(at).cast(), stride };
            }
            let to: *mut __m512i = copy.as_mut_ptr().cast();
            for (i, row) in self.rows.iter().enumerate() {
                _mm512_storeu_si512(to.add(i), _mm512_loadu_si512(row.add(at).cast()));
            }
        }
        LeftTile { from: copy.as_ptr().cast(), stride: ROW_BYTES as isize }
    }

    /// The same with `count` values a row, fewer than a step, and zeros after them.
    ///
    /// # Safety
    /// `count` values are there in every row.
    #[inline(always)]
    unsafe fn rest(&self, at: usize, count: usize, copy: &mut LeftBuffer) -> LeftTile {
        let to: *mut __m512i = copy.as_mut_ptr().cast();
        for (i, row) in self.rows.iter().enumerate() {
            // SAFETY: the caller's contract; values that are masked out are not read. A register is a row of a tile.
            unsafe {
                let values = _mm512_maskz_loadu_epi16((1 << count) - 1, row.add(at).cast());
                _mm512_storeu_si512(to.add(i), values);
            }
        }
        LeftTile { from: copy.as_ptr().cast(), stride: ROW_BYTES as isize }
    }
}

/// Finishes `ROWS` rows of sums and moves the tile on; returns `ROWS`.
///
/// # Safety
/// As [`blocks`].
#[inline(always)]
unsafe fn finish_rows<V: Products<Bf16>, const ROWS: usize, const EDGE: bool>(
    tile: &mut Tile<Bf16>,
    sums: &[[f32; PANEL]],
) -> usize {
    // SAFETY: the caller's contract; a row of sums is two registers.
    unsafe {
        let mut registers = [[V::zero(); 2]; ROWS];
        for (registers, sums) in registers.iter_mut().zip(sums) {
            for (v, register) in registers.iter_mut().enumerate() {
                *register = <V as Access<f32>>::load(sums[v * V::LANES..].as_ptr());
            }
        }
        finish::<V, Bf16, ROWS, 2, EDGE>(tile, registers);
    }
    tile.advance::<false>(ROWS, 2);
    ROWS
}

/// Writes the columns of `rows` as rows that begin `stride` values apart, whole steps of them with zeros at the end.
///
/// # Safety
/// The processor has AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn transpose(rows: Rows<Bf16>, to: &mut [Bf16], stride: usize) {
    assert!(rows.len().next_multiple_of(STEP) <= stride, "rows {stride} apart");
    for first in (0..rows.len()).step_by(STEP) {
        for (block, to) in to[..rows.width() * stride].chunks_mut(TILE_ROWS * stride).enumerate() {
            let column = block * TILE_ROWS;
            let used = (rows.width() - column).min(TILE_ROWS);
            let load = |row: usize| {
                if row >= rows.len() {
                    return _mm512_setzero_si512();
                }
                let from = rows.row(row)[column..][..used].as_ptr();
                // SAFETY: the row has `used` values from there on; those that are masked out are not read.
                let values = unsafe { _mm256_maskz_loadu_epi16(((1_u32 << used) - 1) as u16, from.cast()) };
                _mm512_cvtepu16_epi32(values)
            };
            let mut pairs = array::from_fn(|pair| {
                let second = _mm512_slli_epi32::<16>(load(first + 2 * pair + 1));
                _mm512_or_si512(load(first + 2 * pair), second)
            });
            exchange(&mut pairs);
            for (to, pairs) in to.chunks_exact_mut(stride).zip(pairs) {
                // SAFETY: a register holds a step.
                unsafe { _mm512_storeu_si512(to[first..][..STEP].as_mut_ptr().cast(), pairs) };
            }
        }
    }
}

/// Exchanges lane `i` of register `j` and lane `j` of register `i`.
#[inline]
#[target_feature(enable = "avx512f")]
fn exchange(rows: &mut [__m512i; 16]) {
    // Quarters 0 and 2, and quarters 1 and 3, of both operands.
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    // A quarter of a register is four lanes. First the quarters at the same place of four registers are transposed, as
    // matrices of 4 x 4, then whole quarters change places.
    for four in rows.chunks_exact_mut(4) {
        let lower = [_mm512_unpacklo_epi32(four[0], four[1]), _mm512_unpacklo_epi32(four[2], four[3])];
        let upper = [_mm512_unpackhi_epi32(four[0], four[1]), _mm512_unpackhi_epi32(four[2], four[3])];
        four[0] = _mm512_unpacklo_epi64(lower[0], lower[1]);
        four[1] = _mm512_unpackhi_epi64(lower[0], lower[1]);
        four[2] = _mm512_unpacklo_epi64(upper[0], upper[1]);
        four[3] = _mm512_unpackhi_epi64(upper[0], upper[1]);
    }
    for first in 0..4 {
        let [p, q, r, s] = [rows[first], rows[4 + first], rows[8 + first], rows[12 + first]];
        let even = [_mm512_shuffle_i32x4::<EVEN>(p, q), _mm512_shuffle_i32x4::<EVEN>(r, s)];
        let odd = [_mm512_shuffle_i32x4::<ODD>(p, q), _mm512_shuffle_i32x4::<ODD>(r, s)];
        rows[first] = _mm512_shuffle_i32x4::<EVEN>(even[0], even[1]);
        rows[4 + first] = _mm512_shuffle_i32x4::<EVEN>(odd[0], odd[1]);
        rows[8 + first] = _mm512_shuffle_i32x4::<ODD>(even[0], even[1]);
        rows[12 + first] = _mm512_shuffle_i32x4::<ODD>(odd[0], odd[1]);
    }
}
