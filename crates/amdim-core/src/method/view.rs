//! A training pass of the encoder on one view, whose maps are leaves of a tape.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use crate::chunks::parts;
use crate::encoder::Features;
use crate::executor::Pass;
use crate::model::Model;
use crate::{Error, Result};

/// A pass that waits for its backward.
pub(crate) struct View {
    open: Open,
    leaves: Vec<Var>,
    /// The maps as leaves of a tape, for a loss.
    pub(crate) taped: Features,
}

/// How the backward is prepared.
enum Open {
    /// The whole batch is held.
    Whole(Pass),
    /// Nothing is held but the pictures, which go through the encoder once more, part by part (Gao, Zhang, Han, Callan
    /// 2021, arXiv 2101.06983).
    Parts { images: Tensor, most: usize },
}

impl View {
    /// Opens a pass of the model; its running statistics move. With `chunk_size` the batch is taken through the encoder
    /// in parts of at most so many pictures, each with batch statistics of its own.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub(crate) fn open(model: &mut Model, images: &Tensor, chunk_size: Option<usize>) -> Result<Self> {
        let (open, outputs) = match chunk_size {
            None => {
                let pass = model.forward(images)?;
                let outputs = pass.outputs.clone();
                (Open::Whole(pass), outputs)
            }
            Some(most) => {
                let of_parts = parts(images.dim(0)?, most)
                    .map(|part| Ok(model.forward(&images.narrow(0, part.start, part.len())?)?.outputs))
                    .collect::<Result<Vec<_>>>()?;
                let count = of_parts.first().map_or(0, Vec::len);
                let whole = |map: usize| {
                    Tensor::cat(&of_parts.iter().map(|outputs| &outputs[map]).collect::<Vec<_>>(), 0)
                };
                let outputs = (0..count).map(whole).collect::<candle_core::Result<Vec<_>>>()?;
                (Open::Parts { images: images.clone(), most }, outputs)
            }
        };
        let leaves = outputs.iter().map(Var::from_tensor).collect::<candle_core::Result<Vec<_>>>()?;
        let taped = model.features(leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect())?;
        Ok(Self { open, leaves, taped })
    }

    /// The maps without a tape.
    pub(crate) fn features(&self, model: &Model) -> Result<Features> {
        model.features(self.leaves.iter().map(|leaf| leaf.as_tensor().detach()).collect())
    }

    /// Zeros like the maps, in the order of the network's outputs.
    pub(crate) fn zeros(&self) -> Result<Vec<Tensor>> {
        Ok(self.leaves.iter().map(|leaf| leaf.zeros_like()).collect::<candle_core::Result<Vec<_>>>()?)
    }

    /// Gradient of the model's flat parameters, `[parameter_len]`, from those of a loss by the maps. A map that the loss
    /// does not read has none.
    pub(crate) fn backward(self, model: &mut Model, gradients: &GradStore) -> Result<Tensor> {
        let of = |leaf: &Var| gradients.get(leaf).cloned().map_or_else(|| leaf.zeros_like(), Ok);
        let gradients = self.leaves.iter().map(of).collect::<candle_core::Result<Vec<_>>>()?;
        self.backward_from(model, &gradients)
    }

    /// The same from gradients of the maps, in the order of the network's outputs.
    pub(crate) fn backward_from(self, model: &mut Model, gradients: &[Tensor]) -> Result<Tensor> {
        let (images, most) = match self.open {
            Open::Whole(pass) => return pass.backward(gradients),
            Open::Parts { images, most } => (images, most),
        };
        let mut sum: Option<Tensor> = None;
        for part in parts(images.dim(0)?, most) {
            let of_part = |whole: &Tensor| whole.narrow(0, part.start, part.len());
            // The statistics have moved by these pictures already.
            let (parameters, mut running) = (model.parameters.clone(), model.running.clone());
            let pass = model.forward_of(&parameters, &mut running, &of_part(&images)?)?;
            let gradients = gradients.iter().map(of_part).collect::<candle_core::Result<Vec<_>>>()?;
            let own = pass.backward(&gradients)?;
            sum = Some(sum.map_or(Ok(own.clone()), |sum| sum + own)?);
        }
        sum.ok_or_else(|| Error::internal("a batch without parts"))
    }
}
