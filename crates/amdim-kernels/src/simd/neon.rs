//! NEON: four `f32`.
//!
//! Stable Rust has no intrinsic for `bfdot` yet, and the instruction rounds otherwise than the other kernels, so bf16 is
//! widened before products on processors with the bf16 extension, too.
//!
//! NEON is part of every aarch64 target that has a standard library.

use std::arch::aarch64::{
    float32x4_t, uint16x4_t, vaddhn_u32, vaddq_f32, vaddq_u32, vandq_u32, vbicq_u32, vbsl_u16, vceqq_f32,
    vclezq_f32, vdup_n_u16, vdupq_n_f32, vdupq_n_u32, vfmaq_n_f32, vld1_u16, vld1q_f32, vmaxq_f32, vmovn_u32,
    vmulq_n_f32, vorr_u16, vreinterpretq_f32_u32, vreinterpretq_u32_f32, vshll_n_u16, vshrn_n_u32,
    vshrq_n_u32, vst1_u16, vst1q_f32, vsubq_f32,
};
use std::sync::atomic::{Ordering, compiler_fence};

use super::{Access, Products, Simd};
use crate::Bf16;

/// Four `f32`.
#[derive(Clone, Copy)]
pub(crate) struct F32x4(float32x4_t);

// SAFETY (all `unsafe` blocks of this file): the traits' contracts, see the parent module: the processor has the
// instructions, and the caller vouches for the memory that is read or written.

