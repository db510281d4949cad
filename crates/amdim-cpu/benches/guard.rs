//! The hot kernels beside what anybody would use instead, in alternation on one thread, as ratios: products beside the
//! `gemm` crate's in f32, loops beside plain ones. `npm run bench:guard` before a commit that touches them; ends with
//! status 1 where a ratio is below its floor.
//!
//! A ratio says how many times as fast ours is. Machines differ, ratios hardly do.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use amdim_cpu::adam::{AdamStep, adam_update};
use amdim_kernels::gemm::{Destination, Factor, Finish, Gemm, Right, Rows};
use amdim_kernels::{Bf16, Kernel, Pool, Real, Stored, WideBf16, vectorized};
use gemm::Parallelism;

/// Pairs of runs, of which the median counts.
const ROUNDS: usize = 15;
/// Floating-point operations of a run of products.
const WORK: usize = 150_000_000;

/// Products of the encoders, `rows x inner x n`: 1x1 windows at 30x30, 4x4, 1x1 at 14x14 and 7x7, projections, 3x3.
const SHAPES: [[usize; 3]; 6] =
    [[1024, 64, 64], [1024, 512, 64], [512, 128, 128], [512, 256, 256], [256, 512, 512], [512, 1152, 128]];

fn numbers<S: Stored<Real = f32>>(count: usize) -> Vec<S> {
    (0..count).map(|i| S::from_real(((i as f32 * 12.9898).sin() * 43758.547).fract())).collect()
}

fn seconds(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// How many times as fast `ours` is, and its seconds.
fn compare(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (f64, f64) {
    ours();
    theirs();
    let mut pairs: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let (a, b) = (seconds(&mut ours), seconds(&mut theirs));
            (b / a, a)
        })
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    pairs[ROUNDS / 2]
}

