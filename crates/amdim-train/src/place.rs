//! Where a computation runs: device, executor, threads.

use amdim_core::device;
use amdim_core::executor::ExecutorKind;
pub use amdim_core::model::Placement;
use candle_core::DType;
use rayon::ThreadPoolBuilder;

use crate::{Result, RunError};

/// Stack of a worker: candle walks its tape recursively, layer by layer.
const STACK_BYTES: usize = 16 << 20;

/// Opens a device for f32.
///
/// # Errors
/// `AMDIM_DEVICE` names what is missing; `AMDIM_INVALID_ARGUMENT` for another name or no threads.
pub fn placement(device: &str, executor: ExecutorKind, threads: usize) -> Result<Placement> {
    if threads == 0 {
        return Err(RunError::argument("threads", "at least 1", threads));
    }
    Ok(Placement { device: device::open(device)?, dtype: DType::F32, executor, threads })
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
