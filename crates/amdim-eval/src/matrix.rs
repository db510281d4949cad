//! Matrix products over slices.

use gemm::Parallelism;

/// The two precisions: f32 in use, f64 for checks of derivatives.
pub(crate) trait Real: Copy + Send + Sync + PartialOrd + 'static {
    const ZERO: Self;
    const ONE: Self;
    /// Relative distance of neighbouring numbers.
    const EPSILON: f64;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    fn exp(self) -> Self;
}

macro_rules! impl_real {
    ($float:ty) => {
        impl Real for $float {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const EPSILON: f64 = <$float>::EPSILON as f64;
            fn from_f64(x: f64) -> Self {
                x as Self
            }
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            fn exp(self) -> Self {
                <$float>::exp(self)
            }
        }
    };
}
impl_real!(f32);
impl_real!(f64);

/// A slice read as a matrix: element (i, j) is at `i * row_stride + j * col_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// `[rows, cols]` stored row after row.
    pub(crate) fn new(values: &'a [T], rows: usize, cols: usize) -> Self {
        assert_eq!(values.len(), rows * cols, "matrix: values for {rows} x {cols}");
        Self { values, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The first `cols` of every `row_stride` values; the last row may end after `cols`.
    pub(crate) fn strided(values: &'a [T], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(
            cols <= row_stride && (rows == 0 || (rows - 1) * row_stride + cols <= values.len()),
            "matrix: values for {rows} x {cols}, {row_stride} apart"
        );
        Self { values, rows, cols, row_stride, col_stride: 1 }
    }

    /// Number of columns.
    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    /// The same values with rows and columns exchanged; nothing moves.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// Whether a product replaces what the output holds or is added to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Replace,
    Add,
}

/// `out = lhs * rhs` or `out += lhs * rhs`, on the calling thread.
///
/// # Shapes
/// - `lhs`: `[m, k]`
/// - `rhs`: `[k, n]`
/// - `out`: `[m, n]`, row after row
pub(crate) fn multiply<T: Real>(out: &mut [T], write: Write, lhs: Matrix<'_, T>, rhs: Matrix<'_, T>) {
    let (m, k, n) = (lhs.rows, lhs.cols, rhs.cols);
    assert_eq!(k, rhs.rows, "product: columns of lhs and rows of rhs");
    assert_eq!(out.len(), m * n, "product: values of the output");
    // SAFETY: `Matrix` can only be made over a slice in which all of its elements lie, and keeps strides that
    // enumerate these; `out` holds m * n values, read and written with strides (n, 1), and as a `&mut` it does
    // not overlap the inputs. `T` is f32 or f64, which `gemm` supports.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            write == Write::Add,
            lhs.values.as_ptr(),
            lhs.col_stride as isize,
            lhs.row_stride as isize,
            rhs.values.as_ptr(),
            rhs.col_stride as isize,
            rhs.row_stride as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            // Threads are given whole blocks; a product cut up by `gemm` would depend on their number.
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn plain(lhs: Matrix<'_, f64>, rhs: Matrix<'_, f64>) -> Vec<f64> {
        let at = |m: &Matrix<'_, f64>, i: usize, j: usize| m.values[i * m.row_stride + j * m.col_stride];
        let cell = |i, j| (0..lhs.cols).map(|k| at(&lhs, i, k) * at(&rhs, k, j)).sum();
        (0..lhs.rows).flat_map(|i| (0..rhs.cols).map(move |j| (i, j))).map(|(i, j)| cell(i, j)).collect()
    }

    quickcheck! {
        fn equals_the_plain_sum(m: u8, k: u8, n: u8, transposed: (bool, bool), add: bool) -> bool {
            let (m, k, n) = (usize::from(m % 20), usize::from(k % 20), usize::from(n % 20));
            // Small integers, so that every order of the sum is exact.
            let lhs: Vec<f64> = (0..m * k).map(|i| (i * 7 % 11) as f64 - 5.0).collect();
            let rhs: Vec<f64> = (0..k * n).map(|i| (i * 5 % 13) as f64 - 6.0).collect();
            let view = |values, rows, cols, transposed: bool| {
                if transposed {
                    Matrix::new(values, cols, rows).transposed()
                } else {
                    Matrix::new(values, rows, cols)
                }
            };
            let (lhs, rhs) = (view(&lhs[..], m, k, transposed.0), view(&rhs[..], k, n, transposed.1));
            let mut out = vec![3.0; m * n];
            multiply(&mut out, if add { Write::Add } else { Write::Replace }, lhs, rhs);
            let before = if add { 3.0 } else { 0.0 };
            out.iter().zip(plain(lhs, rhs)).all(|(out, sum)| *out == sum + before)
        }
    }
}
