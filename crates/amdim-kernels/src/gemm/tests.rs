//! Every kernel that this processor has, and AMX on emulated tiles, against plain loops. Values are small whole numbers,
//! so that all products and sums are exact in every type (bf16 holds whole numbers up to 256).

use quickcheck::quickcheck;

use super::*;
use crate::{Bf16, Real, WideBf16};

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

/// A number type whose products are tested.
trait Tested: Stored {
    /// A kernel that this processor lacks, on what it has.
    fn emulated() -> Option<Gemm<Self>> {
        None
    }
}

impl Tested for f32 {}
impl Tested for f64 {}
impl Tested for WideBf16 {}
impl Tested for Bf16 {
    /// AMX: tiles in plain Rust, all else as it is.
    #[cfg(target_arch = "x86_64")]
    fn emulated() -> Option<Gemm<Self>> {
        use std::sync::LazyLock;

        use crate::kernel::has_avx512_bf16;
        use crate::simd::amx::emulated::Emulated;
        use crate::simd::avx512::NativeBf16;

        static TABLE: LazyLock<Table<Bf16>> =
            LazyLock::new(|| amx::table::<Emulated, NativeBf16>(Gemm::<Bf16>::new(Kernel::Avx512).table));
        (Kernel::Avx512.is_supported() && has_avx512_bf16()).then(|| Gemm {
            kernel: Kernel::Avx512,
            table: &TABLE,
            packing: &TABLE,
        })
    }
}

/// All that can be tested here, with names.
fn gemms<S: Tested>() -> impl Iterator<Item = (String, Gemm<S>)> {
    let supported = Kernel::ALL.into_iter().filter(|&kernel| Gemm::<S>::exists(kernel));
    let own = supported.map(|kernel| (kernel.to_string(), Gemm::new(kernel)));
    own.chain(S::emulated().map(|gemm| ("emulated".into(), gemm)))
}

