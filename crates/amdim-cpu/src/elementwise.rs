//! Loops over values and rows that the layers share.

use crate::Real;

/// Replaces negative values by zero; NaN stays.
pub(crate) fn relu<T: Real>(values: &mut [T]) {
    for value in values {
        *value = if *value < T::default() { T::default() } else { *value };
    }
}

/// Replaces gradients by zero where [`relu`] returned zero.
pub(crate) fn relu_backward<T: Real>(gradients: &mut [T], activations: &[T]) {
    for (gradient, &activation) in gradients.iter_mut().zip(activations) {
        *gradient = if activation <= T::default() { T::default() } else { *gradient };
    }
}

/// Writes `row` into every row of `rows`.
pub(crate) fn fill_rows<T: Real>(rows: &mut [T], row: &[T]) {
    for to in rows.chunks_exact_mut(row.len()) {
        to.copy_from_slice(row);
    }
}

/// Adds every row of `rows` to `sum`.
pub(crate) fn add_values<T: Real>(rows: &[T], sum: &mut [T]) {
    for row in rows.chunks_exact(sum.len()) {
        for (sum, &value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

/// Adds `(row - centre)^2` to `sum`, for every row of `rows`.
pub(crate) fn add_squared_distances<T: Real>(rows: &[T], centre: &[T], sum: &mut [T]) {
    for row in rows.chunks_exact(sum.len()) {
        for ((sum, &value), &centre) in sum.iter_mut().zip(row).zip(centre) {
            let distance = value - centre;
            *sum += distance * distance;
        }
    }
}
