//! What a training step holds, in bytes.

use serde::Serialize;

/// Bytes that a training step holds for a batch; see [`Learner::memory`](crate::train_step::Learner::memory).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepMemory {
    /// Parameters in every form, their gradients, the optimiser's state.
    pub parameters: usize,
    /// Maps of both views that wait for backward, gradients of maps.
    pub maps: usize,
    /// The loss, and the online classifiers, on the features of a batch.
    pub loss: usize,
    /// What threads work in.
    pub scratch: usize,
    /// What writing a checkpoint needs on top, while it lasts: the state as tensors, and as a list of tensors by name.
    pub checkpoint: usize,
}

impl StepMemory {
    /// Bytes while nothing is written.
    pub fn step(&self) -> usize {
        self.parameters + self.maps + self.loss + self.scratch
    }
}
