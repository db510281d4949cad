//! Multilayer perceptrons as descriptions.

use amdim_network::{Builder, DescribeError, MapShape, Network, Padding, Source, Window};
use serde::{Deserialize, Serialize};

use super::{check_counts, check_size};
use crate::Result;

/// Sides of the pictures that these encoders take, in pixels.
pub const MLP_SIZES: [usize; 4] = [28, 32, 64, 128];

/// What follows a hidden layer's linear map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `tanh(x)`.
    Tanh,
}

/// An encoder of fully connected layers: `hidden_layers` of `hidden_units`, each with an activation, and a linear layer
/// to the picture's vector. There is no local map and no batch norm.
///
/// The layers are `hidden1`, `hidden2`, ... and can be embedded, for the information plane among others.
///
/// # Source
/// Alemi, Fischer, Dillon, Murphy 2017, arXiv 1612.00410, section 4.1 (784-1024-1024-2K); Saxe et al. 2018.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlpEncoder {
    /// Side of the pictures in pixels: 28, 32, 64 or 128.
    pub encoder_size: usize,
    /// Channels of the pictures; 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Units of each hidden layer, at least 1.
    pub hidden_units: usize,
    /// Number of hidden layers, at least 1.
    pub hidden_layers: usize,
    /// Dimensions of the vector.
    pub embedding_dim: usize,
    /// What follows the hidden layers.
    pub activation: Activation,
}

impl MlpEncoder {
    /// The network, whose one output is the vector.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a size that does not exist or a count of zero.
    pub fn describe(&self) -> Result<Network> {
        check_size(self.encoder_size, &MLP_SIZES, " with kind mlp")?;
        check_counts(&[
            ("inputChannels", self.input_channels),
            ("baseWidth", self.hidden_units),
            ("blockDepth", self.hidden_layers),
            ("embeddingDim", self.embedding_dim),
        ])?;
        Ok(self.build()?)
    }

    /// The node of hidden layer `number`, from 1, after its activation.
    pub(super) fn hidden_node(&self, number: usize) -> Option<usize> {
        let nodes_a_layer = if self.activation == Activation::Tanh { 2 } else { 1 };
        (1..=self.hidden_layers).contains(&number).then(|| number * nodes_a_layer - 1)
    }

    fn build(&self) -> std::result::Result<Network, DescribeError> {
        let side = self.encoder_size;
        let mut builder = Builder::new(MapShape { channels: self.input_channels, height: side, width: side });
        let one = Window::new(1, 1, Padding::none());
        let (mut top, mut window) = (Source::Picture, Window::new(side, 1, Padding::none()));
        for number in 1..=self.hidden_layers {
            let name = format!("hidden{number}");
            let is_relu = self.activation == Activation::Relu;
            let mut node = builder.convolution(&name, top, self.hidden_units, window, true, is_relu)?;
            if self.activation == Activation::Tanh {
                node = builder.tanh(&format!("{name}_tanh"), node);
            }
            (top, window) = (Source::Node(node), one);
        }
        let y = builder.convolution("y", top, self.embedding_dim, window, true, false)?;
        Ok(builder.finish(vec![y]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder(activation: Activation) -> MlpEncoder {
        MlpEncoder {
            encoder_size: 28,
            input_channels: 1,
            hidden_units: 12,
            hidden_layers: 3,
            embedding_dim: 5,
            activation,
        }
    }

    #[test]
    fn layers_are_fully_connected() {
        for activation in [Activation::Relu, Activation::Tanh] {
            let network = encoder(activation).describe().unwrap();
            let expected = (784 + 1) * 12 + 2 * (12 + 1) * 12 + (12 + 1) * 5;
            assert_eq!(network.parameter_len(), expected);
            assert_eq!(network.output_shapes(), [MapShape { channels: 5, height: 1, width: 1 }]);
            for number in 1..=3 {
                let node = &network.nodes[encoder(activation).hidden_node(number).unwrap()];
                assert!(node.name.starts_with(&format!("hidden{number}")), "{}", node.name);
                assert_eq!(node.shape.len(), 12);
            }
            assert_eq!(encoder(activation).hidden_node(0), None);
            assert_eq!(encoder(activation).hidden_node(4), None);
        }
    }

    #[test]
    fn impossible_encoders_are_typed_errors() {
        let good = encoder(Activation::Relu);
        for bad in [
            MlpEncoder { encoder_size: 27, ..good.clone() },
            MlpEncoder { hidden_units: 0, ..good.clone() },
            MlpEncoder { hidden_layers: 0, ..good.clone() },
            MlpEncoder { embedding_dim: usize::MAX, ..good.clone() },
        ] {
            assert_eq!(bad.describe().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
    }
}
