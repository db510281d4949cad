//! A multilayer perceptron with ReLU between its layers.

use amdim_network::{Init, Parameter};
use candle_core::Tensor;

use crate::Result;

/// Its shape; the parameters are a flat vector elsewhere.
#[derive(Debug, Clone)]
pub struct Mlp {
    parameters: Vec<Parameter>,
}

impl Mlp {
    /// Layers between `widths` (inputs, hidden units ..., outputs); parameters `NAME.0.weight` (`[out, in]`),
    /// `NAME.0.bias`, ..., drawn as PyTorch draws linear layers: uniform, bound `1 / sqrt(in)`.
    pub fn new(widths: &[usize], name: &str) -> Self {
        let mut parameters: Vec<Parameter> = vec![];
        let mut offset = 0;
        for (layer, pair) in widths.windows(2).enumerate() {
            let init = Init::Uniform { bound: 1.0 / (pair[0] as f32).sqrt() };
            for (kind, shape) in [("weight", vec![pair[1], pair[0]]), ("bias", vec![pair[1]])] {
                let parameter =
                    Parameter { name: format!("{name}.{layer}.{kind}"), shape, offset, init, used: true };
                offset += parameter.len();
                parameters.push(parameter);
            }
        }
        Self { parameters }
    }

    /// Description of the flat vector.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// `[rows, inputs] -> [rows, outputs]`; `values` are the parameters in their order.
    pub fn forward(&self, values: &[Tensor], x: &Tensor) -> Result<Tensor> {
        self.forward_from(0, values, x)
    }

    /// The same from layer `first` on, whose inputs are `x`.
    pub fn forward_from(&self, first: usize, values: &[Tensor], x: &Tensor) -> Result<Tensor> {
        let mut y = x.clone();
        for (layer, pair) in values.chunks_exact(2).enumerate().skip(first) {
            if layer > first {
                y = y.relu()?;
            }
            y = y.matmul(&pair[0].t()?)?.broadcast_add(&pair[1])?;
        }
        Ok(y)
    }
}
