//! What the processor at hand does fast: matrix products, vector loops, tasks on threads.
//!
//! - [`Kernel`]: the instruction set, found at run time or forced by `AMDIM_KERNEL`.
//! - [`Real`] and [`Stored`]: the number types; bf16 is stored, f32 and f64 are computed with.
//! - [`gemm`]: products of matrices, with what follows them done on the way out.
//! - [`winograd`]: convolutions with fewer multiplications.
//! - [`transpose`]: matrices turned over; [`copy_short`]: a few values copied.
//! - [`Buffer`]: values that begin on a cache line, on large pages.
//! - [`Pool`]: threads that share out tasks without an allocation.
//!
//! `unsafe` stays in here, in small files, each function with its contract; crates above are safe code.

#![allow(
    clippy::inline_always,
    reason = "a function compiled for an instruction set must swallow what it calls"
)]

mod copy;
mod elementary;
mod error;
pub mod gemm;
mod kernel;
mod memory;
mod pool;
mod simd;
mod stored;
mod transpose;
pub mod winograd;

pub use copy::copy_short;
pub use error::KernelError;
pub use kernel::{KERNEL_VARIABLE, Kernel};
pub use memory::Buffer;
pub use pool::Pool;
pub use stored::{Bf16, Real, Stored, WideBf16};
pub use transpose::transpose;
