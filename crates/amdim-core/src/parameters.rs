//! Named tensors inside one flat vector, and back.

use std::ops::Range;

use amdim_network::{Init, Network, Parameter};
use candle_core::{DType, Device, Tensor, Var, backprop::GradStore};

use crate::{Error, Result};
use amdim_random::Stream;

/// Draws the initial flat vector of `parameters`; the order of draws is the order of the list.
///
/// Unused parameters are drawn too, so that the same seed gives the same encoder with and without batch norm as far
/// as the shapes agree.
pub fn draw(parameters: &[Parameter], stream: &mut Stream) -> Vec<f32> {
    let mut values = Vec::with_capacity(parameters.last().map_or(0, |p| p.offset + p.len()));
    for parameter in parameters {
        let uniform =
            |stream: &mut Stream, bound: f32| ((stream.unit() * 2.0 - 1.0) * f64::from(bound)) as f32;
        match parameter.init {
            Init::Constant(value) => values.extend(std::iter::repeat_n(value, parameter.len())),
            Init::Uniform { bound } => values.extend((0..parameter.len()).map(|_| uniform(stream, bound))),
            Init::Normal { deviation } => {
                values.extend((0..parameter.len()).map(|_| (stream.normal() * f64::from(deviation)) as f32));
            }
            Init::NearIdentity { bound } => {
                let columns = parameter.shape[1];
                values.extend((0..parameter.len()).map(|i| {
                    let drawn = uniform(stream, bound);
                    if i / columns == i % columns { 1.0 } else { drawn }
                }));
            }
        }
    }
    values
}

/// Views of the flat vector `[parameter_len]`, one for each parameter, in its own shape.
pub fn views(flat: &Tensor, parameters: &[Parameter]) -> Result<Vec<Tensor>> {
    let expected = parameters.last().map_or(0, |p| p.offset + p.len());
    crate::tensors::expect_shape("flat parameter vector", flat, &[expected])?;
    parameters.iter().map(|p| Ok(flat.narrow(0, p.offset, p.len())?.reshape(p.shape.as_slice())?)).collect()
}

/// Leaves of a new tape, one for each parameter.
pub fn leaves(flat: &Tensor, parameters: &[Parameter]) -> Result<Vec<Var>> {
    views(flat, parameters)?.iter().map(|view| Ok(Var::from_tensor(view)?)).collect()
}

/// Gathers the leaves' gradients into one flat vector; zeros for parameters that a forward pass does not read.
///
/// # Errors
/// [`Error::Internal`] if a parameter that is read got no gradient: candle would skip it in silence.
pub fn flat_gradient(leaves: &[Var], parameters: &[Parameter], gradients: &GradStore) -> Result<Tensor> {
    let mut parts = Vec::with_capacity(parameters.len());
    for (leaf, parameter) in leaves.iter().zip(parameters) {
        match gradients.get(leaf) {
            Some(gradient) => parts.push(gradient.flatten_all()?),
            None if parameter.used => {
                return Err(Error::internal(format!("{} received no gradient", parameter.name)));
            }
            None => parts.push(Tensor::zeros(parameter.len(), leaf.dtype(), leaf.device())?),
        }
    }
    Ok(Tensor::cat(&parts, 0)?)
}

/// Which numbers of a flat vector a loss depends on; the optimiser leaves the others alone.
pub struct Used {
    /// Where they are, ascending; neighbours are one range.
    pub ranges: Vec<Range<usize>>,
    /// `[parameter_len]`: 1 for them, 0 for the others.
    pub mask: Tensor,
}

impl Used {
    /// These of so many, with a mask of this type and device.
    pub fn new(ranges: Vec<Range<usize>>, len: usize, dtype: DType, device: &Device) -> Result<Self> {
        let mut mask = vec![0.0; len];
        for range in &ranges {
            mask[range.clone()].fill(1.0);
        }
        Ok(Self { mask: crate::tensors::from_vec(mask, dtype, device)?, ranges })
    }
}

/// Where in the flat vector the parameters are that these outputs of the network depend on, ascending; neighbours are
/// one range.
pub(crate) fn ranges_behind(network: &Network, outputs: &[usize]) -> Vec<Range<usize>> {
    let mut used: Vec<Range<usize>> = vec![];
    let parameters = network.parameters.iter().zip(network.parameters_behind(outputs));
    for range in parameters.filter(|&(_, behind)| behind).map(|(parameter, _)| parameter.range()) {
        match used.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => used.push(range),
        }
    }
    used
}
