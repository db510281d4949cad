//! Which tile functions a kernel has for a number type.

#![allow(clippy::wildcard_imports, reason = "the macro's modules continue this one")]

use std::ops::Range;

use super::tile::{Tile, run};
use super::{Left, Rows};
use crate::simd::portable::Lanes;
use crate::simd::{Access, Products, Simd};
use crate::winograd::{Transforms, transforms};
use crate::{Bf16, Kernel, Stored, WideBf16};

/// Computes one tile.
pub(crate) type TileFunction<S> = unsafe fn(&Tile<S>);

/// Packs rows for the inner dimension; see [`interleave`].
pub(crate) type InterleaveFunction<S> = unsafe fn(Left<S>, Range<usize>, &mut [<S as Stored>::Packed], usize);

/// Widens rows; see [`widen`].
pub(crate) type WidenFunction<S> = unsafe fn(Left<S>, Range<usize>, &mut [<S as Stored>::Packed]);

/// The tile functions of one kernel and number type.
pub(crate) struct Table<S: Stored> {
    /// Values of the inner dimension in a step.
    pub(crate) depth: usize,
    /// Columns of a panel.
    pub(crate) columns: usize,
    /// Tiles of rows as they lie, the widest, which take a whole panel, first.
    pub(crate) tiles: &'static [Tiles<S>],
    /// The same for a transposed left factor.
    pub(crate) transposed: &'static [Tiles<S>],
    pub(crate) interleave: InterleaveFunction<S>,
    /// What left rows go through before tiles read them, where they are not kept as they are packed.
    pub(crate) widen: Option<WidenFunction<S>>,
    /// Those of kernels with two and with three taps.
    pub(crate) transforms: [Transforms<S>; 2],
    /// Where the kernel has a matrix unit.
    pub(crate) unit: Option<MatrixUnit<S>>,
}

/// The tile functions of one width. Where a panel has few columns in use, tiles of fewer registers a row compute them, which
/// leaves registers for more rows.
pub(crate) struct Tiles<S: Stored> {
    /// Columns that a tile computes.
    pub(crate) columns: usize,
    /// Heights, the highest first; 1 is the last.
    pub(crate) heights: &'static [usize],
    /// Two a height: for all columns, and for the first ones.
    pub(crate) functions: &'static [[TileFunction<S>; 2]],
}