impl Simd for F32x4 {
    type Real = f32;
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self(unsafe { vdupq_n_f32(0.0) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { vaddq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { vsubq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn half(self) -> Self {
        Self(unsafe { vmulq_n_f32(self.0, 0.5) })
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // Unlike x86's, this `max` is NaN wherever one of its operands is.
        Self(unsafe { vmaxq_f32(self.0, vdupq_n_f32(0.0)) })
    }

    #[inline(always)]
    unsafe fn zero_where_off(self, activation: Self) -> Self {
        // Nothing compares with NaN, so such an activation counts as on.
        unsafe {
            let off = vclezq_f32(activation.0);
            Self(vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(self.0), off)))
        }
    }
}

impl Access<f32> for F32x4 {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { vld1q_f32(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 4];
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { vst1q_f32(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let mut lanes = [0.0; 4];
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }
}

/// Four bf16 as `f32`.
#[inline(always)]
unsafe fn widen(values: uint16x4_t) -> float32x4_t {
    unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(values)) }
}

/// The nearest bf16 of each lane, ties to even; as [`Bf16::from_real`](crate::Stored::from_real).
#[inline(always)]
unsafe fn narrow(values: float32x4_t) -> uint16x4_t {
    unsafe {
        let bits = vreinterpretq_u32_f32(values);
        let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
        let rounded = vaddhn_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
        // A NaN stays one: rounding could carry it over to infinity.
        let quiet = vorr_u16(vshrn_n_u32::<16>(bits), vdup_n_u16(0x40));
        vbsl_u16(vmovn_u32(vceqq_f32(values, values)), rounded, quiet)
    }
}

impl Access<Bf16> for F32x4 {
    #[inline(always)]
    unsafe fn load(from: *const Bf16) -> Self {
        Self(unsafe { widen(vld1_u16(from.cast())) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const Bf16, count: usize) -> Self {
        let mut lanes = [Bf16::default(); 4];
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Bf16) {
        unsafe { vst1_u16(to.cast(), narrow(self.0)) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut Bf16, count: usize) {
        let mut lanes = [Bf16::default(); 4];
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }
}

impl Products<f32> for F32x4 {
    const DEPTH: usize = 1;
    /// `fmla` multiplies by one lane of a register, so a left value need not be spread over one.
    type Left = f32;
    type Right = float32x4_t;

    #[inline(always)]
    unsafe fn left(from: *const f32) -> f32 {
        unsafe { *from }
    }

    #[inline(always)]
    unsafe fn left_single(from: *const f32) -> f32 {
        unsafe { *from }
    }

    #[inline(always)]
    unsafe fn right(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, left: f32, right: float32x4_t) -> Self {
        Self(unsafe { vfmaq_n_f32(self.0, right, left) })
    }

    #[inline(always)]
    unsafe fn right_step<const N: usize>(from: *const f32) -> [float32x4_t; N] {
        // No instruction; it keeps what compilers would load for the next steps from moving before this one, where it
        // takes the registers of sums, and a quarter of the loop moves sums to the stack and back.
        compiler_fence(Ordering::SeqCst);
        unsafe { std::array::from_fn(|v| vld1q_f32(from.add(v * Self::LANES))) }
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use crate::Stored;

    /// Special values and ordinary ones.
    const VALUES: [f32; 8] = [f32::NAN, -0.0, 0.0, -1.0, 1.0, f32::INFINITY, f32::NEG_INFINITY, 1e-42];

    fn register(lanes: [f32; 4]) -> F32x4 {
        unsafe { <F32x4 as Access<f32>>::load(lanes.as_ptr()) }
    }

    fn lanes(register: F32x4) -> [f32; 4] {
        let mut lanes = [0.0; 4];
        unsafe { register.store(lanes.as_mut_ptr()) };
        lanes
    }

    quickcheck! {
        fn bf16_is_rounded_as_elsewhere(a: u32, b: u32, c: u32, d: u32) -> bool {
            let values = [a, b, c, d].map(f32::from_bits);
            let mut stored = [Bf16::default(); 4];
            unsafe { register(values).store(stored.as_mut_ptr()) };
            stored == values.map(Bf16::from_real)
        }
    }

    #[test]
    fn special_values_are_rounded_as_elsewhere() {
        // Ties, the carry into infinity, and a NaN that a carry would make an infinity or zero.
        let bits =
            [0x3f80_8000, 0x3f81_8000, 0x7f7f_ffff, 0x7f80_0001, 0x7fff_ffff, 0xffff_ffff, 0xff80_0001];
        for value in bits.map(f32::from_bits).into_iter().chain(VALUES) {
            let mut stored = [Bf16::default(); 4];
            unsafe { register([value; 4]).store(stored.as_mut_ptr()) };
            assert_eq!(stored, [Bf16::from_real(value); 4], "{value}");
        }
    }

    #[test]
    fn a_relu_and_a_mask_leave_nan() {
        for value in VALUES {
            let rectified = lanes(unsafe { register([value; 4]).relu() });
            let expected = if value < 0.0 { 0.0 } else { value };
            assert!(rectified.iter().all(|&x| x == expected || x.is_nan() && value.is_nan()), "{value}");
            for activation in VALUES {
                let masked = lanes(unsafe { register([value; 4]).zero_where_off(register([activation; 4])) });
                let expected = if activation <= 0.0 { 0.0_f32 } else { value };
                assert_eq!(masked.map(f32::to_bits), [expected.to_bits(); 4], "{value} {activation}");
            }
        }
    }

    fn moves_the_first<S: Stored<Real = f32>>()
    where
        F32x4: Access<S>,
    {
        let number = |value: usize| S::from_real(value as f32);
        for count in 0..=4 {
            // As long as what may be read: what checks accesses would see a longer one.
            let from: Vec<S> = (1..=count).map(number).collect();
            let register = unsafe { <F32x4 as Access<S>>::load_first(from.as_ptr(), count) };
            let expected = [1, 2, 3, 4].map(|at| if at <= count { at as f32 } else { 0.0 });
            assert_eq!(lanes(register), expected);
            let mut to = [number(9); 5];
            unsafe { <F32x4 as Access<S>>::store_first(register, to.as_mut_ptr(), count) };
            for (at, &value) in to.iter().enumerate() {
                assert_eq!(value, if at < count { from[at] } else { number(9) });
            }
        }
    }

    #[test]
    fn partial_moves_touch_the_first_values_alone() {
        moves_the_first::<f32>();
        moves_the_first::<Bf16>();
    }
}
