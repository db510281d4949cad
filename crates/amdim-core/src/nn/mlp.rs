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

    /// Gradient of the one output by the inputs, `[rows, inputs] -> [rows, inputs]`, as a function of the parameters that
    /// a tape can go through: the units that are on at `x` are taken as constants, which they are almost everywhere.
    pub fn input_gradient(&self, values: &[Tensor], x: &Tensor) -> Result<Tensor> {
        let layers: Vec<&[Tensor]> = values.chunks_exact(2).collect();
        let mut y = x.detach();
        let mut masks = vec![];
        for layer in &layers[..layers.len() - 1] {
            let sum = y.matmul(&layer[0].detach().t()?)?.broadcast_add(&layer[1].detach())?;
            masks.push(sum.gt(0.0)?.to_dtype(x.dtype())?);
            y = sum.relu()?;
        }
        let rows = x.dim(0)?;
        let (last, inner) = (layers[layers.len() - 1], layers[..layers.len() - 1].iter().rev());
        let mut gradient = last[0].broadcast_as((rows, last[0].dim(1)?))?.contiguous()?;
        for (layer, mask) in inner.zip(masks.iter().rev()) {
            gradient = (gradient * mask)?.matmul(&layer[0])?;
        }
        Ok(gradient)
    }
}

#[cfg(test)]
mod tests {
    use amdim_random::{Purpose, Stream};
    use candle_core::{Device, Var};

    use super::*;
    use crate::parameters;

    #[test]
    fn the_input_gradient_is_the_tapes() {
        let network = Mlp::new(&[3, 6, 5, 1], "test");
        let mut stream = Stream::new(2, Purpose::InitMethod, 0);
        let drawn: Vec<f64> =
            parameters::draw(network.parameters(), &mut stream).iter().map(|&x| f64::from(x)).collect();
        let flat = Tensor::from_vec(drawn.clone(), drawn.len(), &Device::Cpu).unwrap();
        let values = parameters::views(&flat, network.parameters()).unwrap();
        let x: Vec<f64> = (0..12).map(|_| 2.0 * stream.normal()).collect();
        let x = Var::from_tensor(&Tensor::from_vec(x, (4, 3), &Device::Cpu).unwrap()).unwrap();
        let sum = network.forward(&values, &x).unwrap().sum_all().unwrap();
        let expected = sum.backward().unwrap().get(&x).unwrap().to_vec2::<f64>().unwrap();
        let found = network.input_gradient(&values, &x).unwrap().to_vec2::<f64>().unwrap();
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}
