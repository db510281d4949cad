//! Where a computation runs: device, executor, precision, threads.

use amdim_core::device;
use amdim_core::executor::{ExecutorKind, Precision};
pub use amdim_core::model::Placement;
use candle_core::DType;
use rayon::ThreadPoolBuilder;

use crate::{Result, RunError};

/// Stack of a worker: candle walks its tape recursively, layer by layer.
const STACK_BYTES: usize = 16 << 20;

/// Opens a device, and settles the precision.
///
/// # Errors
/// `AMDIM_DEVICE` names what is missing; `AMDIM_INVALID_ARGUMENT` for another name, no threads, a precision that the
/// executor doesn't have or a kernel (`AMDIM_KERNEL`) that the processor doesn't.
pub fn placement(
    device: &str,
    executor: ExecutorKind,
    precision: Precision,
    threads: usize,
) -> Result<Placement> {
    if threads == 0 {
        return Err(RunError::argument("threads", "at least 1", threads));
    }
    let device = device::open(device)?;
    let precision = precision.resolve(executor, &device)?;
    Ok(Placement { device, dtype: DType::F32, executor, precision, threads })
}

/// Runs `work` in a rayon pool of `threads` threads, which candle and the evaluation use too.
///
/// # Errors
/// `AMDIM_INTERNAL` if the system gives no threads; else those of `work`.
pub fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK_BYTES)
        .thread_name(|index| format!("amdim-{index}"))
        .build()
        .map_err(RunError::internal)?
        .install(work)
}
