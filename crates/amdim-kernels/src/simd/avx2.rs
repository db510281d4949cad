//! AVX2 and FMA: eight `f32`.

use std::arch::x86_64::{
    __m256, _CMP_LE_OQ, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_add_ps, _mm256_andnot_ps,
    _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtepu16_epi32, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_max_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32, _mm256_storeu_ps,
    _mm256_sub_ps,
};

use super::{Access, Products, Simd};
use crate::{Bf16, Stored};

/// Eight `f32`.
#[derive(Clone, Copy)]
pub(crate) struct F32x8(__m256);

// SAFETY (all `unsafe` blocks of this file): the traits' contracts, see the parent module: the processor has the
// instructions, and the caller vouches for the memory that is read or written.

impl Simd for F32x8 {
    type Real = f32;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self(unsafe { _mm256_setzero_ps() })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn half(self) -> Self {
        Self(unsafe { _mm256_mul_ps(self.0, _mm256_set1_ps(0.5)) })
    }

    #[inline(always)]
    unsafe fn prefetch<T>(at: *const T) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // `max` returns its second operand where one is NaN.
        Self(unsafe { _mm256_max_ps(_mm256_setzero_ps(), self.0) })
    }

    #[inline(always)]
    unsafe fn zero_where_off(self, activation: Self) -> Self {
        unsafe {
            let off = _mm256_cmp_ps::<_CMP_LE_OQ>(activation.0, _mm256_setzero_ps());
            Self(_mm256_andnot_ps(off, self.0))
        }
    }
}

impl Access<f32> for F32x8 {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 8];
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let mut lanes = [0.0; 8];
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }
}

impl Access<Bf16> for F32x8 {
    #[inline(always)]
    unsafe fn load(from: *const Bf16) -> Self {
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide)))
        }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const Bf16, count: usize) -> Self {
        let mut lanes = [Bf16::default(); 8];
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Bf16) {
        unsafe { self.store_first(to, 8) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut Bf16, count: usize) {
        let mut lanes = [0.0; 8];
        unsafe { self.store(lanes.as_mut_ptr()) };
        let lanes = lanes.map(Bf16::from_real);
        unsafe { std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count) };
    }
}

impl Products<f32> for F32x8 {
    const DEPTH: usize = 1;
    type Left = __m256;
    type Right = __m256;

    #[inline(always)]
    unsafe fn left(from: *const f32) -> __m256 {
        unsafe { _mm256_set1_ps(*from) }
    }

    #[inline(always)]
    unsafe fn left_single(from: *const f32) -> __m256 {
        unsafe { _mm256_set1_ps(*from) }
    }

    #[inline(always)]
    unsafe fn right(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, left: __m256, right: __m256) -> Self {
        Self(unsafe { _mm256_fmadd_ps(left, right, self.0) })
    }
}
