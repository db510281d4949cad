//! Everything that can go wrong at the border of this crate.

use amdim_kernels::KernelError;
use thiserror::Error;

/// Why a pass could not be computed. Nothing has been changed when one is returned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CpuError {
    /// A slice doesn't have the length that the network and the batch ask for.
    #[error("{what}: expected {expected} values, got {actual}")]
    Length {
        /// Which argument.
        what: &'static str,
        /// Number of values asked for.
        expected: usize,
        /// Number of values given.
        actual: usize,
    },
    /// The batch holds no picture.
    #[error("a batch must hold at least one picture")]
    EmptyBatch,
    /// There is no such training slot.
    #[error("there is no slot {slot}; the network was made with {slots}")]
    NoSuchSlot {
        /// Slot asked for.
        slot: usize,
        /// Number of slots.
        slots: usize,
    },
    /// Backward without a forward pass before it in the same slot.
    #[error("slot {slot} holds no forward pass")]
    EmptySlot {
        /// Slot asked for.
        slot: usize,
    },
    /// Batch statistics of one value a channel: its variance is undefined. (`PyTorch` refuses it as well.)
    #[error(
        "{layer}: batch norm in training needs more than one value a channel, got a batch of 1 and a 1x1 map"
    )]
    SingleValue {
        /// Name of the layer.
        layer: String,
    },
    /// The description does not hang together, e.g. a node reads a later one.
    #[error("{layer}: {problem}")]
    Network {
        /// Name of the layer, or "network".
        layer: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Settings, positions or a batch that an objective can't work with.
    #[error("the objective can't be computed: {problem}")]
    Objective {
        /// What is wrong.
        problem: &'static str,
    },
    /// The kernel that was asked for can't run here.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Checks the length of an argument.
pub(crate) fn check_length(what: &'static str, actual: usize, expected: usize) -> Result<(), CpuError> {
    if actual == expected { Ok(()) } else { Err(CpuError::Length { what, expected, actual }) }
}
