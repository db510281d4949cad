//! Networks that a method itself learns, such as critics, discriminators and decoders.

use amdim_network::Parameter;
use amdim_random::Stream;
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::{Carried, carried};
use crate::model::Model;
use crate::{Result, parameters, tensors};

/// First values of such a network, for [`Start::learnt`](super::Start::learnt).
pub(super) fn drawn(model: &Model, parameters: &[Parameter], stream: &mut Stream) -> Result<Tensor> {
    let placement = model.placement();
    let values = parameters::draw(parameters, stream);
    tensors::from_vec(values, placement.dtype, &placement.device)
}

/// Its parameters as leaves of the tape.
pub(super) struct Own<'a> {
    name: &'static str,
    parameters: &'a [Parameter],
    leaves: Vec<Var>,
}

impl<'a> Own<'a> {
    pub(super) fn open(name: &'static str, parameters: &'a [Parameter], state: &Carried) -> Result<Self> {
        Ok(Self { name, parameters, leaves: parameters::leaves(carried(state, name)?, parameters)? })
    }

    /// For a loss that moves them.
    pub(super) fn taped(&self) -> Vec<Tensor> {
        self.leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect()
    }

    /// For a loss that takes them as constants.
    pub(super) fn frozen(&self) -> Vec<Tensor> {
        self.leaves.iter().map(|leaf| leaf.as_tensor().detach()).collect()
    }

    pub(super) fn gradient(&self, gradients: &GradStore) -> Result<(&'static str, Tensor)> {
        Ok((self.name, parameters::flat_gradient(&self.leaves, self.parameters, gradients)?))
    }
}
