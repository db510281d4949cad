//! How fast this machine multiplies at best: products whose factors stay in the first cache, on every thread at once.
//!
//! `cargo run --release -p amdim-kernels --example limit -- THREADS` prints one JSON line, GFLOP/s in f32 and bf16: what
//! the shares in `docs/results/speed.md` are shares of.

use std::time::{Duration, Instant};

use amdim_kernels::gemm::{Destination, Factor, Finish, Gemm, Right, Rows};
use amdim_kernels::{Bf16, Kernel, KernelError, Pool, Stored, WideBf16};

/// Rows, inner dimension and columns: tiles of vector registers fit the first two (24 KiB of factors in f32), blocks of a
/// matrix unit the last (40 KiB in bf16). The fastest one counts.
const SHAPES: [[usize; 3]; 3] = [[20, 120, 32], [24, 72, 64], [64, 128, 96]];
const TIME: Duration = Duration::from_millis(300);
/// Measurements; the best one counts, because others may use the cores too.
const ROUNDS: usize = 5;

fn best<S: Stored>(kernel: Kernel, pool: &Pool) -> f64 {
    (0..ROUNDS).flat_map(|_| SHAPES).map(|shape| rate::<S>(kernel, pool, shape)).fold(0.0, f64::max)
}

/// GFLOP/s of all threads together, for `[m, k, n]`.
fn rate<S: Stored>(kernel: Kernel, pool: &Pool, [m, k, n]: [usize; 3]) -> f64 {
    let mut rates = vec![0.0; pool.threads()];
    pool.for_each_mut(&mut rates, |_, rate, _| {
        let gemm = Gemm::<S>::new(kernel);
        let (left, right) = (vec![S::default(); m * k], vec![S::Packed::default(); k * n]);
        let mut packed = vec![S::Packed::default(); gemm.packed_len(k, n)];
        gemm.packing().pack(Right::Rows(Rows::new(&right, n)), &mut packed);
        let mut result = vec![S::default(); m * n];
        let (start, mut products) = (Instant::now(), 0_u64);
        while start.elapsed() < TIME {
            for _ in 0..1000 {
                let factor = Factor { left: Rows::new(&left, k).into(), right: &packed };
                gemm.multiply(&[factor], n, Finish::default(), Destination::Stored(&mut result));
            }
            products += 1000;
        }
        *rate = (2 * m * k * n) as f64 * products as f64 / start.elapsed().as_secs_f64() / 1e9;
    });
    rates.iter().sum()
}

fn main() -> Result<(), KernelError> {
    let threads = std::env::args().nth(1).and_then(|threads| threads.parse().ok()).unwrap_or(1);
    let (kernel, pool) = (Kernel::selected()?, Pool::new(threads)?);
    let f32 = best::<f32>(kernel, &pool);
    let bf16 =
        if kernel.has_fast_bf16() { best::<Bf16>(kernel, &pool) } else { best::<WideBf16>(kernel, &pool) };
    println!(r#"{{"kernel":"{kernel}","threads":{threads},"f32":{f32:.1},"bf16":{bf16:.1}}}"#);
    Ok(())
}