impl<S: Stored> Tiles<S> {
    /// The narrowest of `all` that compute `used` columns.
    pub(crate) fn narrowest(all: &'static [Self], used: usize) -> &'static Self {
        all.iter().rfind(|tiles| tiles.columns >= used).expect("a panel's columns")
    }

    /// Cuts `rows` into tiles as even as the heights allow. Calls `visit(first row, tiles, what computes them)`.
    pub(crate) fn each_height(
        &self,
        rows: usize,
        used: usize,
        mut visit: impl FnMut(usize, usize, TileFunction<S>),
    ) {
        let heights = self.heights;
        let mut row = 0;
        while row < rows {
            let left = rows - row;
            let even = left.div_ceil(left.div_ceil(heights[0]));
            let above = heights.iter().rposition(|&height| height >= even).unwrap_or(0);
            let index =
                (above..heights.len()).find(|&index| heights[index] <= left).unwrap_or(heights.len() - 1);
            let tiles = left / heights[index];
            visit(row, tiles, self.functions[index][usize::from(used < self.columns)]);
            row += tiles * heights[index];
        }
    }
}

/// What multiplies in place of tile functions, but for the longest rows. Its [`Tile`] is a whole product, of any number
/// of rows (`tiles`) and columns.
pub(crate) struct MatrixUnit<S: Stored> {
    /// Inner values that the unit takes at once: packed factors are padded to whole steps with zeros.
    pub(crate) step: usize,
    /// The most steps that `multiply` takes, of both factors together. Longer ones are left to tile functions.
    pub(crate) most_steps: usize,
    /// Rows that a packed left factor is padded to multiples of.
    pub(crate) rows: usize,
    /// Called before the first of the functions below that multiply ...
    pub(crate) begin: unsafe fn(),
    /// ... and after the last one, by the same thread.
    pub(crate) end: unsafe fn(),
    /// Computes a product.
    pub(crate) multiply: unsafe fn(&Tile<S>),
    /// Packs the columns of the first as the rows of a left factor.
    pub(crate) transpose: unsafe fn(Rows<S>, &mut [S::Packed]),
    /// Computes a product of one factor, whose left rows were packed so.
    pub(crate) multiply_packed: unsafe fn(&Tile<S>),
}

/// A number type that has tile functions.
pub trait Tabled: Sized {
    /// Those of `kernel`, if it has some and this processor supports it.
    #[doc(hidden)]
    fn table(kernel: Kernel) -> Option<TableRef<Self>>
    where
        Self: Stored;
}

/// A kernel's tile functions for one number type; what they are stays inside this crate.
#[derive(Clone, Copy)]
pub struct TableRef<S: Stored>(pub(crate) &'static Table<S>);

/// Packs columns `columns` of `rows` into steps of `DEPTH` rows and `width` columns, padded with zeros. The values of a
/// step's rows lie side by side; only what is packed as it is has more than one.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn interleave<V: Products<S::Packed> + Access<S>, S: Stored, const DEPTH: usize>(
    rows: Left<S>,
    columns: Range<usize>,
    to: &mut [S::Packed],
    width: usize,
) {
    let (count, length) = (rows.rows(), rows.run());
    let mut column = columns.start;
    while column < columns.end {
        let (run, start) = (column / length, column % length);
        let part = start..length.min(start + columns.end - column);
        let at = (column - columns.start) * DEPTH;
        column += part.len();
        for (step, to) in to.chunks_exact_mut(width * DEPTH).enumerate() {
            let to = &mut to[at..at + part.len() * DEPTH];
            let first = &rows.stretch(step * DEPTH, run)[part.clone()];
            // SAFETY (all calls): the caller's contract; rows have `part.len()` values, and `to` as many a row.
            if DEPTH == 1 {
                unsafe { move_values::<V, S, S::Packed>(first, to) };
            } else if step * 2 + 1 < count {
                let second = &rows.stretch(step * 2 + 1, run)[part.clone()];
                let [first, second] = [first, second].map(|row| row.as_ptr().cast());
                unsafe { V::write_pairs(first, second, part.len(), to.as_mut_ptr()) };
            } else {
                to.fill(S::Packed::default());
                for (pair, &value) in to.chunks_exact_mut(2).zip(first) {
                    pair[0] = S::Packed::from_real(value.to_real());
                }
            }
        }
    }
    if columns.len() < width {
        let rest = columns.len() * DEPTH;
        to.chunks_exact_mut(width * DEPTH).for_each(|to| to[rest..].fill(S::Packed::default()));
    }
}

/// Writes rows `rows` of `left` as they are packed, one after the other.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn widen<V: Access<S> + Access<S::Packed>, S: Stored>(
    left: Left<S>,
    rows: Range<usize>,
    to: &mut [S::Packed],
) {
    let width = left.width();
    for (row, to) in rows.zip(to.chunks_exact_mut(width)) {
        for (run, to) in to.chunks_exact_mut(left.run()).enumerate() {
            // SAFETY: the caller's contract; both are a stretch long.
            unsafe { move_values::<V, S, S::Packed>(left.stretch(row, run), to) };
        }
    }
}

/// Reads all of `from` and writes as many values to `to`.
///
/// # Safety
/// The processor has the instructions of `V`; `to` is as long as `from`.
#[inline(always)]
unsafe fn move_values<V: Access<A> + Access<B>, A, B>(from: &[A], to: &mut [B]) {
    debug_assert_eq!(from.len(), to.len());
    let (count, from, to) = (from.len(), from.as_ptr(), to.as_mut_ptr());
    let mut at = 0;
    // SAFETY: the caller's contract; `at` stays within `count`.
    unsafe {
        while at + V::LANES <= count {
            <V as Access<B>>::store(<V as Access<A>>::load(from.add(at)), to.add(at));
            at += V::LANES;
        }
        if at < count {
            let rest = count - at;
            <V as Access<B>>::store_first(<V as Access<A>>::load_first(from.add(at), rest), to.add(at), rest);
        }
    }
}

