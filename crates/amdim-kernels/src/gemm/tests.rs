//! Every kernel that this processor has, against plain loops. Values are small whole numbers, so that all products and
//! sums are exact in every type (bf16 holds whole numbers up to 256).

use quickcheck::quickcheck;

use super::*;
use crate::{Bf16, Real};

/// Whole numbers in -3..=3.
fn numbers<S: Stored>(length: usize, seed: usize) -> Vec<S> {
    (0..length).map(|i| number::<S>(((i * 7 + seed * 13 + i / 11) % 7) as f64 - 3.0)).collect()
}

fn number<S: Stored>(value: f64) -> S {
    S::from_real(S::Real::from_f64(value))
}

fn value<S: Stored>(stored: S) -> f64 {
    stored.to_real().to_f64()
}

fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|kernel| kernel.is_supported())
}

#[derive(Clone, Copy)]
struct Case {
    rows: usize,
    inner: [usize; 2],
    n: usize,
    factors: usize,
    /// Spare values between rows.
    gap: usize,
    options: u8,
}

impl Case {
    fn has(self, option: u8) -> bool {
        self.options >> option & 1 == 1
    }
}

fn multiplies<S: Stored>(kernel: Kernel, case: Case) -> bool {
    let Case { rows, inner, n, factors, gap, .. } = case;
    let gemm = Gemm::<S>::new(kernel);
    let lefts: Vec<Vec<S>> = (0..2).map(|f| numbers(rows * (inner[f] + gap), f)).collect();
    let rights: Vec<Vec<S>> = (0..2).map(|f| numbers(inner[f] * n, 5 + f)).collect();
    let packed: Vec<Vec<S>> = (0..2)
        .map(|f| {
            let mut packed = numbers(gemm.packed_len(inner[f], n), 1);
            gemm.pack(Right::Rows(Rows::new(&rights[f], n)), &mut packed);
            packed
        })
        .collect();
    let factor = |f: usize| Factor {
        left: Rows::strided(&lefts[f], inner[f] + gap, inner[f]).into(),
        right: &packed[f],
    };
    let bias: Vec<S::Real> = numbers(n, 9);
    let width = (n / 2).max(1);
    let (stored_add, real_add): (Vec<S>, Vec<S::Real>) = (numbers(rows * n, 10), numbers(rows * width, 11));
    let mask: Vec<S> = numbers(rows * (n + gap), 12);
    let add = match (case.has(1), case.has(2)) {
        (true, true) => Some(Addend::Stored(Rows::strided(&stored_add, n, width))),
        (true, false) => Some(Addend::Real(Rows::new(&real_add, width))),
        (false, _) => None,
    };
    let finish = Finish {
        bias: case.has(0).then_some(&bias[..]),
        add,
        accumulate: case.has(3),
        relu: case.has(4),
        mask: case.has(5).then_some(Rows::strided(&mask, n + gap, n)),
    };
    let before: Vec<S> = numbers(rows * n, 13);
    let before_real: Vec<S::Real> = before.iter().map(|&x| x.to_real()).collect();
    let (mut stored, mut real) = (before.clone(), before_real);
    let to = if case.has(6) { Destination::Stored(&mut stored) } else { Destination::Real(&mut real) };
    let all = [factor(0), factor(1)];
    gemm.multiply(&all[..factors], n, finish, to);
    (0..rows * n).all(|at| {
        let (row, column) = (at / n, at % n);
        let mut expected: f64 = (0..factors)
            .map(|f| {
                let left = &lefts[f][row * (inner[f] + gap)..];
                (0..inner[f]).map(|k| value(left[k]) * value(rights[f][k * n + column])).sum::<f64>()
            })
            .sum();
        expected += if case.has(0) { bias[column].to_f64() } else { 0.0 };
        if case.has(1) && column < width {
            expected += if case.has(2) {
                value(stored_add[row * n + column])
            } else {
                real_add[row * width + column].to_f64()
            };
        }
        expected += if case.has(3) { value(before[at]) } else { 0.0 };
        if case.has(4) && expected < 0.0 || case.has(5) && value(mask[row * (n + gap) + column]) <= 0.0 {
            expected = 0.0;
        }
        if case.has(6) {
            value(stored[at]) == value(number::<S>(expected))
        } else {
            real[at].to_f64() == expected
        }
    })
}

