//! Products of bf16 by a matrix unit: blocks of 32 rows times a panel, in four tiles of sums.
//!
//! A right panel lies in memory as tiles want it: a tile's row is a pair of inner values of sixteen columns, 64 of the
//! panel's 128 bytes. A block of left rows is copied together into tiles, one after the other, and meets all panels: a
//! tile whose rows are far apart takes longer to load. Both are padded to whole steps with zeros. Sums leave
//! the unit through memory, and are finished in registers like those of any other kernel, unless nothing follows them.

use std::arch::x86_64::{
    __m512i, _mm512_cvtepu16_epi32, _mm512_loadu_si512, _mm512_mask_storeu_epi16, _mm512_maskz_loadu_epi16,
    _mm512_setzero_si512, _mm512_storeu_si512,
};
use std::mem::MaybeUninit;
use std::slice;

use super::Rows;
use super::room::with_room;
use super::table::{MatrixUnit, Table};
use super::tile::{Added, Inner, Target, Tile, finish, prefetch};
use crate::Bf16;
use crate::simd::amx::{ROW_BYTES, Shapes, TILE_ROWS, TileUnit};
use crate::simd::avx512::{exchange, load_half, load_pairs};
use crate::simd::{Access, Products};

/// Inner values that one product of tiles takes.
const STEP: usize = ROW_BYTES / size_of::<Bf16>();
/// Rows of a block: two tiles, one below the other.
const BLOCK: usize = 2 * TILE_ROWS;
/// Columns of a panel: two tiles, side by side.
const PANEL: usize = 2 * ROW_BYTES / size_of::<f32>();
/// Bytes between the sums of neighbouring rows, and between pairs of a panel.
const PANEL_BYTES: isize = 2 * ROW_BYTES as isize;
/// Values of a step of a packed block: two whole tiles.
const BLOCK_STEP: usize = BLOCK * STEP;

/// Numbers of the tiles: four of sums, row by row, two of a left and two of a right factor.
mod tiles {
    pub(super) const SUMS: [u8; 4] = [0, 1, 2, 3];
    pub(super) const LEFT: [u8; 2] = [4, 5];
    pub(super) const RIGHT: [u8; 2] = [6, 7];
}
use tiles::{LEFT, RIGHT, SUMS};

/// Steps of the longest left rows that the unit multiplies, of both factors together: 8192 values, so that a block of them
/// is half a megabyte.
const MOST_STEPS: usize = 256;

