//! Arrays of numbers in plain Rust, which compilers turn into the vectors that every processor of an architecture has.

use super::{Access, Products, Simd};
use crate::{Real, Stored};

/// Eight numbers.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<R>([R; 8]);

impl<R: Real> Lanes<R> {
    #[inline(always)]
    fn map2(self, other: Self, f: impl Fn(R, R) -> R) -> Self {
        let mut result = self;
        for (x, y) in result.0.iter_mut().zip(other.0) {
            *x = f(*x, y);
        }
        result
    }
}

impl<R: Real> Simd for Lanes<R> {
    type Real = R;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([R::default(); 8])
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.map2(other, |x, y| x + y)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.map2(other, |x, y| x - y)
    }

    #[inline(always)]
    unsafe fn half(self) -> Self {
        self.map2(self, |x, _| x * R::from_f64(0.5))
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        self.map2(self, |x, _| if x < R::default() { R::default() } else { x })
    }

    #[inline(always)]
    unsafe fn zero_where_off(self, activation: Self) -> Self {
        self.map2(activation, |x, active| if active <= R::default() { R::default() } else { x })
    }
}

impl<S: Stored> Access<S> for Lanes<S::Real> {
    #[inline(always)]
    unsafe fn load(from: *const S) -> Self {
        // SAFETY: the caller vouches for eight values.
        unsafe { Self::load_first(from, 8) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const S, count: usize) -> Self {
        let mut lanes = [S::Real::default(); 8];
        for (at, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller vouches for `count` values.
            *lane = unsafe { from.add(at).read_unaligned() }.to_real();
        }
        Self(lanes)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut S) {
        // SAFETY: the caller vouches for eight values.
        unsafe { self.store_first(to, 8) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut S, count: usize) {
        for (at, &lane) in self.0.iter().enumerate().take(count) {
            // SAFETY: the caller vouches for `count` values.
            unsafe { to.add(at).write_unaligned(S::from_real(lane)) };
        }
    }
}

macro_rules! products {
    ($real:ty) => {
        impl Products<$real> for Lanes<$real> {
            const DEPTH: usize = 1;
            type Left = $real;
            type Right = Self;

            #[inline(always)]
            unsafe fn left(from: *const $real) -> $real {
                // SAFETY: the caller vouches for one value.
                unsafe { from.read_unaligned() }
            }

            #[inline(always)]
            unsafe fn left_single(from: *const $real) -> $real {
                // SAFETY: the caller vouches for one value.
                unsafe { from.read_unaligned() }
            }

            #[inline(always)]
            unsafe fn right(from: *const $real) -> Self {
                // SAFETY: the caller vouches for eight values.
                unsafe { Self::load(from) }
            }

            #[inline(always)]
            unsafe fn multiply_add(self, left: $real, right: Self) -> Self {
                self.map2(right, |sum, value| sum + left * value)
            }
        }
    };
}

products!(f32);
products!(f64);