fn multiplies_transposed<S: Stored>(kernel: Kernel, [rows, a, b]: [usize; 3], gap: usize, add: bool) -> bool {
    let gemm = Gemm::<S>::new(kernel);
    let (left, right): (Vec<S>, Vec<S>) = (numbers(rows * (a + gap), 1), numbers(rows * (b + gap), 2));
    let before: Vec<S::Real> = numbers(a * b, 3);
    let mut result = before.clone();
    let mut scratch = numbers(gemm.transposed_scratch(rows, a), 4);
    let (left_rows, right_rows) = (Rows::strided(&left, a + gap, a), Rows::strided(&right, b + gap, b));
    gemm.multiply_transposed(left_rows, right_rows.into(), &mut result, add, &mut scratch);
    (0..a * b).all(|at| {
        let (i, j) = (at / b, at % b);
        let sum: f64 =
            (0..rows).map(|r| value(left[r * (a + gap) + i]) * value(right[r * (b + gap) + j])).sum();
        result[at].to_f64() == sum + if add { before[at].to_f64() } else { 0.0 }
    })
}

quickcheck! {
    fn products_equal_plain_loops(rows: u8, inner: (u8, u8), n: u8, two: bool, gap: u8, options: u8) -> bool {
        let case = Case {
            rows: rows as usize % 67 + 1,
            inner: [inner.0 as usize % 97 + 1, inner.1 as usize % 7 + 1],
            n: n as usize % 131 + 1,
            factors: if two { 2 } else { 1 },
            gap: gap as usize % 5,
            options,
        };
        kernels().all(|k| multiplies::<f32>(k, case) && multiplies::<f64>(k, case) && multiplies::<Bf16>(k, case))
    }

    fn transposed_products_equal_plain_loops(rows: u8, a: u8, b: u8, gap: u8, add: bool) -> bool {
        let sizes = [rows as usize % 97 + 1, a as usize % 67 + 1, b as usize % 131 + 1];
        let gap = gap as usize % 5;
        kernels().all(|k| {
            multiplies_transposed::<f32>(k, sizes, gap, add)
                && multiplies_transposed::<f64>(k, sizes, gap, add)
                && multiplies_transposed::<Bf16>(k, sizes, gap, add)
        })
    }
}

/// Rows put together from `runs` stretches, some of them zeros, against the same rows copied together.
fn windows_equal_copies<S: Stored>(
    kernel: Kernel,
    rows: usize,
    [runs, run]: [usize; 2],
    n: usize,
    seed: usize,
) -> bool {
    let gemm = Gemm::<S>::new(kernel);
    let data: Vec<S> = numbers(run + 40, seed);
    let zeros = vec![S::default(); run];
    let offsets: Vec<usize> = (0..rows * runs)
        .map(|at| match (at * 31 + seed * 17) % 50 {
            offset if offset <= 40 => offset,
            _ => ZEROS,
        })
        .collect();
    let copies: Vec<S> = offsets
        .iter()
        .flat_map(|&offset| if offset == ZEROS { &zeros[..] } else { &data[offset..offset + run] })
        .copied()
        .collect();
    let width = runs * run;
    let windows = Left::Windows(Windows::new(&data, &zeros, &offsets, [runs, run]));
    let copied = Left::Rows(Rows::new(&copies, width));
    let right: Vec<S> = numbers(width * n, 4);
    let mut packed = vec![S::default(); gemm.packed_len(width, n)];
    gemm.pack(Right::Rows(Rows::new(&right, n)), &mut packed);
    let multiply = |left| {
        let mut to: Vec<S::Real> = numbers(rows * n, 6);
        let factor = Factor { left, right: &packed };
        gemm.multiply(&[factor], n, Finish::default(), Destination::Real(&mut to));
        to
    };
    let left: Vec<S> = numbers(rows * n, 8);
    let transposed = |right| {
        let mut to: Vec<S::Real> = numbers(n * width, 7);
        let mut scratch = numbers(gemm.transposed_scratch(rows, n), 5);
        gemm.multiply_transposed(Rows::new(&left, n), right, &mut to, true, &mut scratch);
        to
    };
    multiply(windows) == multiply(copied) && transposed(windows) == transposed(copied)
}