/// `result = left right` (`[m, k]`, `[k, n]`), or with `transposed` `left^T right` for a left `[k, m]`.
fn crate_product(
    [m, k, n]: [usize; 3],
    transposed: bool,
    left: &[f32],
    right: &[f32],
    result: &mut [f32],
    add: bool,
) {
    assert!(left.len() == m * k && right.len() == k * n && result.len() == m * n);
    let (column, row) = if transposed { (m, 1) } else { (1, k) };
    // SAFETY: the lengths were checked, and the strides stay within them.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            result.as_mut_ptr(),
            1,
            n as isize,
            add,
            left.as_ptr(),
            column as isize,
            row as isize,
            right.as_ptr(),
            1,
            n as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Lines of the table, and whether all ratios were at their floors.
struct Guard {
    holds: bool,
}

impl Guard {
    fn line(&mut self, what: &str, (ratio, seconds): (f64, f64), flops: usize, floor: f64) {
        let rate = if flops > 0 { format!("{:6.1}", flops as f64 / seconds / 1e9) } else { "     -".into() };
        let verdict = if ratio >= floor { "" } else { "  BELOW" };
        self.holds &= ratio >= floor;
        println!("{what:44} {rate} GFLOP/s  ratio {ratio:5.2}  floor {floor:4.2}{verdict}");
    }

    fn products<S: Stored<Real = f32>>(
        &mut self,
        name: &str,
        kernel: Kernel,
        forward_floor: f64,
        weights_floor: f64,
    ) {
        let gemm = Gemm::<S>::new(kernel);
        for shape @ [m, k, n] in SHAPES {
            let (left, right) = (numbers::<S>(m * k), numbers::<S::Packed>(k * n));
            let (plain_left, plain_right) = (numbers::<f32>(m * k), numbers::<f32>(k * n));
            let mut packed = vec![S::Packed::default(); gemm.packed_len(k, n)];
            gemm.packing().pack(Right::Rows(Rows::new(&right, n)), &mut packed);
            let (mut result, mut plain) = (vec![S::default(); m * n], vec![0.0; m * n]);
            let times = (WORK / (2 * m * k * n)).max(1);
            let ratio = compare(
                || {
                    for _ in 0..times {
                        let factor = Factor { left: Rows::new(&left, k).into(), right: &packed };
                        gemm.multiply(&[factor], n, Finish::default(), Destination::Stored(&mut result));
                    }
                },
                || {
                    for _ in 0..times {
                        crate_product(shape, false, &plain_left, &plain_right, &mut plain, false);
                    }
                },
            );
            self.line(&format!("{name} product {m}x{k}x{n}"), ratio, times * 2 * m * k * n, forward_floor);

            // The gradients of the weights: [n, k] += gradients^T [n, m] maps [m, k].
            let (gradients, plain_gradients) = (numbers::<S>(m * n), numbers::<f32>(m * n));
            let (mut weights, mut plain_weights) = (vec![0.0; n * k], vec![0.0; n * k]);
            let mut scratch = vec![S::Packed::default(); gemm.transposed_scratch(m, n)];
            let ratio = compare(
                || {
                    for _ in 0..times {
                        let maps = Rows::new(&left, k).into();
                        gemm.multiply_transposed(
                            Rows::new(&gradients, n),
                            maps,
                            &mut weights,
                            true,
                            &mut scratch,
                        );
                    }
                },
                || {
                    for _ in 0..times {
                        let shape = [n, m, k];
                        crate_product(shape, true, &plain_gradients, &plain_left, &mut plain_weights, true);
                    }
                },
            );
            self.line(
                &format!("{name} weight gradients {n}x{m}x{k}"),
                ratio,
                times * 2 * m * k * n,
                weights_floor,
            );
        }
    }

    fn elementary(&mut self, kernel: Kernel) {
        let from = numbers::<f32>(1 << 14);
        let (mut ours, mut plain) = (from.clone(), from.clone());
        let exp = compare(
            || vectorized!(kernel, ours.iter_mut().zip(&from).for_each(|(to, &x)| *to = Real::exp(x))),
            || plain.iter_mut().zip(black_box(&from)).for_each(|(to, &x)| *to = f32::exp(x)),
        );
        self.line("exp of 16384 values", exp, 0, 1.5);
        let tanh = compare(
            || vectorized!(kernel, ours.iter_mut().zip(&from).for_each(|(to, &x)| *to = Real::tanh(x))),
            || plain.iter_mut().zip(black_box(&from)).for_each(|(to, &x)| *to = f32::tanh(x)),
        );
        self.line("tanh of 16384 values", tanh, 0, 1.5);
    }

    fn adam(&mut self, kernel: Kernel) {
        let length = 1 << 15;
        let pool = Pool::new(1).expect("the caller's thread");
        let gradient = numbers::<f32>(length);
        let [mut values, mut mean, mut square] = [(); 3].map(|()| numbers::<f32>(length));
        let mut plain = [values.clone(), mean.clone(), vec![0.5; length]];
        square.fill(0.5);
        let step = AdamStep {
            rate: 1e-3,
            beta1: 0.8,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 1e-5,
            gradient_factor: 1.0,
            step: 10,
        };
        let ratio = compare(
            || {
                let state = [&mut values[..], &mut mean, &mut square];
                adam_update(&pool, kernel, &step, state, &gradient, std::slice::from_ref(&(0..length)));
            },
            || {
                let [values, mean, square] = &mut plain;
                for (at, &gradient) in black_box(&gradient).iter().enumerate() {
                    let g = gradient + values[at] * 1e-5;
                    mean[at] = mean[at] * 0.8 + g * 0.2;
                    square[at] = square[at] * 0.999 + g * g * 0.001;
                    values[at] -= mean[at] / (square[at].sqrt() / 0.1 + 1e-8) * 2e-3;
                }
            },
        );
        self.line("Adam on 32768 values", ratio, 0, 1.0);
    }
}

fn main() -> ExitCode {
    let kernel = match Kernel::selected() {
        Ok(kernel) => kernel,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    println!("kernel {kernel}; products beside the gemm crate's in f32, loops beside plain ones; one thread");
    let mut guard = Guard { holds: true };
    // The gemm crate takes the best instructions whatever kernel is forced, so floors are for the best one.
    let best = kernel == Kernel::best() && kernel != Kernel::Portable;
    let floor = |value: f64| if best { value } else { 0.0 };
    guard.products::<f32>("f32", kernel, floor(0.95), floor(0.8));
    if kernel.has_fast_bf16() {
        guard.products::<Bf16>("bf16", kernel, floor(1.5), floor(1.2));
    } else {
        guard.products::<WideBf16>("bf16", kernel, floor(0.8), floor(0.7));
    }
    guard.elementary(kernel);
    guard.adam(kernel);
    if guard.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