/// The table of a tile unit, and of registers that its sums are finished in; `vectors` does all but products, and those
/// of still longer rows.
pub(super) const fn table<U: TileUnit, V: Products<Bf16>>(vectors: &Table<Bf16>) -> Table<Bf16> {
    assert!(V::LANES * 2 == PANEL && V::DEPTH == 2);
    Table {
        depth: 2,
        columns: PANEL,
        tiles: vectors.tiles,
        transposed: vectors.transposed,
        interleave: vectors.interleave,
        widen: None,
        transforms: vectors.transforms,
        unit: Some(MatrixUnit {
            step: STEP,
            rows: BLOCK,
            most_steps: MOST_STEPS,
            begin: begin::<U>,
            end: end::<U>,
            multiply: multiply::<U, V>,
            transpose,
            multiply_packed: multiply_packed::<U, V>,
        }),
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

/// Computes a whole product: `tile.tiles` rows, `tile.columns` columns.
///
/// # Safety
/// As [`super::tile::run`], but for any number of columns: panels of each right factor lie one after the other. Left rows
/// are no longer than [`MOST_STEPS`]. The processor has AVX-512 with bf16 and the instructions of `U`, and tiles are configured.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")]
unsafe fn multiply<U: TileUnit, V: Products<Bf16>>(tile: &Tile<Bf16>) {
    let mut steps = [0; 2];
    for (steps, inner) in steps.iter_mut().zip(&tile.factors[..tile.count]) {
        *steps = (inner.runs * inner.depth).div_ceil(STEP);
    }
    with_room(BLOCK_STEP * (steps[0] + steps[1]), |packed| {
        let (first, second) = packed.split_at_mut(BLOCK_STEP * steps[0]);
        let mut rest = *tile;
        while rest.tiles > 0 {
            let rows = rest.tiles.min(BLOCK);
            // SAFETY: the caller's contract: so many rows are left. Each part of the buffer has room for a block.
            unsafe {
                pack_block(&rest.factors[0], rows, first);
                if rest.count == 2 {
                    pack_block(&rest.factors[1], rows, second);
                }
                let lefts = [first.as_ptr(), second.as_ptr()];
                multiply_block::<U, V>(&Tile { tiles: rows, ..rest }, lefts, steps);
            }
            rest.advance::<false>(rows, 2);
            rest.tiles -= rows;
        }
    });
}

/// The same for one factor whose left rows [`transpose`] has packed.
///
/// # Safety
/// As [`multiply`]; `left` of the factor leads to what was packed.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")]
unsafe fn multiply_packed<U: TileUnit, V: Products<Bf16>>(tile: &Tile<Bf16>) {
    let steps = tile.factors[0].depth.div_ceil(STEP);
    let mut left = tile.factors[0].left;
    let mut rest = *tile;
    while rest.tiles > 0 {
        let rows = rest.tiles.min(BLOCK);
        if let Target::Real(to) = rest.target {
            // The next block's sums, whether they are added to or replaced: rows that lie far apart wait for both.
            for row in BLOCK..2 * BLOCK {
                for v in 0..2 {
                    // SAFETY: any address will do.
                    unsafe { V::prefetch(to.wrapping_add(row * rest.target_stride + v * V::LANES)) };
                }
            }
        }
        // SAFETY: the caller's contract: so many rows are left, and their block is packed at `left`.
        unsafe { multiply_block::<U, V>(&Tile { tiles: rows, ..rest }, [left; 2], [steps, 0]) };
        left = left.wrapping_add(BLOCK_STEP * steps);
        rest.advance::<false>(rows, 2);
        rest.tiles -= rows;
    }
}

/// Computes at most a block's rows, `tile.tiles`, panel by panel, from packed left rows.
///
/// # Safety
/// As [`multiply`]; `lefts` lead to packed blocks of `steps` steps each.
#[inline(always)]
unsafe fn multiply_block<U: TileUnit, V: Products<Bf16>>(
    tile: &Tile<Bf16>,
    lefts: [*const Bf16; 2],
    steps: [usize; 2],
) {
    let rows = tile.tiles;
    let mut sums: Sums = MaybeUninit::uninit();
    let mut rest = *tile;
    while rest.columns > 0 {
        let columns = rest.columns.min(PANEL);
        let part = Tile { columns, ..rest };
        let rights = [part.factors[0].right, part.factors[1].right];
        let plain = columns == PANEL && rows == BLOCK && has_plain_sums(&part);
        // SAFETY: the caller's contract; the buffer has room for four tiles, all of which lead to rows of the target
        // where they are stored there.
        unsafe {
            match part.target {
                Target::Real(to) if plain => {
                    let stride = (part.target_stride * size_of::<f32>()) as isize;
                    if part.accumulate {
                        load_sums::<U>(to, stride);
                    } else {
                        zero_sums::<U, true>();
                    }
                    add_products::<U, true>(lefts, rights, steps);
                    store_sums::<U, true>(to, stride);
                }
                _ => {
                    // A panel's columns of a map are one line.
                    prefetch::<V, Bf16, BLOCK, 1>(&part);
                    let to: *mut f32 = sums.as_mut_ptr().cast();
                    if rows > TILE_ROWS {
                        zero_sums::<U, true>();
                        add_products::<U, true>(lefts, rights, steps);
                        store_sums::<U, true>(to, PANEL_BYTES);
                    } else {
                        zero_sums::<U, false>();
                        add_products::<U, false>(lefts, rights, steps);
                        store_sums::<U, false>(to, PANEL_BYTES);
                    }
                    let sums = slice::from_raw_parts(to.cast_const().cast::<[f32; PANEL]>(), rows);
                    if columns < PANEL {
                        finish_block::<V, true>(&part, sums);
                    } else {
                        finish_block::<V, false>(&part, sums);
                    }
                }
            }
        }
        rest.columns -= columns;
        rest.advance_columns(columns);
        for (inner, steps) in rest.factors.iter_mut().zip(steps) {
            inner.right = inner.right.wrapping_add(steps * STEP * PANEL);
        }
    }
}

/// The sums of a block and a panel.
type Sums = MaybeUninit<Aligned<[[f32; PANEL]; BLOCK]>>;

/// Begins on a cache line.
#[repr(C, align(64))]
struct Aligned<T>(T);

/// Whether sums are the result as they are.
#[inline(always)]
fn has_plain_sums(tile: &Tile<Bf16>) -> bool {
    tile.bias.is_null() && matches!(tile.added, Added::Nothing) && !tile.relu && tile.mask.is_null()
}

/// Makes the sums of a block zero; `TALL` says that it needs both rows of tiles.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn zero_sums<U: TileUnit, const TALL: bool>() {
    // SAFETY: the caller's contract.
    unsafe {
        U::zero::<{ SUMS[0] }>();
        U::zero::<{ SUMS[1] }>();
        if TALL {
            U::zero::<{ SUMS[2] }>();
            U::zero::<{ SUMS[3] }>();
        }
    }
}

/// Reads the sums of a block from rows `stride` bytes apart.
///
/// # Safety
/// As [`multiply`]; there are a block's rows and a panel's columns.
#[inline(always)]
unsafe fn load_sums<U: TileUnit>(from: *const f32, stride: isize) {
    let from: *const u8 = from.cast();
    // SAFETY: the caller's contract.
    unsafe {
        let lower = from.offset(TILE_ROWS as isize * stride);
        U::load::<{ SUMS[0] }>(from, stride);
        U::load::<{ SUMS[1] }>(from.add(ROW_BYTES), stride);
        U::load::<{ SUMS[2] }>(lower, stride);
        U::load::<{ SUMS[3] }>(lower.add(ROW_BYTES), stride);
    }
}

/// Writes them there.
///
/// # Safety
/// As [`load_sums`]; without `TALL` there may be half the rows.
#[inline(always)]
unsafe fn store_sums<U: TileUnit, const TALL: bool>(to: *mut f32, stride: isize) {
    let to: *mut u8 = to.cast();
    // SAFETY: the caller's contract.
    unsafe {
        U::store::<{ SUMS[0] }>(to, stride);
        U::store::<{ SUMS[1] }>(to.add(ROW_BYTES), stride);
        if TALL {
            let lower = to.offset(TILE_ROWS as isize * stride);
            U::store::<{ SUMS[2] }>(lower, stride);
            U::store::<{ SUMS[3] }>(lower.add(ROW_BYTES), stride);
        }
    }
}

/// Adds the products of packed left rows and panels, `steps` of each factor.
///
/// # Safety
/// As [`multiply_block`].
#[inline(always)]
unsafe fn add_products<U: TileUnit, const TALL: bool>(
    lefts: [*const Bf16; 2],
    rights: [*const Bf16; 2],
    steps: [usize; 2],
) {
    for ((left, right), steps) in lefts.into_iter().zip(rights).zip(steps) {
        let (mut left, mut right): (*const u8, *const u8) = (left.cast(), right.cast());
        for _ in 0..steps {
            // SAFETY: the caller's contract: a step of both is there. Each product comes as soon as its factors are.
            unsafe {
                U::load::<{ LEFT[0] }>(left, ROW_BYTES as isize);
                U::load::<{ RIGHT[0] }>(right, PANEL_BYTES);
                U::multiply_add::<{ SUMS[0] }, { LEFT[0] }, { RIGHT[0] }>();
                U::load::<{ RIGHT[1] }>(right.add(ROW_BYTES), PANEL_BYTES);
                U::multiply_add::<{ SUMS[1] }, { LEFT[0] }, { RIGHT[1] }>();
                if TALL {
                    U::load::<{ LEFT[1] }>(left.add(TILE_ROWS * ROW_BYTES), ROW_BYTES as isize);
                    U::multiply_add::<{ SUMS[2] }, { LEFT[1] }, { RIGHT[0] }>();
                    U::multiply_add::<{ SUMS[3] }, { LEFT[1] }, { RIGHT[1] }>();
                }
                left = left.add(BLOCK_STEP * size_of::<Bf16>());
                right = right.add(STEP * PANEL * size_of::<Bf16>());
            }
        }
    }
}

/// Finishes the rows of a block.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn finish_block<V: Products<Bf16>, const EDGE: bool>(tile: &Tile<Bf16>, mut sums: &[[f32; PANEL]]) {
    let mut tile = *tile;
    while !sums.is_empty() {
        // SAFETY: the caller's contract.
        let finished = unsafe {
            match sums.len() {
                8.. => finish_rows::<V, 8, EDGE>(&mut tile, sums),
                4.. => finish_rows::<V, 4, EDGE>(&mut tile, sums),
                2.. => finish_rows::<V, 2, EDGE>(&mut tile, sums),
                _ => finish_rows::<V, 1, EDGE>(&mut tile, sums),
            }
        };
        sums = &sums[finished..];
    }
}