quickcheck! {
    fn windows_are_read_where_they_lie(rows: u8, runs: u8, run: u8, n: u8, seed: u8) -> bool {
        let (rows, n) = (rows as usize % 45 + 1, n as usize % 70 + 1);
        // Stretches of whole steps, so of an even length.
        let runs = [runs as usize % 5 + 1, run as usize % 40 * 2 + 2];
        kernels().all(|k| {
            windows_equal_copies::<f32>(k, rows, runs, n, seed.into())
                && windows_equal_copies::<f64>(k, rows, runs, n, seed.into())
                && windows_equal_copies::<Bf16>(k, rows, runs, n, seed.into())
        })
    }
}

#[test]
#[should_panic(expected = "a stretch beyond the data")]
fn a_stretch_that_is_not_there_is_refused() {
    let _ = Windows::new(&[1.0f32; 5], &[0.0; 2], &[0, 3, 4], [1, 2]);
}

fn packs_alike<S: Stored>(inner: usize, n: usize) -> bool {
    let rows: Vec<S> = numbers(inner * n, 3);
    let columns: Vec<S> = (0..inner * n).map(|at| rows[at % inner * n + at / inner]).collect();
    kernels().all(|kernel| {
        let gemm = Gemm::<S>::new(kernel);
        let mut packed = [(); 2].map(|()| vec![number(9.0); gemm.packed_len(inner, n)]);
        gemm.pack(Right::Rows(Rows::new(&rows, n)), &mut packed[0]);
        gemm.pack(Right::Columns(Rows::new(&columns, inner)), &mut packed[1]);
        packed[0] == packed[1]
    })
}

quickcheck! {
    fn rows_and_columns_pack_alike(inner: u8, n: u8) -> bool {
        let (inner, n) = (inner as usize + 1, n as usize + 1);
        packs_alike::<f32>(inner, n) && packs_alike::<f64>(inner, n) && packs_alike::<Bf16>(inner, n)
    }
}

#[test]
fn sizes_at_the_edges_of_tiles() {
    for kernel in kernels() {
        for rows in [1, 2, 13, 14, 15, 28, 29, 31] {
            for n in [1, 7, 15, 16, 17, 31, 32, 33, 64] {
                for inner in [1, 2, 3, 31, 32, 33] {
                    let case = Case { rows, inner: [inner, 1], n, factors: 1, gap: 0, options: 0b100_1011 };
                    assert!(multiplies::<f32>(kernel, case), "{kernel} f32 {rows} {inner} {n}");
                    assert!(multiplies::<Bf16>(kernel, case), "{kernel} bf16 {rows} {inner} {n}");
                    assert!(multiplies_transposed::<f32>(kernel, [inner, rows, n], 0, false));
                    assert!(multiplies_transposed::<Bf16>(kernel, [inner, rows, n], 0, true));
                }
            }
        }
    }
}

#[test]
fn nan_passes_the_relu_and_stays_out_of_other_rows() {
    for kernel in kernels() {
        let gemm = Gemm::<Bf16>::new(kernel);
        // An odd inner length: the step that ends the first row must not touch the second one's NaN.
        let left: Vec<Bf16> = [1.0, 2.0, 3.0, f32::NAN, 1.0, 1.0].map(Bf16::from_real).to_vec();
        let mut packed = vec![Bf16::default(); gemm.packed_len(3, 1)];
        let ones = [Bf16::from_real(1.0); 3];
        gemm.pack(Right::Columns(Rows::new(&ones, 3)), &mut packed);
        let mut result = [0.0f32; 2];
        let factor = Factor { left: Rows::new(&left, 3).into(), right: &packed };
        let finish = Finish { relu: true, ..Finish::default() };
        gemm.multiply(&[factor], 1, finish, Destination::Real(&mut result));
        assert_eq!(result[0], 6.0, "{kernel}");
        assert!(result[1].is_nan(), "{kernel}");
    }
}

#[test]
#[should_panic(expected = "a packed right factor")]
fn a_factor_packed_for_other_sizes_is_refused() {
    let gemm = Gemm::<f32>::new(Kernel::Portable);
    let factor = Factor { left: Rows::new(&[1.0, 2.0], 2).into(), right: &[0.0; 3] };
    gemm.multiply(&[factor], 1, Finish::default(), Destination::Real(&mut [0.0]));
}
