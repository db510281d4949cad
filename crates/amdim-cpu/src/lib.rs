//! Forward and backward of a network description on CPUs.
//!
//! [`CpuNetwork`] runs an [`amdim_network::Network`] with a hand-written backward, for `f32`, `f64` and maps kept as
//! bf16. Its results are those of the same network in `PyTorch` up to rounding, and the same bits for any number of
//! threads.
//!
//! How it works, from the outside in:
//! - `network`: the public type; walks the layers forward or backward.
//! - `layer`: one kind of layer a file, forward and backward side by side. A residual block and a projection are the
//!   same block with another shortcut.
//! - `groups`: a batch is cut into at most eight groups of pictures, which threads work on in parallel; a group into
//!   chunks of rows that stay in the cache while a layer gathers patches, multiplies, rectifies and multiplies again.
//! - [`nce`], [`classifiers`], [`adam`]: the rest of a training step.
//! - `filter`, `patches`, `tiling`, `norm`, `elementwise`: what layers are made of.
//!
//! The matrix products, the instruction sets and the threads are those of [`amdim_kernels`].
//!
//! Maps are `[batch, row, column, channel]` inside, so that a patch of a map is a few runs of memory, a 1x1
//! convolution is a plain matrix product, and the outputs need no transposition.

#![allow(clippy::inline_always, reason = "a loop compiled for an instruction set must swallow what it calls")]

pub mod adam;
pub mod classifiers;
mod elementwise;
mod error;
mod filter;
mod groups;
mod layer;
pub mod nce;
mod network;
mod norm;
mod patches;
mod registers;
mod slot;
mod tiling;
mod vectors;
mod workers;

pub use error::CpuError;
pub use network::{CpuNetwork, NetworkMemory};
