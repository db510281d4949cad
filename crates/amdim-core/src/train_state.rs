//! What training keeps beside the model, and how it goes into a checkpoint and comes back.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::checkpoint::{Checkpoint, Stored};
use crate::optim::Adam;
use crate::{Error, Result, tensors};

/// The optimisers of a run, one for each group of parameters, and any further tensors that a method carries from one
/// update to the next (moving-average copies, queues of negatives).
///
/// In a checkpoint they are `optimizer.GROUP.mean`, `optimizer.GROUP.square` and `state.NAME`; the numbers of updates
/// are in the header.
#[derive(Debug, Clone, Default)]
pub struct TrainState {
    /// Optimisers by group.
    pub optimizers: BTreeMap<&'static str, Adam>,
    /// Further tensors by name.
    pub carried: BTreeMap<&'static str, Tensor>,
}

impl TrainState {
    /// Adds everything to a checkpoint.
    pub fn save(&self, file: &mut Checkpoint) -> Result<()> {
        for (group, adam) in &self.optimizers {
            file.header.optimizer_steps.insert((*group).into(), adam.steps);
        }
        for (name, tensor) in self.named() {
            file.tensors.insert(name, Stored::float(tensor.dims().to_vec(), tensors::to_vec(tensor)?));
        }
        Ok(())
    }

    /// A state of the same groups, names and shapes as this one, with the values of a checkpoint.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the file has no optimiser of a group (a model file); [`Error::Shape`] for a tensor
    /// that is missing or of another shape.
    pub fn restored(&self, file: &Checkpoint) -> Result<Self> {
        let read = |name: &str, like: &Tensor| -> Result<Tensor> {
            let values = Stored::take(&file.tensors, name, like.dims())?;
            tensors::from_slice(values, like.dims(), like.dtype(), like.device())
        };
        let mut restored = Self::default();
        for (&group, adam) in &self.optimizers {
            let steps = file.header.optimizer_steps.get(group).copied().ok_or_else(|| {
                Error::argument(
                    "resume",
                    "a checkpoint with optimiser state",
                    "a model file, or one of another run",
                )
            })?;
            let mean = read(&format!("optimizer.{group}.mean"), &adam.mean)?;
            let square = read(&format!("optimizer.{group}.square"), &adam.square)?;
            restored.optimizers.insert(group, Adam { mean, square, steps });
        }
        for (&name, tensor) in &self.carried {
            restored.carried.insert(name, read(&format!("state.{name}"), tensor)?);
        }
        Ok(restored)
    }

    fn named(&self) -> impl Iterator<Item = (String, &Tensor)> {
        let moments = self.optimizers.iter().flat_map(|(group, adam)| {
            [
                (format!("optimizer.{group}.mean"), &adam.mean),
                (format!("optimizer.{group}.square"), &adam.square),
            ]
        });
        moments.chain(self.carried.iter().map(|(name, tensor)| (format!("state.{name}"), tensor)))
    }
}