/// Finishes `ROWS` rows of sums and moves the tile on; returns `ROWS`.
///
/// # Safety
/// As [`multiply`].
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

/// Copies `rows` left rows together into the tiles of a block. What lies below them in `to` stays as it is: each row of
/// a left tile leads to one row of sums, and those are not used.
///
/// # Safety
/// As [`multiply`]; `to` has room for the steps of all runs.
#[inline(always)]
unsafe fn pack_block(inner: &Inner<Bf16>, rows: usize, to: &mut [Bf16]) {
    assert!(rows <= BLOCK && to.len() >= (inner.runs * inner.depth).div_ceil(STEP) * BLOCK_STEP);
    let to = to.as_mut_ptr();
    if !inner.depth.is_multiple_of(STEP) {
        for row in 0..rows {
            // SAFETY: the caller's contract, and the check above.
            unsafe { pack_row(inner, row, to.add(row * STEP)) };
        }
        return;
    }
    let steps = inner.depth / STEP;
    let mut starts = [std::ptr::null(); BLOCK];
    for run in 0..inner.runs {
        for (row, start) in starts[..rows].iter_mut().enumerate() {
            // SAFETY: the caller's contract.
            *start = unsafe { inner.row_start(row, run) };
        }
        // A few lines of a row at a time: enough for the processor to foresee the next ones, and few enough for those
        // of all rows to stay in the first cache.
        for first in (0..steps).step_by(STEPS_AT_ONCE) {
            let count = (steps - first).min(STEPS_AT_ONCE);
            for (row, start) in starts[..rows].iter().enumerate() {
                // SAFETY: the run has so many steps, for which the check above found room.
                unsafe {
                    let (from, to) =
                        (start.add(first * STEP), to.add((run * steps + first) * BLOCK_STEP + row * STEP));
                    for step in 0..count {
                        let values = _mm512_loadu_si512(from.add(step * STEP).cast());
                        _mm512_storeu_si512(to.add(step * BLOCK_STEP).cast(), values);
                    }
                }
            }
        }
    }
}

