//! Running a network description: forward and backward over flat vectors.
//!
//! Everything above works with [`Executor`] and knows nothing of how a map is computed. Objectives take the maps as
//! leaves of a tape of their own and hand the maps' gradients back.

mod candle;
mod cpu;

use std::fmt;
use std::sync::Arc;

use amdim_kernels::Kernel;
use amdim_network::Network;
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub use candle::CandleExecutor;
pub use cpu::CpuExecutor;
pub(crate) use cpu::{Element, with_slice, with_slice_mut};

/// Runs one network description.
pub trait Executor: Send {
    /// The description.
    fn network(&self) -> &Arc<Network>;

    /// Short name: `candle` or `cpu`.
    fn name(&self) -> &'static str;

    /// Forward pass with running statistics, as far as some outputs need it: `wanted` are their places among those of
    /// the network.
    ///
    /// # Shapes
    /// - parameters: `[parameter_len]`, running: `[buffer_len]`
    /// - images: `[batch, channels, height, width]`
    /// - returns one `[batch, locations, channels]` a wanted output
    fn infer(
        &mut self,
        parameters: &Tensor,
        running: &Tensor,
        images: &Tensor,
        wanted: &[usize],
    ) -> Result<Vec<Tensor>>;

    /// Forward pass with the statistics of this batch, to all outputs; moves `running` (`[buffer_len]`). Shapes as in
    /// [`infer`].
    ///
    /// Several passes may be open at once (an AMDIM step has one for each view).
    ///
    /// [`infer`]: Executor::infer
    fn forward(&mut self, parameters: &Tensor, running: &mut Tensor, images: &Tensor) -> Result<Pass>;

    /// Whether the batch norms of the passes that [`forward`](Self::forward) opens from now on take the running
    /// statistics, which then stay and are constants of the derivative. At first they do not.
    fn freeze_statistics(&mut self, frozen: bool);
}

/// The backward half of a pass: gradients of the outputs in, gradient of the flat parameters `[parameter_len]` out.
type Backward = Box<dyn FnOnce(&[Tensor]) -> Result<Tensor> + Send>;

/// An open training pass: its outputs, and what is needed to go backward.
pub struct Pass {
    /// One `[batch, locations, channels]` an output of the network, without a tape.
    pub outputs: Vec<Tensor>,
    backward: Backward,
}

impl Pass {
    /// Gradient of the flat parameter vector, given that of each output.
    pub fn backward(self, output_gradients: &[Tensor]) -> Result<Tensor> {
        if output_gradients.len() != self.outputs.len() {
            return Err(Error::shape("output gradients", &[self.outputs.len()], &[output_gradients.len()]));
        }
        for (gradient, output) in output_gradients.iter().zip(&self.outputs) {
            crate::tensors::expect_shape("output gradient", gradient, output.dims())?;
        }
        (self.backward)(output_gradients)
    }
}

/// Which executor runs the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorKind {
    /// `cpu` on processors, `candle` elsewhere.
    Auto,
    /// [`CpuExecutor`]; processors only.
    Cpu,
    /// [`CandleExecutor`]; every device.
    Candle,
}

/// How an encoder keeps its maps. Parameters, gradients of parameters, sums and the optimiser are f32 in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// `bf16` where the `cpu` executor runs on a processor that multiplies bf16 faster than f32, else `f32`.
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits with the range of f32: maps of half the size, faster where the processor has fast instructions for it and
    /// about as fast elsewhere. The `cpu` executor only.
    Bf16,
}

impl Precision {
    /// `F32` or `Bf16`, as this executor and device have it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for bf16 on the candle executor, or a kernel that this processor doesn't have.
    pub fn resolve(self, kind: ExecutorKind, device: &Device) -> Result<Self> {
        let is_fast = device.is_cpu() && kind != ExecutorKind::Candle;
        match self {
            Self::Bf16 if !is_fast => Err(Error::argument(
                "precision",
                "f32 or auto on the candle executor (bf16 needs the cpu executor)",
                "bf16",
            )),
            Self::Auto if is_fast && Kernel::selected()?.has_fast_bf16() => Ok(Self::Bf16),
            Self::Auto => Ok(Self::F32),
            Self::F32 | Self::Bf16 => Ok(self),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

/// Builds an executor for a description on a device. `precision` must be resolved.
///
/// `threads` is the number of threads of the `cpu` executor (at least 1); candle uses the current rayon pool.
///
/// # Errors
/// [`Error::InvalidArgument`] for the `cpu` executor on another device or for zero threads.
pub fn build(
    kind: ExecutorKind,
    network: Arc<Network>,
    device: &Device,
    dtype: DType,
    precision: Precision,
    threads: usize,
) -> Result<Box<dyn Executor>> {
    match (kind, device.is_cpu()) {
        (ExecutorKind::Cpu, false) => {
            Err(Error::argument("executor", "candle on this device (cpu runs on processors only)", "cpu"))
        }
        (ExecutorKind::Candle, _) | (ExecutorKind::Auto, false) => Ok(Box::new(CandleExecutor::new(network))),
        (ExecutorKind::Cpu | ExecutorKind::Auto, true) => {
            Ok(Box::new(CpuExecutor::new(network, dtype, precision, threads)?))
        }
    }
}
