//! AVX-512: sixteen `f32`; products of bf16 by `vdpbf16ps`, where the processor has it.

use std::arch::x86_64::{
    __m256i, __m512, __m512bh, __m512i, __mmask16, _CMP_LE_OQ, _MM_HINT_T0, _mm_prefetch, _mm256_loadu_si256,
    _mm256_mask_storeu_epi16, _mm256_maskz_loadu_epi16, _mm256_storeu_si256, _mm512_add_ps, _mm512_and_si512,
    _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_epi16,
    _mm512_cvtepu16_epi32, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mask_storeu_epi32, _mm512_mask_storeu_ps, _mm512_maskz_loadu_epi32, _mm512_maskz_loadu_ps,
    _mm512_maskz_mov_ps, _mm512_max_ps, _mm512_mul_ps, _mm512_or_si512, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_slli_epi32, _mm512_storeu_ps,
    _mm512_sub_ps, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64,
};
use std::mem::transmute;

use super::{Access, Products, Simd};
use crate::Bf16;

/// Sixteen `f32`; needs avx512f, avx512bw, avx512vl.
#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m512);

/// The same, with rounding to bf16 and products of bf16 by avx512bf16.
#[derive(Clone, Copy)]
pub(crate) struct NativeBf16(F32x16);

#[inline(always)]
fn first(count: usize) -> __mmask16 {
    ((1_u32 << count) - 1) as __mmask16
}

// SAFETY (all `unsafe` blocks of this file): the traits' contracts, see the parent module: the processor has the
// instructions, and the caller vouches for the memory that is read or written.

impl Simd for F32x16 {
    type Real = f32;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self(unsafe { _mm512_setzero_ps() })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn half(self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, _mm512_set1_ps(0.5)) })
    }

    #[inline(always)]
    unsafe fn prefetch<T>(at: *const T) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // `max` returns its second operand where one is NaN.
        Self(unsafe { _mm512_max_ps(_mm512_setzero_ps(), self.0) })
    }

    #[inline(always)]
    unsafe fn zero_where_off(self, activation: Self) -> Self {
        unsafe {
            let off = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(activation.0, _mm512_setzero_ps());
            Self(_mm512_maskz_mov_ps(!off, self.0))
        }
    }
}

impl Access<f32> for F32x16 {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        Self(unsafe { _mm512_maskz_loadu_ps(first(count), from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { _mm512_mask_storeu_ps(to, first(count), self.0) }
    }
}

/// Sixteen bf16 as `f32`.
#[inline(always)]
unsafe fn widen(values: __m256i) -> __m512 {
    unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(values))) }
}

/// The nearest bf16 of each lane, ties to even; as [`Bf16::from_real`].
#[inline(always)]
unsafe fn narrow(values: __m512) -> __m256i {
    use std::arch::x86_64::{
        _CMP_UNORD_Q, _mm512_add_epi32, _mm512_mask_mov_epi32, _mm512_or_si512, _mm512_srli_epi32,
    };
    unsafe {
        let bits = _mm512_castps_si512(values);
        let upper = _mm512_srli_epi32::<16>(bits);
        let odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
        let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values, values);
        let quiet = _mm512_or_si512(upper, _mm512_set1_epi32(0x40));
        _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(_mm512_srli_epi32::<16>(rounded), nan, quiet))
    }
}

