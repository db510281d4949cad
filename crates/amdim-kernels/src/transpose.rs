//! Matrices turned over.

use crate::{Kernel, Stored};

/// Columns whose rows are all read before the next ones, so that what is written stays in the first cache.
const BLOCK: usize = 32;

/// `to[column][row] = from[row][column]` for `rows` by `columns` units: `UNIT` neighbouring values, which stay together.
/// Rows of either matrix begin `stride` values apart.
///
/// ```
/// use amdim_kernels::{Kernel, transpose};
///
/// let mut turned = [0.0f32; 6];
/// transpose::<_, 1>(Kernel::best(), [2, 3], (&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), (&mut turned, 2));
/// assert_eq!(turned, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// ```
///
/// # Panics
/// If a row is longer than the stride or not all there, or this processor doesn't support the kernel.
pub fn transpose<S: Stored, const UNIT: usize>(
    kernel: Kernel,
    [rows, columns]: [usize; 2],
    (from, from_stride): (&[S], usize),
    (to, to_stride): (&mut [S], usize),
) {
    if rows == 0 || columns == 0 {
        return;
    }
    let is_whole = |len: usize, stride: usize, rows: usize, columns: usize| {
        columns * UNIT <= stride && (rows - 1) * stride + columns * UNIT <= len
    };
    assert!(is_whole(from.len(), from_stride, rows, columns), "{rows} rows of {columns} units");
    assert!(is_whole(to.len(), to_stride, columns, rows), "{columns} rows of {rows} units");
    assert!(kernel.is_supported(), "the kernel {kernel} on this processor");
    #[cfg(target_arch = "x86_64")]
    if matches!(kernel, Kernel::Amx | Kernel::Avx512) && UNIT * size_of::<S>() == 4 {
        let from = (from.as_ptr().cast(), from_stride * size_of::<S>());
        let to = (to.as_mut_ptr().cast(), to_stride * size_of::<S>());
        // SAFETY: the kernel is supported; all rows are there, in two slices.
        unsafe { crate::simd::avx512::transpose([rows, columns], from, to) };
        return;
    }
    for block in (0..columns).step_by(BLOCK) {
        let across = (columns - block).min(BLOCK);
        for row in 0..rows {
            let from = from[row * from_stride + block * UNIT..].chunks_exact(UNIT);
            let to = to[block * to_stride + row * UNIT..].chunks_mut(to_stride);
            for (to, from) in to.zip(from).take(across) {
                to[..UNIT].copy_from_slice(from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use crate::{Bf16, Real};

    /// Beside a loop, on every kernel; what lies between the rows stays.
    fn turns<S: Stored, const UNIT: usize>([rows, columns]: [usize; 2], gaps: [usize; 2]) -> bool {
        let number = |at: usize| S::from_real(S::Real::from_f64(at as f64));
        let strides = [columns * UNIT + gaps[0], rows * UNIT + gaps[1]];
        let from: Vec<S> = (0..rows * strides[0]).map(|at| number(at % 251)).collect();
        let old = number(253);
        let mut expected = vec![old; columns * strides[1]];
        for row in 0..rows {
            for column in 0..columns {
                for at in 0..UNIT {
                    expected[column * strides[1] + row * UNIT + at] =
                        from[row * strides[0] + column * UNIT + at];
                }
            }
        }
        Kernel::ALL.into_iter().filter(|kernel| kernel.is_supported()).all(|kernel| {
            let mut to = vec![old; expected.len()];
            transpose::<S, UNIT>(kernel, [rows, columns], (&from, strides[0]), (&mut to, strides[1]));
            to == expected
        })
    }

    quickcheck! {
        fn rows_become_columns(rows: u8, columns: u8, gap: u8, other_gap: u8) -> bool {
            let sizes = [rows as usize % 70, columns as usize % 70];
            let gaps = [gap as usize % 9, other_gap as usize % 9];
            turns::<f32, 1>(sizes, gaps)
                && turns::<f64, 1>(sizes, gaps)
                && turns::<Bf16, 1>(sizes, gaps)
                && turns::<Bf16, 2>(sizes, gaps)
        }
    }

    #[test]
    #[should_panic(expected = "3 rows of 2 units")]
    fn a_row_that_is_not_there_is_refused() {
        transpose::<_, 1>(Kernel::Portable, [3, 2], (&[0.0f32; 5], 2), (&mut [0.0; 6], 3));
    }
}
