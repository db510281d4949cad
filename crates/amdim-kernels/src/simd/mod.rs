//! Registers of numbers, one kind an instruction set.
//!
//! Every function here is `unsafe` for one reason: the processor must have the instructions of the type that it is
//! called on. Loads and stores need valid memory besides. All are inlined into functions that are compiled for those
//! instructions (`#[target_feature]`), which [`crate::Kernel::is_supported`] guards.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod portable;

use crate::{Bf16, Real, Stored, WideBf16};

/// A register of [`Simd::LANES`] numbers.
pub(crate) trait Simd: Copy {
    /// Type of one number.
    type Real: Real;
    /// Number of numbers.
    const LANES: usize;
    /// All zero.
    unsafe fn zero() -> Self;
    /// Lane by lane.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane by lane.
    unsafe fn sub(self, other: Self) -> Self;
    /// Half of each number.
    unsafe fn half(self) -> Self;
    /// Asks for the memory that a register's values will be read from or written to soon. Any address will do.
    #[inline(always)]
    unsafe fn prefetch<T>(_at: *const T) {}
    /// Negative values become zero; NaN stays.
    unsafe fn relu(self) -> Self;
    /// Zero where `activation <= 0`.
    unsafe fn zero_where_off(self, activation: Self) -> Self;
}

/// Moves registers to and from memory that holds `S`, which need not be aligned.
pub(crate) trait Access<S>: Simd {
    /// `LANES` values from `from` on.
    unsafe fn load(from: *const S) -> Self;
    /// The first `count <= LANES` values; the others are zero. Memory beyond them is not touched.
    unsafe fn load_first(from: *const S, count: usize) -> Self;
    /// Writes `LANES` values.
    unsafe fn store(self, to: *mut S);
    /// Writes the first `count <= LANES` values alone.
    unsafe fn store_first(self, to: *mut S, count: usize);
}

/// Products of stored values, added up in registers.
pub(crate) trait Products<S: Stored>: Simd<Real = S::Real> + Access<S> + Access<S::Real> {
    /// Neighbouring values of the inner dimension that one step takes.
    const DEPTH: usize;
    /// `DEPTH` values of a left row, as every lane needs them.
    type Left: Copy;
    /// `DEPTH` values of each of `LANES` right columns.
    type Right: Copy;
    /// Reads `DEPTH` values.
    unsafe fn left(from: *const S) -> Self::Left;
    /// Reads one value; what it is multiplied with beside it is zero.
    unsafe fn left_single(from: *const S) -> Self::Left;
    /// Reads `LANES * DEPTH` values: the `DEPTH` of the first column, then the next column's.
    unsafe fn right(from: *const S) -> Self::Right;
    /// `self` plus the products, summed over `DEPTH`.
    unsafe fn multiply_add(self, left: Self::Left, right: Self::Right) -> Self;

    /// Writes `count` pairs of values of two rows to `to`, one after the other.
    #[inline(always)]
    unsafe fn write_pairs(first: *const S, second: *const S, count: usize, to: *mut S) {
        for i in 0..count {
            // SAFETY: the caller vouches for `count` values of both rows, and room for twice as many.
            unsafe {
                *to.add(2 * i) = *first.add(i);
                *to.add(2 * i + 1) = *second.add(i);
            }
        }
    }

    /// Reads the right values of a step: `N` registers.
    #[inline(always)]
    unsafe fn right_step<const N: usize>(from: *const S) -> [Self::Right; N] {
        // SAFETY: the caller vouches for `N * LANES * DEPTH` values.
        unsafe {
            let mut right = [Self::right(from); N];
            for (v, right) in right.iter_mut().enumerate().skip(1) {
                *right = Self::right(from.add(v * Self::LANES * Self::DEPTH));
            }
            right
        }
    }

    /// One left row's step: adds its products to the row's sums.
    #[inline(always)]
    unsafe fn row_step<const N: usize>(sums: &mut [Self; N], left: *const S, right: &[Self::Right; N]) {
        // SAFETY: the caller vouches for `DEPTH` left values.
        let left = unsafe { Self::left(left) };
        for (sum, &right) in sums.iter_mut().zip(right) {
            // SAFETY: the caller vouches for the instructions.
            *sum = unsafe { sum.multiply_add(left, right) };
        }
    }
}

/// [`WideBf16`] moves as [`Bf16`] does.
macro_rules! access_wide {
    ($vector:ty) => {
        impl Access<WideBf16> for $vector {
            #[inline(always)]
            unsafe fn load(from: *const WideBf16) -> Self {
                // SAFETY (all calls): the caller's contract; the type is transparent.
                unsafe { Self::load(from.cast::<Bf16>()) }
            }

            #[inline(always)]
            unsafe fn load_first(from: *const WideBf16, count: usize) -> Self {
                unsafe { Self::load_first(from.cast::<Bf16>(), count) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut WideBf16) {
                unsafe { self.store(to.cast::<Bf16>()) }
            }

            #[inline(always)]
            unsafe fn store_first(self, to: *mut WideBf16, count: usize) {
                unsafe { self.store_first(to.cast::<Bf16>(), count) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
access_wide!(avx512::F32x16);
#[cfg(target_arch = "x86_64")]
access_wide!(avx512::NativeBf16);
#[cfg(target_arch = "x86_64")]
access_wide!(avx2::F32x8);
#[cfg(target_arch = "aarch64")]
access_wide!(neon::F32x4);