/// Whether `test` says so of every kernel.
fn all<S: Tested>(test: impl Fn(Gemm<S>) -> bool) -> bool {
    gemms().all(|(name, gemm)| {
        let passed = test(gemm);
        if !passed {
            eprintln!("{name}, {}", type_name::<S>());
        }
        passed
    })
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

fn multiplies<S: Stored>(gemm: Gemm<S>, case: Case) -> bool {
    let Case { rows, inner, n, factors, gap, .. } = case;
    let lefts: Vec<Vec<S>> = (0..2).map(|f| numbers(rows * (inner[f] + gap), f)).collect();
    let rights: Vec<Vec<S::Packed>> = (0..2).map(|f| numbers(inner[f] * n, 5 + f)).collect();
    let packed: Vec<Vec<S::Packed>> = (0..2)
        .map(|f| {
            let mut packed = numbers(gemm.packed_len(inner[f], n), 1);
            gemm.packing().pack(Right::Rows(Rows::new(&rights[f], n)), &mut packed);
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

fn multiplies_transposed<S: Stored>(gemm: Gemm<S>, [rows, a, b]: [usize; 3], gap: usize, add: bool) -> bool {
    let (left, right): (Vec<S>, Vec<S>) = (numbers(rows * (a + gap), 1), numbers(rows * (b + gap), 2));
    let before: Vec<S::Real> = numbers(a * b, 3);
    let mut result = before.clone();
    let mut scratch: Vec<S::Packed> = numbers(gemm.transposed_scratch(rows, a), 4);
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
            inner: [inner.0 as usize % 97 + 1, inner.1 as usize % 41 + 1],
            n: n as usize % 131 + 1,
            factors: if two { 2 } else { 1 },
            gap: gap as usize % 5,
            options,
        };
        all::<f32>(|gemm| multiplies(gemm, case))
            && all::<f64>(|gemm| multiplies(gemm, case))
            && all::<Bf16>(|gemm| multiplies(gemm, case))
            && all::<WideBf16>(|gemm| multiplies(gemm, case))
    }

    fn transposed_products_equal_plain_loops(rows: u8, a: u8, b: u8, gap: u8, add: bool) -> bool {
        let sizes = [rows as usize % 97 + 1, a as usize % 67 + 1, b as usize % 131 + 1];
        let gap = gap as usize % 5;
        all::<f32>(|gemm| multiplies_transposed(gemm, sizes, gap, add))
            && all::<f64>(|gemm| multiplies_transposed(gemm, sizes, gap, add))
            && all::<Bf16>(|gemm| multiplies_transposed(gemm, sizes, gap, add))
            && all::<WideBf16>(|gemm| multiplies_transposed(gemm, sizes, gap, add))
    }
}

/// Rows put together from `runs` stretches, evenly spaced or anywhere, against the same rows copied together.
fn windows_equal_copies<S: Stored>(
    gemm: Gemm<S>,
    rows: usize,
    [runs, run]: [usize; 2],
    n: usize,
    seed: usize,
) -> bool {
    let data: Vec<S> = numbers(run + 50, seed);
    let offsets: Vec<usize> = (0..rows * runs)
        .map(|at| if seed.is_multiple_of(3) { at / runs + at % runs } else { (at * 31 + seed * 17) % 51 })
        .collect();
    let copies: Vec<S> = offsets.iter().flat_map(|&offset| &data[offset..offset + run]).copied().collect();
    let width = runs * run;
    let windows = Left::Windows(Windows::new(&data, &offsets, [runs, run]));
    let copied = Left::Rows(Rows::new(&copies, width));
    let right: Vec<S::Packed> = numbers(width * n, 4);
    let mut packed = vec![S::Packed::default(); gemm.packed_len(width, n)];
    gemm.packing().pack(Right::Rows(Rows::new(&right, n)), &mut packed);
    let multiply = |left| {
        let mut to: Vec<S::Real> = numbers(rows * n, 6);
        let factor = Factor { left, right: &packed };
        gemm.multiply(&[factor], n, Finish::default(), Destination::Real(&mut to));
        to
    };
    let left: Vec<S> = numbers(rows * n, 8);
    let transposed = |right| {
        let mut to: Vec<S::Real> = numbers(n * width, 7);
        let mut scratch: Vec<S::Packed> = numbers(gemm.transposed_scratch(rows, n), 5);
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
        all::<f32>(|gemm| windows_equal_copies(gemm, rows, runs, n, seed.into()))
            && all::<f64>(|gemm| windows_equal_copies(gemm, rows, runs, n, seed.into()))
            && all::<Bf16>(|gemm| windows_equal_copies(gemm, rows, runs, n, seed.into()))
            && all::<WideBf16>(|gemm| windows_equal_copies(gemm, rows, runs, n, seed.into()))
    }
}

#[test]
#[should_panic(expected = "a stretch beyond the data")]
fn a_stretch_that_is_not_there_is_refused() {
    let _ = Windows::new(&[1.0f32; 5], &[0, 3, 4], [1, 2]);
}

fn packs_alike<S: Tested + Stored<Packed = S>>(inner: usize, n: usize) -> bool {
    let rows: Vec<S> = numbers(inner * n, 3);
    let columns: Vec<S> = (0..inner * n).map(|at| rows[at % inner * n + at / inner]).collect();
    all::<S>(|gemm| {
        let mut packed = [(); 2].map(|()| vec![number(9.0); gemm.packed_len(inner, n)]);
        gemm.pack(Right::Rows(Rows::new(&rows, n)), &mut packed[0]);
        gemm.pack(Right::Columns(Rows::new(&columns, inner)), &mut packed[1]);
        packed[0] == packed[1]
    })
}

fn packs_in_parts<S: Tested + Stored<Packed = S>>(inner: usize, n: usize, steps: usize) -> bool {
    let rows: Vec<S> = numbers(inner * n, 3);
    all::<S>(|gemm| {
        let mut packed = [(); 2].map(|()| vec![number(9.0); gemm.packed_len(inner, n)]);
        gemm.pack(Right::Rows(Rows::new(&rows, n)), &mut packed[0]);
        for (panel, packed) in packed[1].chunks_exact_mut(gemm.panel_len(inner)).enumerate() {
            let part = steps * gemm.row_step();
            for (index, rows) in rows.chunks(part * n).enumerate() {
                gemm.pack_panel_rows(panel, [index * part, inner], Rows::new(rows, n), packed);
            }
        }
        packed[0] == packed[1]
    })
}

quickcheck! {
    fn rows_are_packed_in_parts(inner: u8, n: u8, steps: u8) -> bool {
        let (inner, n, steps) = (inner as usize + 1, n as usize + 1, steps as usize % 40 + 1);
        packs_in_parts::<f32>(inner, n, steps)
            && packs_in_parts::<f64>(inner, n, steps)
            && packs_in_parts::<Bf16>(inner, n, steps)
    }

    fn rows_and_columns_pack_alike(inner: u8, n: u8) -> bool {
        let (inner, n) = (inner as usize + 1, n as usize + 1);
        packs_alike::<f32>(inner, n) && packs_alike::<f64>(inner, n) && packs_alike::<Bf16>(inner, n)
    }
}

#[test]
fn sizes_at_the_edges_of_tiles() {
    for rows in [1, 2, 13, 14, 15, 16, 17, 28, 29, 31, 32, 33, 59, 60, 61] {
        for n in [1, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97] {
            for inner in [1, 2, 3, 31, 32, 33] {
                let case = Case { rows, inner: [inner, 1], n, factors: 1, gap: 0, options: 0b100_1011 };
                assert!(all::<f32>(|gemm| multiplies(gemm, case)), "{rows} {inner} {n}");
                assert!(all::<Bf16>(|gemm| multiplies(gemm, case)), "{rows} {inner} {n}");
                assert!(all::<WideBf16>(|gemm| multiplies(gemm, case)), "{rows} {inner} {n}");
                let sizes = [inner, rows, n];
                assert!(all::<f32>(|gemm| multiplies_transposed(gemm, sizes, 0, false)), "{sizes:?}");
                assert!(all::<Bf16>(|gemm| multiplies_transposed(gemm, sizes, 0, true)), "{sizes:?}");
                assert!(all::<WideBf16>(|gemm| multiplies_transposed(gemm, sizes, 0, true)), "{sizes:?}");
            }
        }
    }
}

/// Longer rows than a matrix unit takes.
#[test]
fn long_inner_dimensions() {
    for inner in [[8192, 1], [8192, 40], [8161, 31]] {
        for factors in [1, 2] {
            let case = Case { rows: 3, inner, n: 33, factors, gap: 1, options: 0 };
            assert!(all::<f32>(|gemm| multiplies(gemm, case)), "{inner:?}");
            assert!(all::<Bf16>(|gemm| multiplies(gemm, case)), "{inner:?}");
            assert!(all::<WideBf16>(|gemm| multiplies(gemm, case)), "{inner:?}");
        }
    }
}

#[test]
fn nan_passes_the_relu_and_stays_out_of_other_rows() {
    // Odd inner lengths: the step that ends the first row must not touch the second one's NaN.
    for inner in [3, 31, 33, 67] {
        for (kernel, gemm) in gemms::<Bf16>() {
            let mut left = vec![Bf16::from_real(1.0); 2 * inner];
            left[inner] = Bf16::from_real(f32::NAN);
            let mut packed = vec![Bf16::default(); gemm.packed_len(inner, 1)];
            let ones = vec![Bf16::from_real(1.0); inner];
            gemm.pack(Right::Columns(Rows::new(&ones, inner)), &mut packed);
            let mut result = [0.0f32; 2];
            let factor = Factor { left: Rows::new(&left, inner).into(), right: &packed };
            let finish = Finish { relu: true, ..Finish::default() };
            gemm.multiply(&[factor], 1, finish, Destination::Real(&mut result));
            assert_eq!(result[0], inner as f32, "{kernel}");
            assert!(result[1].is_nan(), "{kernel}");
        }
    }
}

/// A right factor's NaN or infinity meets nothing but its own column, although steps are padded with zeros.
#[test]
fn nan_stays_out_of_other_columns_and_runs() {
    let one = Bf16::from_real(1.0);
    for (kernel, gemm) in gemms::<Bf16>() {
        let (runs, run, n) = (3, 6, 33);
        let data = vec![one; run];
        let offsets = vec![0; 5 * runs];
        let left = Left::Windows(Windows::new(&data, &offsets, [runs, run]));
        // A second, shorter factor: it must not meet what the first one left behind.
        let second = vec![one; 5 * 3];
        let mut second_packed = vec![Bf16::default(); gemm.packed_len(3, n)];
        gemm.pack(Right::Rows(Rows::new(&vec![one; 3 * n], n)), &mut second_packed);
        for (row, column) in [(0, 0), (run, 15), (2 * run + 1, 16), (run * runs - 1, 32)] {
            let mut right = vec![one; runs * run * n];
            right[row * n + column] = Bf16::from_real(f32::INFINITY);
            let mut packed = vec![Bf16::default(); gemm.packed_len(runs * run, n)];
            gemm.pack(Right::Rows(Rows::new(&right, n)), &mut packed);
            let mut result = vec![0.0f32; 5 * n];
            let factors = [
                Factor { left, right: &packed },
                Factor { left: Rows::new(&second, 3).into(), right: &second_packed },
            ];
            gemm.multiply(&factors, n, Finish::default(), Destination::Real(&mut result));
            for (at, &sum) in result.iter().enumerate() {
                let expected = if at % n == column { f32::INFINITY } else { (runs * run + 3) as f32 };
                assert_eq!(sum, expected, "{kernel}: {row}, {column}, {at}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "a packed right factor")]
fn a_factor_packed_for_other_sizes_is_refused() {
    let gemm = Gemm::<f32>::new(Kernel::Portable);
    let factor = Factor { left: Rows::new(&[1.0, 2.0], 2).into(), right: &[0.0; 3] };
    gemm.multiply(&[factor], 1, Finish::default(), Destination::Real(&mut [0.0]));
}

/// Memory that ends where no more may be touched.
#[cfg(target_os = "linux")]
mod ended {
    use std::ffi::{c_int, c_long, c_void};
    use std::ops::{Deref, DerefMut};
    use std::{ptr, slice};

    use super::Stored;

    /// A multiple of every page size.
    const PAGE: usize = 1 << 16;

    unsafe extern "C" {
        fn mmap(
            at: *mut c_void,
            length: usize,
            protection: c_int,
            flags: c_int,
            file: c_int,
            offset: c_long,
        ) -> *mut c_void;
        fn mprotect(at: *mut c_void, length: usize, protection: c_int) -> c_int;
        fn munmap(at: *mut c_void, length: usize) -> c_int;
    }

    /// Values with a page after the last one that ends the process when it is read or written.
    pub(super) struct Ended<S> {
        map: *mut c_void,
        mapped: usize,
        first: *mut S,
        length: usize,
    }

    impl<S: Stored> Ended<S> {
        pub(super) fn new(values: &[S]) -> Self {
            const READ_AND_WRITE: c_int = 3;
            const PRIVATE_AND_ANONYMOUS: c_int = 0x22;
            let used = size_of_val(values).next_multiple_of(PAGE);
            let mapped = used + PAGE;
            // SAFETY: new memory, of whole pages; the values end where its last page begins.
            unsafe {
                let map = mmap(ptr::null_mut(), mapped, READ_AND_WRITE, PRIVATE_AND_ANONYMOUS, -1, 0);
                assert_ne!(map.addr(), usize::MAX, "memory");
                assert_eq!(mprotect(map.byte_add(used), PAGE, 0), 0, "a page that can't be read");
                let first = map.byte_add(used).cast::<S>().sub(values.len());
                first.copy_from_nonoverlapping(values.as_ptr(), values.len());
                Self { map, mapped, first, length: values.len() }
            }
        }
    }

    impl<S> Deref for Ended<S> {
        type Target = [S];

        fn deref(&self) -> &[S] {
            // SAFETY: see `new`.
            unsafe { slice::from_raw_parts(self.first, self.length) }
        }
    }

    impl<S> DerefMut for Ended<S> {
        fn deref_mut(&mut self) -> &mut [S] {
            // SAFETY: see `new`.
            unsafe { slice::from_raw_parts_mut(self.first, self.length) }
        }
    }

    impl<S> Drop for Ended<S> {
        fn drop(&mut self) {
            // SAFETY: mapped by `new`, and borrowed no more.
            unsafe { munmap(self.map, self.mapped) };
        }
    }
}

/// All that a product reads and writes lies at the end of its memory.
#[cfg(target_os = "linux")]
fn stays_within<S: Tested>([rows, inner, n]: [usize; 3]) {
    use ended::Ended;

    let gap = 3;
    let left = Ended::new(&numbers::<S>(rows * (inner + gap) - gap, 1));
    let rights = Ended::new(&numbers::<S::Packed>(inner * n, 2));
    let reals = Ended::new(&numbers::<S::Real>(n, 3));
    let maps = Ended::new(&numbers::<S>(rows * n, 4));
    // The last row's stretch ends with the data.
    let offsets: Vec<usize> = (0..rows).map(|row| row * (inner + gap)).collect();
    let lefts = [
        Left::Rows(Rows::strided(&left, inner + gap, inner)),
        Left::Windows(Windows::new(&left, &offsets, [1, inner])),
    ];
    for (_, gemm) in gemms::<S>() {
        let mut packed = Ended::new(&vec![S::Packed::default(); gemm.packed_len(inner, n)]);
        gemm.packing().pack(Right::Rows(Rows::new(&rights, n)), &mut packed);
        let finish = Finish {
            bias: Some(&reals),
            add: Some(Addend::Stored(Rows::new(&maps, n))),
            accumulate: true,
            relu: true,
            mask: Some(Rows::new(&maps, n)),
        };
        for left in lefts {
            let (mut stored, mut real) =
                (Ended::new(&vec![S::default(); rows * n]), Ended::new(&vec![S::Real::default(); rows * n]));
            let factors = [Factor { left, right: &packed }; 2];
            gemm.multiply(&factors, n, finish, Destination::Stored(&mut stored));
            gemm.multiply(&factors, n, finish, Destination::Real(&mut real));
            let mut scratch = Ended::new(&vec![S::Packed::default(); gemm.transposed_scratch(rows, n)]);
            let mut gradient = Ended::new(&vec![S::Real::default(); n * inner]);
            gemm.multiply_transposed(Rows::new(&maps, n), left, &mut gradient, true, &mut scratch);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_beyond_the_operands_is_touched() {
    for rows in [1, 2, 15, 16, 17, 33, 63] {
        for inner in [1, 2, 31, 32, 33, 66] {
            for n in [1, 15, 17, 32, 45] {
                stays_within::<f32>([rows, inner, n]);
                stays_within::<Bf16>([rows, inner, n]);
                stays_within::<WideBf16>([rows, inner, n]);
            }
        }
    }
}