impl Access<Bf16> for F32x16 {
    #[inline(always)]
    unsafe fn load(from: *const Bf16) -> Self {
        Self(unsafe { widen(_mm256_loadu_si256(from.cast())) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const Bf16, count: usize) -> Self {
        Self(unsafe { widen(load_half(from, count)) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Bf16) {
        unsafe { _mm256_storeu_si256(to.cast(), narrow(self.0)) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut Bf16, count: usize) {
        unsafe { _mm256_mask_storeu_epi16(to.cast(), first(count), narrow(self.0)) }
    }
}

impl Products<f32> for F32x16 {
    const DEPTH: usize = 1;
    type Left = __m512;
    type Right = __m512;

    #[inline(always)]
    unsafe fn left(from: *const f32) -> __m512 {
        unsafe { _mm512_set1_ps(*from) }
    }

    #[inline(always)]
    unsafe fn left_single(from: *const f32) -> __m512 {
        unsafe { _mm512_set1_ps(*from) }
    }

    #[inline(always)]
    unsafe fn right(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, left: __m512, right: __m512) -> Self {
        Self(unsafe { _mm512_fmadd_ps(left, right, self.0) })
    }
}

/// The first `count <= 16` values of a row, and zeros.
#[inline(always)]
pub(crate) unsafe fn load_half(row: *const Bf16, count: usize) -> __m256i {
    unsafe { _mm256_maskz_loadu_epi16(first(count), row.cast()) }
}

/// The first `count <= 16` values of two rows, pair by pair, and zeros.
#[inline(always)]
pub(crate) unsafe fn load_pairs(rows: [*const Bf16; 2], count: usize) -> __m512i {
    unsafe {
        let [first, second] = rows.map(|row| _mm512_cvtepu16_epi32(load_half(row, count)));
        _mm512_or_si512(first, _mm512_slli_epi32::<16>(second))
    }
}

/// Pairs of bf16, one pair a lane.
#[inline(always)]
unsafe fn pair(from: *const Bf16) -> __m512i {
    unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
}

#[inline(always)]
unsafe fn single(from: *const Bf16) -> __m512i {
    unsafe { _mm512_set1_epi32(i32::from((*from).0)) }
}

impl Simd for NativeBf16 {
    type Real = f32;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self(unsafe { F32x16::zero() })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { self.0.add(other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { self.0.sub(other.0) })
    }

    #[inline(always)]
    unsafe fn half(self) -> Self {
        Self(unsafe { self.0.half() })
    }

    #[inline(always)]
    unsafe fn prefetch<T>(at: *const T) {
        unsafe { F32x16::prefetch(at) }
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        Self(unsafe { self.0.relu() })
    }

    #[inline(always)]
    unsafe fn zero_where_off(self, activation: Self) -> Self {
        Self(unsafe { self.0.zero_where_off(activation.0) })
    }
}

impl Access<f32> for NativeBf16 {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { F32x16::load(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        Self(unsafe { F32x16::load_first(from, count) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { self.0.store(to) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { self.0.store_first(to, count) }
    }
}

/// The nearest bf16 of each lane by the processor's own instruction.
#[inline(always)]
unsafe fn narrow_natively(values: __m512) -> __m256i {
    use std::arch::x86_64::_mm512_cvtneps_pbh;
    unsafe { transmute(_mm512_cvtneps_pbh(values)) }
}

impl Access<Bf16> for NativeBf16 {
    #[inline(always)]
    unsafe fn load(from: *const Bf16) -> Self {
        Self(unsafe { F32x16::load(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const Bf16, count: usize) -> Self {
        Self(unsafe { F32x16::load_first(from, count) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Bf16) {
        unsafe { _mm256_storeu_si256(to.cast(), narrow_natively(self.0.0)) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut Bf16, count: usize) {
        unsafe { _mm256_mask_storeu_epi16(to.cast(), first(count), narrow_natively(self.0.0)) }
    }
}

impl Products<f32> for NativeBf16 {
    const DEPTH: usize = 1;
    type Left = __m512;
    type Right = __m512;

    #[inline(always)]
    unsafe fn left(from: *const f32) -> __m512 {
        unsafe { <F32x16 as Products<f32>>::left(from) }
    }

    #[inline(always)]
    unsafe fn left_single(from: *const f32) -> __m512 {
        unsafe { <F32x16 as Products<f32>>::left_single(from) }
    }

    #[inline(always)]
    unsafe fn right(from: *const f32) -> __m512 {
        unsafe { <F32x16 as Products<f32>>::right(from) }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, left: __m512, right: __m512) -> Self {
        Self(unsafe { <F32x16 as Products<f32>>::multiply_add(self.0, left, right) })
    }
}

impl Products<Bf16> for NativeBf16 {
    const DEPTH: usize = 2;
    type Left = __m512bh;
    type Right = __m512bh;

    #[inline(always)]
    unsafe fn write_pairs(first: *const Bf16, second: *const Bf16, count: usize, to: *mut Bf16) {
        for at in (0..count).step_by(Self::LANES) {
            let used = (count - at).min(Self::LANES);
            unsafe {
                let pairs = load_pairs([first.add(at), second.add(at)], used);
                _mm512_mask_storeu_epi32(to.add(2 * at).cast(), self::first(used), pairs);
            }
        }
    }

    #[inline(always)]
    unsafe fn left(from: *const Bf16) -> __m512bh {
        unsafe { transmute(pair(from)) }
    }

    #[inline(always)]
    unsafe fn left_single(from: *const Bf16) -> __m512bh {
        unsafe { transmute(single(from)) }
    }

    #[inline(always)]
    unsafe fn right(from: *const Bf16) -> __m512bh {
        unsafe { transmute(_mm512_loadu_si512(from.cast())) }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, left: __m512bh, right: __m512bh) -> Self {
        Self(F32x16(unsafe { _mm512_dpbf16_ps(self.0.0, left, right) }))
    }
}

/// Exchanges lane `i` of register `j` and lane `j` of register `i`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn exchange(rows: &mut [__m512i; 16]) {
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

/// Turns `rows` by `columns` numbers of four bytes over, row by row of 16 times 16: number `column` of row `row` of
/// `from` becomes number `row` of row `column` of `to`. Rows begin so many bytes apart.
///
/// # Safety
/// The processor has AVX-512; all rows of both are there, and don't overlap.
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn transpose(
    [rows, columns]: [usize; 2],
    (from, from_stride): (*const u8, usize),
    (to, to_stride): (*mut u8, usize),
) {
    for column in (0..columns).step_by(16) {
        let across = (columns - column).min(16);
        for row in (0..rows).step_by(16) {
            let down = (rows - row).min(16);
            let mut lines = [_mm512_setzero_si512(); 16];
            for (line, values) in lines.iter_mut().enumerate() {
                let at = from.wrapping_add((row + line) * from_stride + 4 * column);
                let mask = if line < down { first(across) } else { 0 };
                // SAFETY: the caller's contract; what is masked out is not read.
                *values = unsafe { _mm512_maskz_loadu_epi32(mask, at.cast()) };
            }
            exchange(&mut lines);
            for (line, values) in lines.into_iter().enumerate() {
                let at = to.wrapping_add((column + line) * to_stride + 4 * row);
                let mask = if line < across { first(down) } else { 0 };
                // SAFETY: as above.
                unsafe { _mm512_mask_storeu_epi32(at.cast(), mask, values) };
            }
        }
    }
}