/// Compiles the tile functions of a register type for an instruction set: how many registers a panel has, and for each
/// width in registers the heights of tiles, of rows as they lie and of a transposed left factor.
macro_rules! table {
    (
        $name:ident, $vector:ty, $stored:ty, $panel:literal,
        {$($vectors:literal: [$($rows:literal),*]),*},
        {$($t_vectors:literal: [$($t_rows:literal),*]),*},
        $(#[$feature:meta])*
    ) => {
        mod $name {
            use super::*;

            type Packed = <$stored as Stored>::Packed;

            /// # Safety
            /// As [`run`]; the processor has the instructions that this is compiled for.
            $(#[$feature])*
            unsafe fn tile<const ROWS: usize, const VECTORS: usize, const TRANSPOSED: bool, const EDGE: bool>(
                tile: &Tile<$stored>,
            ) {
                // SAFETY: the caller's contract is the same.
                unsafe { run::<$vector, $stored, ROWS, VECTORS, $panel, TRANSPOSED, EDGE>(tile) }
            }

            /// Tile functions of one width and height.
            const fn both<const ROWS: usize, const VECTORS: usize, const TRANSPOSED: bool>()
            -> [TileFunction<$stored>; 2] {
                [tile::<ROWS, VECTORS, TRANSPOSED, false>, tile::<ROWS, VECTORS, TRANSPOSED, true>]
            }

            const LANES: usize = <$vector as Simd>::LANES;

            /// # Safety
            /// The processor has the instructions that this is compiled for.
            $(#[$feature])*
            unsafe fn interleave_rows(
                rows: Left<$stored>,
                columns: Range<usize>,
                to: &mut [Packed],
                width: usize,
            ) {
                // SAFETY: the caller's contract is the same.
                unsafe {
                    interleave::<$vector, $stored, { <$vector as Products<Packed>>::DEPTH }>(rows, columns, to, width)
                }
            }

            /// # Safety
            /// The processor has the instructions that this is compiled for.
            $(#[$feature])*
            unsafe fn widen_rows(left: Left<$stored>, rows: Range<usize>, to: &mut [Packed]) {
                // SAFETY: the caller's contract is the same.
                unsafe { widen::<$vector, $stored>(left, rows, to) }
            }

            transforms!(two, $vector, $stored, 2, $(#[$feature])*);
            transforms!(three, $vector, $stored, 3, $(#[$feature])*);

            pub(super) static TABLE: Table<$stored> = Table {
                depth: <$vector as Products<Packed>>::DEPTH,
                columns: LANES * $panel,
                tiles: &[$(Tiles {
                    columns: LANES * $vectors,
                    heights: &[$($rows),*],
                    functions: &[$(both::<$rows, $vectors, false>()),*],
                }),*],
                transposed: &[$(Tiles {
                    columns: LANES * $t_vectors,
                    heights: &[$($t_rows),*],
                    functions: &[$(both::<$t_rows, $t_vectors, true>()),*],
                }),*],
                interleave: interleave_rows,
                widen: if size_of::<$stored>() == size_of::<Packed>() { None } else { Some(widen_rows) },
                transforms: [two::TRANSFORMS, three::TRANSFORMS],
                unit: None,
            };
        }
    };
}

table!(portable_f32, Lanes<f32>, f32, 1, {1: [4, 2, 1]}, {1: [4, 2, 1]},);
table!(portable_f64, Lanes<f64>, f64, 1, {1: [2, 1]}, {1: [2, 1]},);
table!(portable_wide, Lanes<f32>, WideBf16, 1, {1: [4, 2, 1]}, {1: [4, 2, 1]},);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::gemm::amx;
    use crate::kernel::has_avx512_bf16;
    use crate::simd::amx::Amx;
    use crate::simd::avx2::F32x8;
    use crate::simd::avx512::{F32x16, NativeBf16};

    table!(
        avx2_f32, F32x8, f32, 2,
        {2: [6, 4, 2, 1], 1: [6, 4, 2, 1]},
        {2: [6, 4, 2, 1], 1: [6, 4, 2, 1]},
        #[target_feature(enable = "avx2,fma")]
    );
    table!(
        avx2_wide, F32x8, WideBf16, 2,
        {2: [6, 4, 2, 1], 1: [6, 4, 2, 1]},
        {2: [6, 4, 2, 1], 1: [6, 4, 2, 1]},
        #[target_feature(enable = "avx2,fma")]
    );
    // Six rows of four registers load 10 registers for 24 products, ten rows of two 12 for 20: as fast where a core is
    // alone, and faster where another thread of the same core loads too.
    //
    // Ten rows of two registers: more would fit, but compilers then move so many left values to the front that sums
    // are pushed out of the registers, which halves the speed; ten keep both multipliers busy.
    table!(
        avx512_f32, F32x16, f32, 4,
        {4: [6, 5, 4, 3, 2, 1], 2: [10, 8, 6, 4, 2, 1], 1: [10, 8, 6, 4, 2, 1]},
        {4: [6, 5, 4, 3, 2, 1], 2: [14, 12, 10, 8, 6, 4, 2, 1], 1: [14, 12, 10, 8, 6, 4, 2, 1]},
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
    );
    table!(
        avx512_wide, F32x16, WideBf16, 4,
        {4: [6, 5, 4, 3, 2, 1], 2: [10, 8, 6, 4, 2, 1], 1: [10, 8, 6, 4, 2, 1]},
        {4: [6, 5, 4, 3, 2, 1], 2: [14, 12, 10, 8, 6, 4, 2, 1], 1: [14, 12, 10, 8, 6, 4, 2, 1]},
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
    );
    // Rounds to bf16 by one instruction.
    table!(
        native_wide, NativeBf16, WideBf16, 4,
        {4: [6, 5, 4, 3, 2, 1], 2: [10, 8, 6, 4, 2, 1], 1: [10, 8, 6, 4, 2, 1]},
        {4: [6, 5, 4, 3, 2, 1], 2: [14, 12, 10, 8, 6, 4, 2, 1], 1: [14, 12, 10, 8, 6, 4, 2, 1]},
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")]
    );
    table!(
        native_bf16, NativeBf16, Bf16, 2,
        {2: [10, 8, 6, 4, 2, 1], 1: [10, 8, 6, 4, 2, 1]},
        {2: [14, 12, 10, 8, 6, 4, 2, 1], 1: [14, 12, 10, 8, 6, 4, 2, 1]},
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")]
    );

    static AMX_BF16: Table<Bf16> = amx::table::<Amx, NativeBf16>(&native_bf16::TABLE);

    pub(super) fn f32_table(kernel: Kernel) -> &'static Table<f32> {
        match kernel {
            Kernel::Amx | Kernel::Avx512 => &avx512_f32::TABLE,
            Kernel::Avx2 => &avx2_f32::TABLE,
            Kernel::Neon | Kernel::Portable => &portable_f32::TABLE,
        }
    }

    pub(super) fn bf16_table(kernel: Kernel) -> Option<&'static Table<Bf16>> {
        match kernel {
            Kernel::Amx => Some(&AMX_BF16),
            Kernel::Avx512 if has_avx512_bf16() => Some(&native_bf16::TABLE),
            _ => None,
        }
    }

    pub(super) fn wide_table(kernel: Kernel) -> &'static Table<WideBf16> {
        match kernel {
            Kernel::Amx | Kernel::Avx512 if has_avx512_bf16() => &native_wide::TABLE,
            Kernel::Amx | Kernel::Avx512 => &avx512_wide::TABLE,
            Kernel::Avx2 => &avx2_wide::TABLE,
            Kernel::Neon | Kernel::Portable => &portable_wide::TABLE,
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::*;
    use crate::simd::neon::F32x4;

    // No `target_feature`: NEON is part of every aarch64 target. There are 32 registers. Rows of f32: 24 sums, 4 right
    // values, left values in the rest. Of a transposed left factor, compilers load neighbouring rows' values together,
    // and a sixth row would push sums out of the registers. Panels of 16 columns divide the widths of encoders, and
    // even five rows of 4 registers do more products a load than ten of 2.
    table!(
        neon_f32, F32x4, f32, 4,
        {4: [6, 4, 2, 1], 2: [6, 4, 2, 1]},
        {4: [5, 4, 2, 1], 2: [5, 4, 2, 1]},
    );
    table!(
        neon_wide, F32x4, WideBf16, 4,
        {4: [6, 4, 2, 1], 2: [6, 4, 2, 1]},
        {4: [5, 4, 2, 1], 2: [5, 4, 2, 1]},
    );

    pub(super) fn f32_table(kernel: Kernel) -> &'static Table<f32> {
        if kernel == Kernel::Neon { &neon_f32::TABLE } else { &portable_f32::TABLE }
    }

    pub(super) fn wide_table(kernel: Kernel) -> &'static Table<WideBf16> {
        if kernel == Kernel::Neon { &neon_wide::TABLE } else { &portable_wide::TABLE }
    }
}

impl Tabled for f32 {
    fn table(kernel: Kernel) -> Option<TableRef<f32>> {
        #[cfg(target_arch = "x86_64")]
        let table = x86::f32_table(kernel);
        #[cfg(target_arch = "aarch64")]
        let table = arm::f32_table(kernel);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let table = &portable_f32::TABLE;
        kernel.is_supported().then_some(TableRef(table))
    }
}

impl Tabled for f64 {
    fn table(kernel: Kernel) -> Option<TableRef<f64>> {
        // Double precision checks gradients; it has no fast form.
        kernel.is_supported().then_some(TableRef(&portable_f64::TABLE))
    }
}

impl Tabled for Bf16 {
    fn table(kernel: Kernel) -> Option<TableRef<Bf16>> {
        #[cfg(target_arch = "x86_64")]
        let table = x86::bf16_table(kernel).map(TableRef);
        #[cfg(not(target_arch = "x86_64"))]
        let table = None;
        table.filter(|_| kernel.is_supported())
    }
}

impl Tabled for WideBf16 {
    fn table(kernel: Kernel) -> Option<TableRef<WideBf16>> {
        #[cfg(target_arch = "x86_64")]
        let table = x86::wide_table(kernel);
        #[cfg(target_arch = "aarch64")]
        let table = arm::wide_table(kernel);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let table = &portable_wide::TABLE;
        kernel.is_supported().then_some(TableRef(table))
    }
}
