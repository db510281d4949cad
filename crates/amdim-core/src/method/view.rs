//! A training pass of the encoder on one view, whose maps are leaves of a tape.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use crate::Result;
use crate::encoder::Features;
use crate::executor::Pass;
use crate::model::Model;

/// An open pass.
pub(crate) struct View {
    pass: Pass,
    leaves: Vec<Var>,
    /// The maps as leaves of a tape, for a loss.
    pub(crate) taped: Features,
}

impl View {
    /// Opens a pass of the model; its running statistics move.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub(crate) fn open(model: &mut Model, images: &Tensor) -> Result<Self> {
        let pass = model.forward(images)?;
        let leaves = pass.outputs.iter().map(Var::from_tensor).collect::<candle_core::Result<Vec<_>>>()?;
        let taped = model.features(leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect())?;
        Ok(Self { pass, leaves, taped })
    }

    /// The maps without a tape.
    pub(crate) fn features(&self, model: &Model) -> Result<Features> {
        model.features(self.pass.outputs.clone())
    }

    /// Gradient of the model's flat parameters, `[parameter_len]`, from those of a loss by the maps. A map that the loss
    /// does not read has none.
    pub(crate) fn backward(self, gradients: &GradStore) -> Result<Tensor> {
        let of = |leaf: &Var| gradients.get(leaf).cloned().map_or_else(|| leaf.zeros_like(), Ok);
        let gradients = self.leaves.iter().map(of).collect::<candle_core::Result<Vec<_>>>()?;
        self.pass.backward(&gradients)
    }
}