/// Steps of a row that are copied before those of the next row.
const STEPS_AT_ONCE: usize = 4;

/// Copies a left row whose runs are no whole steps; `to` is its place in the block's first step.
///
/// # Safety
/// As [`multiply`]; `to` has room for the steps of all runs.
#[inline(always)]
unsafe fn pack_row(inner: &Inner<Bf16>, row: usize, to: *mut Bf16) {
    // Values of the row that are there already.
    let mut packed = 0;
    for run in 0..inner.runs {
        // SAFETY: the caller's contract.
        let from = unsafe { inner.row_start(row, run) };
        let mut copied = 0;
        while copied < inner.depth {
            let count = (STEP - packed % STEP).min(inner.depth - copied);
            let mask = !0 >> (STEP - count);
            // SAFETY: so many values are left of the run and of the step; those that are masked out are neither read
            // nor written.
            unsafe {
                let values = _mm512_maskz_loadu_epi16(mask, from.add(copied).cast());
                let to = to.add(packed / STEP * BLOCK_STEP + packed % STEP);
                _mm512_mask_storeu_epi16(to.cast(), mask, values);
            }
            copied += count;
            packed += count;
        }
    }
    if !packed.is_multiple_of(STEP) {
        let mask = !0 << (packed % STEP);
        // SAFETY: the step is `to`'s; what is masked out is not written.
        unsafe {
            let to = to.add(packed / STEP * BLOCK_STEP);
            _mm512_mask_storeu_epi16(to.cast(), mask, _mm512_setzero_si512());
        }
    }
}

/// Packs the columns of `rows` as the rows of blocks, whole steps of them with zeros at the end.
///
/// # Safety
/// The processor has AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn transpose(rows: Rows<Bf16>, to: &mut [Bf16]) {
    let steps = rows.len().div_ceil(STEP);
    for (block, to) in to.chunks_exact_mut((steps * BLOCK_STEP).max(1)).enumerate() {
        for (step, to) in to.chunks_exact_mut(BLOCK_STEP).enumerate() {
            for (tile, to) in to.chunks_exact_mut(BLOCK_STEP / 2).enumerate() {
                let column = block * BLOCK + tile * TILE_ROWS;
                let used = rows.width().saturating_sub(column).min(TILE_ROWS);
                if used == 0 {
                    continue;
                }
                let mut pairs = [_mm512_setzero_si512(); TILE_ROWS];
                for (pair, values) in pairs.iter_mut().enumerate() {
                    let row = step * STEP + 2 * pair;
                    // SAFETY: the caller's contract; the rows that are there have `used` values from the column on.
                    *values = unsafe { load_pair(rows, row, column, used) };
                }
                exchange(&mut pairs);
                for (to, pairs) in to.chunks_exact_mut(STEP).zip(pairs) {
                    // SAFETY: a register is a row of a tile.
                    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), pairs) };
                }
            }
        }
    }
}

/// `used` values of a row and of the next one side by side, and zeros beyond the last row.
///
/// # Safety
/// The processor has AVX-512; rows have `used <= 16` values from `column` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn load_pair(rows: Rows<Bf16>, row: usize, column: usize, used: usize) -> __m512i {
    let first = rows.data.as_ptr().wrapping_add(row * rows.stride + column);
    // SAFETY: a row that is there has so many values.
    unsafe {
        match rows.rows.saturating_sub(row) {
            0 => _mm512_setzero_si512(),
            1 => _mm512_cvtepu16_epi32(load_half(first, used)),
            _ => load_pairs([first, first.add(rows.stride)], used),
        }
    }
}
