//! The number types: what is computed with ([`Real`]) and what maps are stored as ([`Stored`]).

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

use crate::elementary;
use crate::gemm::Tabled;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for super::Bf16 {}
    impl Sealed for super::WideBf16 {}
}

/// `f32`, for speed, or `f64`, for checking gradients by finite differences. No other type can implement it.
pub trait Real:
    Stored<Real = Self, Packed = Self>
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + MulAssign
    + Sum
{
    /// Nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// The same value.
    fn to_f64(self) -> f64;
    /// Square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// Absolute value.
    #[must_use]
    fn abs(self) -> Self;
    /// `self * factor + addend`, rounded once or twice.
    #[must_use]
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `e^self`; `f32` is good to 2e-7 and stays within `e^-87..e^88`, so that loops over it become vector code.
    #[must_use]
    fn exp(self) -> Self;
    /// Hyperbolic tangent; `f32` is good to 5e-7.
    #[must_use]
    fn tanh(self) -> Self;
    /// `log(1 + self)` for 0..=1; `f32` is good to 3e-7.
    #[must_use]
    fn ln_1p(self) -> Self;
    /// Whether it is neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

/// What a map is kept as: `f32`, `f64`, or [`Bf16`] and [`WideBf16`] with computation in `f32`. No other type can implement
/// it.
pub trait Stored:
    sealed::Sealed + Tabled + Copy + Default + Debug + PartialEq + Send + Sync + 'static
{
    /// What is computed with.
    type Real: Real;
    /// What factors of products are packed as, and points of tiles kept as: what a product's instructions take.
    type Packed: Stored<Real = Self::Real, Packed = Self::Packed>;
    /// Nearest value of this type; ties go to the even one.
    fn from_real(value: Self::Real) -> Self;
    /// The same value.
    fn to_real(self) -> Self::Real;
}

macro_rules! real {
    ($type:ident, $exp:path, $tanh:path, $ln_1p:path) => {
        impl Real for $type {
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $type
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                self * factor + addend
            }

            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }

            #[inline(always)]
            fn tanh(self) -> Self {
                $tanh(self)
            }

            #[inline(always)]
            fn ln_1p(self) -> Self {
                $ln_1p(self)
            }

            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
        }

        impl Stored for $type {
            type Real = $type;
            type Packed = $type;

            #[inline(always)]
            fn from_real(value: $type) -> Self {
                value
            }

            #[inline(always)]
            fn to_real(self) -> $type {
                self
            }
        }
    };
}

real!(f32, elementary::exp, elementary::tanh, elementary::ln_1p);
real!(f64, f64::exp, f64::tanh, f64::ln_1p);

/// The upper half of an `f32`: its range, with 8 bits of precision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(
    /// The bits.
    pub u16,
);

impl Stored for Bf16 {
    type Real = f32;
    type Packed = Self;

    #[inline(always)]
    fn from_real(value: f32) -> Self {
        let bits = value.to_bits();
        // A NaN stays one: rounding could carry it over to infinity.
        let quiet = ((bits >> 16) | 0x40) as u16;
        let rounded = (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16;
        Self(if value.is_nan() { quiet } else { rounded })
    }

    #[inline(always)]
    fn to_real(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// [`Bf16`] in memory, widened to `f32` where it is multiplied: for processors that have no instruction for products of
/// bf16, or only one that is slower than those of `f32`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct WideBf16(
    /// The value.
    pub Bf16,
);

impl Stored for WideBf16 {
    type Real = f32;
    type Packed = f32;

    #[inline(always)]
    fn from_real(value: f32) -> Self {
        Self(Bf16::from_real(value))
    }

    #[inline(always)]
    fn to_real(self) -> f32 {
        self.0.to_real()
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn bf16_is_the_nearest(bits: u32) -> bool {
            let value = f32::from_bits(bits);
            let rounded = Bf16::from_real(value).to_real();
            if value.is_nan() {
                return rounded.is_nan();
            }
            if !value.is_finite() || rounded.is_infinite() {
                return rounded.is_infinite() && rounded.is_sign_positive() == value.is_sign_positive();
            }
            let step = f64::from(f32::from_bits((bits & 0x7f80_0000).max(0x0080_0000))) / 128.0;
            (f64::from(rounded) - f64::from(value)).abs() <= step / 2.0
        }

        fn bf16_survives_a_round_trip(bits: u16) -> bool {
            let value = Bf16(bits);
            value.to_real().is_nan() || Bf16::from_real(value.to_real()) == value
        }
    }

    #[test]
    fn ties_go_to_the_even_one() {
        assert_eq!(Bf16::from_real(1.0 + 1.0 / 256.0).to_real(), 1.0);
        assert_eq!(Bf16::from_real(1.0 + 3.0 / 256.0).to_real(), 1.0 + 4.0 / 256.0);
    }
}
