//! Loops over values and rows that the layers share. All are inlined into what [`Kernel::run`](amdim_kernels::Kernel::run)
//! compiles.

use amdim_kernels::{Real, Stored};

/// Replaces negative values by zero; NaN stays.
#[inline(always)]
pub(crate) fn relu<S: Stored>(values: &mut [S]) {
    let zero = S::Real::default();
    for value in values {
        *value = if value.to_real() < zero { S::default() } else { *value };
    }
}

/// Replaces gradients by zero where [`relu`] returned zero.
#[inline(always)]
pub(crate) fn relu_backward<S: Stored>(gradients: &mut [S], activations: &[S]) {
    let zero = S::Real::default();
    for (gradient, &activation) in gradients.iter_mut().zip(activations) {
        *gradient = if activation.to_real() <= zero { S::default() } else { *gradient };
    }
}

/// Writes values in another type.
#[inline(always)]
pub(crate) fn convert<A: Stored, B: Stored<Real = A::Real>>(from: &[A], to: &mut [B]) {
    for (to, &value) in to.iter_mut().zip(from) {
        *to = B::from_real(value.to_real());
    }
}

/// Adds values of another type.
#[inline(always)]
pub(crate) fn add_converted<A: Stored, B: Stored<Real = A::Real>>(from: &[A], to: &mut [B]) {
    for (to, &value) in to.iter_mut().zip(from) {
        *to = B::from_real(to.to_real() + value.to_real());
    }
}

/// Adds every row of `rows` to `sum`; the last may be shorter.
#[inline(always)]
pub(crate) fn add_rows<S: Stored>(rows: &[S], sum: &mut [S::Real]) {
    for row in rows.chunks(sum.len()) {
        for (sum, &value) in sum.iter_mut().zip(row) {
            *sum += value.to_real();
        }
    }
}

/// Adds `(row - centre)^2` to `sum`, for every row of `rows`; the last may be shorter.
#[inline(always)]
pub(crate) fn add_squared_distances<S: Stored>(rows: &[S], centre: &[S::Real], sum: &mut [S::Real]) {
    for row in rows.chunks(sum.len()) {
        for ((sum, &value), &centre) in sum.iter_mut().zip(row).zip(centre) {
            let distance = value.to_real() - centre;
            *sum += distance * distance;
        }
    }
}

/// Adds `a + b` to `to`.
#[inline(always)]
pub(crate) fn add_both<R: Real>(a: &[R], b: &[R], to: &mut [R]) {
    for ((to, &a), &b) in to.iter_mut().zip(a).zip(b) {
        *to += a + b;
    }
}

/// Writes `scale * values`.
#[inline(always)]
pub(crate) fn scaled<S: Stored>(values: &[S], scale: S::Real, to: &mut [S::Real]) {
    for (to, &value) in to.iter_mut().zip(values) {
        *to = value.to_real() * scale;
    }
}

/// Multiplies every value by `factor`.
#[inline(always)]
pub(crate) fn scale<R: Real>(values: &mut [R], factor: R) {
    for value in values {
        *value *= factor;
    }
}
