//! A neural network described as data.
//!
//! A [`Network`] is a list of [`Node`]s. Each node holds a [`Layer`] (what is computed), where its input comes
//! from, and the shape of the map it returns. Parameters and running statistics are not stored here: a network
//! only says how many there are, what they are called, which shape they have, where each one lies in one flat
//! vector, and how it is drawn at the start. Executors (`amdim-core`'s candle one, `amdim-cpu`) take the
//! description and the flat vectors and do the arithmetic.
//!
//! Conventions that every executor follows:
//! - Convolution weights are `[out_channels, in_channels, kernel, kernel]`, as in PyTorch's `state_dict`.
//! - Pictures enter as `[batch, channels, height, width]`.
//! - Feature maps leave as `[batch, locations, channels]`, location = `row * width + column`.
//! - Batch norm in training normalises with the biased variance of the batch and moves the running variance
//!   towards the unbiased one: `running = (1 - momentum) * running + momentum * batch`.
//!
//! ```
//! use amdim_network::{Builder, MapShape, Padding, Source, Window};
//!
//! let mut builder = Builder::new(MapShape { channels: 3, height: 8, width: 8 });
//! let conv = builder.convolution("conv", Source::Picture, 4, Window::new(3, 1, Padding::none()), true, true).unwrap();
//! let network = builder.finish(vec![conv]);
//! assert_eq!(network.nodes[conv].shape, MapShape { channels: 4, height: 6, width: 6 });
//! assert_eq!(network.parameter_len(), 4 * 3 * 9 + 4);
//! assert_eq!(network.multiply_adds(), 4 * 3 * 9 * 6 * 6);
//! ```

mod build;
mod layer;
mod parameter;

pub use build::{Builder, DescribeError};
pub use layer::{
    BatchNorm, Convolution, Coupling, Layer, MapShape, Mixture, Node, NormedConvolution, PadMode, Padding,
    Parity, Projection, ResidualBlock, Source, Window,
};
pub use parameter::{Buffer, BufferId, Init, Parameter, ParameterId};

/// A network as data; see the crate page. Built with [`Builder`].
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Shape of one picture.
    pub input: MapShape,
    /// The layers, in an order in which every node comes after those that it reads.
    pub nodes: Vec<Node>,
    /// Indexes into `nodes`: the maps that a forward pass returns, in this order.
    pub outputs: Vec<usize>,
    /// Trainable tensors in the order of their offsets.
    pub parameters: Vec<Parameter>,
    /// Running statistics in the order of their offsets.
    pub buffers: Vec<Buffer>,
}

impl Network {
    /// Length of the flat parameter vector.
    pub fn parameter_len(&self) -> usize {
        self.parameters.last().map_or(0, |p| p.offset + p.len())
    }

    /// Length of the flat vector of running statistics.
    pub fn buffer_len(&self) -> usize {
        self.buffers.last().map_or(0, |b| b.offset + b.len)
    }

    /// Shapes of the returned maps, in the order of `outputs`.
    pub fn output_shapes(&self) -> Vec<MapShape> {
        self.outputs.iter().map(|&node| self.nodes[node].shape).collect()
    }

    /// Initial running statistics: mean 0, variance 1.
    pub fn initial_buffers(&self) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.buffer_len());
        for buffer in &self.buffers {
            values.resize(buffer.offset + buffer.len, buffer.initial);
        }
        values
    }

    /// Multiplications (each with an addition) of the convolutions in a forward pass of one picture.
    pub fn multiply_adds(&self) -> u64 {
        let len = |id: ParameterId| self.parameters[id.0].len();
        let products = |node: &Node| match &node.layer {
            Layer::Convolution(layer) => len(layer.weight) * node.shape.locations(),
            Layer::ResidualBlock(layer) => (len(layer.conv1) + len(layer.conv2)) * node.shape.locations(),
            Layer::Projection(layer) => {
                (len(layer.conv1) + len(layer.conv2) + len(layer.shortcut_weight)) * node.shape.locations()
            }
            Layer::NormedConvolution(layer) => len(layer.weight) * node.shape.locations(),
            Layer::BatchNorm(_)
            | Layer::MaxPool(_)
            | Layer::GlobalAverage
            | Layer::Tanh
            | Layer::Flatten
            | Layer::Alternate(_)
            | Layer::Coupling(_) => 0,
            Layer::Mixture(layer) => len(layer.hidden_weight) + len(layer.weight),
        };
        self.nodes.iter().map(|node| products(node) as u64).sum()
    }

    /// Whether any of these outputs (places in `outputs`) depends on each of `parameters`.
    ///
    /// # Panics
    /// If there is no such output.
    pub fn parameters_behind(&self, outputs: &[usize]) -> Vec<bool> {
        let mut parameters = vec![false; self.parameters.len()];
        let nodes = self.nodes.iter().zip(self.nodes_behind(outputs));
        for (node, _) in nodes.filter(|&(_, is_behind)| is_behind) {
            for id in node.layer.parameters() {
                parameters[id.0] = true;
            }
        }
        parameters
    }

    /// The places of all outputs.
    pub fn all_outputs(&self) -> Vec<usize> {
        (0..self.outputs.len()).collect()
    }

    /// Whether any of these outputs (places in `outputs`) is, or depends on, each of `nodes`.
    ///
    /// # Panics
    /// If there is no such output.
    pub fn nodes_behind(&self, outputs: &[usize]) -> Vec<bool> {
        let mut behind = vec![false; self.nodes.len()];
        for &place in outputs {
            behind[self.outputs[place]] = true;
        }
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if behind[index] {
                node.reads().for_each(|read| behind[read] = true);
            }
        }
        behind
    }

    /// Shape of the map that enters node `index`.
    pub fn input_shape(&self, index: usize) -> MapShape {
        match self.nodes[index].input {
            Source::Picture => self.input,
            Source::Node(source) => self.nodes[source].shape,
        }
    }
}
