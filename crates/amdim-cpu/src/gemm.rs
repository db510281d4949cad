//! The matrix product, the one kernel under every layer. All `unsafe` code of the crate is here.

use crate::Real;

/// A matrix that is read: dense row-major data, or the transpose of such data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Real> Matrix<'a, T> {
    /// `data` as a row-major matrix; its length must be `rows * columns`.
    pub(crate) fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "a {rows}x{columns} matrix");
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The same values with rows and columns exchanged; nothing moves.
    pub(crate) fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// What happens to the values that the destination of a product holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// They are overwritten, unread.
    Replace,
    /// The product is added to them.
    Add,
}

impl Write {
    /// `Replace` for the first of several contributions, `Add` for those that follow.
    pub(crate) fn first(first: bool) -> Self {
        if first { Self::Replace } else { Self::Add }
    }
}

/// `destination = a b` or `destination += a b`, on the calling thread; `destination` is dense row-major
/// `[a.rows, b.columns]`.
///
/// The instruction set is chosen at run time. Equal shapes give equal bits on one machine.
pub(crate) fn multiply<T: Real>(a: Matrix<T>, b: Matrix<T>, destination: &mut [T], write: Write) {
    assert_eq!(a.columns, b.rows, "inner dimensions");
    assert_eq!(destination.len(), a.rows * b.columns, "a {}x{} product", a.rows, b.columns);
    let one = T::from_f64(1.0);
    // SAFETY: `Matrix` can only be made of a slice of exactly rows * columns values, and its strides address each
    // of them once; the length of `destination` was checked above; `destination` is borrowed mutably, so it can't
    // overlap `a` or `b`. `Real` is implemented for f32 and f64 alone, which `gemm` accepts. Strides of a slice
    // fit an isize.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            destination.as_mut_ptr(),
            1,
            b.columns as isize,
            write == Write::Add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            one,
            one,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    /// Small whole numbers, whose products and sums are exact.
    fn numbers(length: usize, seed: usize) -> Vec<f32> {
        (0..length).map(|i| ((i * 7 + seed * 13) % 11) as f32 - 5.0).collect()
    }

    fn check(rows: usize, columns: usize, inner: usize, transpose: (bool, bool), write: Write) -> bool {
        let (a, b, before) =
            (numbers(rows * inner, 1), numbers(inner * columns, 2), numbers(rows * columns, 3));
        let left = if transpose.0 {
            Matrix::new(&a, inner, rows).transposed()
        } else {
            Matrix::new(&a, rows, inner)
        };
        let right = if transpose.1 {
            Matrix::new(&b, columns, inner).transposed()
        } else {
            Matrix::new(&b, inner, columns)
        };
        let mut product = before.clone();
        multiply(left, right, &mut product, write);
        (0..rows * columns).all(|at| {
            let (row, column) = (at / columns, at % columns);
            let sum: f32 = (0..inner)
                .map(|k| {
                    let x = if transpose.0 { a[k * rows + row] } else { a[row * inner + k] };
                    let y = if transpose.1 { b[column * inner + k] } else { b[k * columns + column] };
                    x * y
                })
                .sum();
            product[at] == if write == Write::Add { before[at] + sum } else { sum }
        })
    }

    quickcheck! {
        fn equals_a_plain_loop(rows: u8, columns: u8, inner: u8, left: bool, right: bool, add: bool) -> bool {
            let write = if add { Write::Add } else { Write::Replace };
            check(rows as usize % 67 + 1, columns as usize % 67 + 1, inner as usize + 1, (left, right), write)
        }
    }

    #[test]
    fn vectors_and_single_values() {
        for shape in [(1, 1, 1), (1, 97, 31), (97, 1, 31), (1, 1, 300), (64, 64, 1), (300, 5, 2)] {
            for transpose in [(false, false), (true, false), (false, true), (true, true)] {
                assert!(check(shape.0, shape.1, shape.2, transpose, Write::Add), "{shape:?}");
                assert!(check(shape.0, shape.1, shape.2, transpose, Write::Replace), "{shape:?}");
            }
        }
    }
}
