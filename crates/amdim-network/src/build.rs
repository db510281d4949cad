//! Assembling a [`Network`] layer by layer, with shapes checked as it grows.

use thiserror::Error;

use crate::Network;
use crate::layer::{
    BatchNorm, Convolution, Coupling, Layer, MapShape, Mixture, Node, NormedConvolution, PadMode, Padding,
    Parity, Projection, ResidualBlock, Source, Window,
};
use crate::parameter::{Buffer, BufferId, Init, Parameter, ParameterId};

const BATCH_NORM_EPSILON: f64 = 1e-5;
const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// Why a layer can't be added.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DescribeError {
    /// The window is larger than the (padded) map that it slides over, or the mirrored border is wider than it.
    #[error(
        "{layer}: a window of {kernel} pixels with a border of {border} does not fit a map of {height}x{width}"
    )]
    WindowDoesNotFit {
        /// Name of the layer.
        layer: String,
        /// Side of the window.
        kernel: usize,
        /// Width of the border.
        border: usize,
        /// Rows of the map.
        height: usize,
        /// Columns of the map.
        width: usize,
    },
    /// A residual block can keep or widen the number of channels, not narrow it.
    #[error("{layer}: a residual block can't go from {from} to {to} channels; it can only keep or widen")]
    Narrows {
        /// Name of the layer.
        layer: String,
        /// Channels that enter.
        from: usize,
        /// Channels asked for.
        to: usize,
    },
    /// Mixture features and couplings are those of one vector a picture.
    #[error("{layer}: needs a map of one location, not of {locations}")]
    SeveralLocations {
        /// Name of the layer.
        layer: String,
        /// Locations of the map.
        locations: usize,
    },
    /// The map to be added has another shape than the result, or is the layer's own input.
    #[error("{layer}: can't add a map of another shape, or the layer's own input")]
    Addend {
        /// Name of the layer.
        layer: String,
    },
    /// The border of a pool is wider than half its window, which could then see nothing else.
    #[error("{layer}: a pool's border of {border} is wider than half its window of {kernel} pixels")]
    PoolBorder {
        /// Name of the layer.
        layer: String,
        /// Side of the window.
        kernel: usize,
        /// Width of the border.
        border: usize,
    },
    /// Of a coupling's channels half stay, so their number is even.
    #[error("{layer}: a coupling needs an even number of channels, not {channels}")]
    OddChannels {
        /// Name of the layer.
        layer: String,
        /// Channels of the map.
        channels: usize,
    },
    /// A size that has to be positive is zero.
    #[error("{layer}: {what} must be at least 1")]
    Zero {
        /// Name of the layer.
        layer: String,
        /// Which size.
        what: &'static str,
    },
}

/// Assembles a [`Network`]; each method adds a node and returns its index.
#[derive(Debug, Clone)]
pub struct Builder {
    network: Network,
}

impl Builder {
    /// Starts a network that takes pictures of this shape.
    pub fn new(input: MapShape) -> Self {
        let network = Network { input, nodes: vec![], outputs: vec![], parameters: vec![], buffers: vec![] };
        Self { network }
    }

    /// Goes on with a network that was finished; its outputs are forgotten, new parameters follow its own.
    pub fn extend(network: Network) -> Self {
        Self { network }
    }

    /// Ends the description; `outputs` are the nodes whose maps a forward pass returns.
    pub fn finish(mut self, outputs: Vec<usize>) -> Network {
        self.network.outputs = outputs;
        self.network
    }

    /// Shape of the map that `source` gives.
    pub fn shape(&self, source: Source) -> MapShape {
        match source {
            Source::Picture => self.network.input,
            Source::Node(index) => self.network.nodes[index].shape,
        }
    }

    /// Where a node takes its map from.
    pub fn input(&self, node: usize) -> Source {
        self.network.nodes[node].input
    }

    /// Adds a convolution whose parameters are `NAME.weight` and, with `bias`, `NAME.bias`, drawn as PyTorch does
    /// by default (uniform, bound `1 / sqrt(fan_in)`).
    pub fn convolution(
        &mut self,
        name: &str,
        input: Source,
        out: usize,
        window: Window,
        bias: bool,
        relu: bool,
    ) -> Result<usize, DescribeError> {
        let from = self.shape(input);
        let shape = slide(name, from, out, window)?;
        let fan_in = from.channels * window.kernel * window.kernel;
        let weight =
            self.kernel(format!("{name}.weight"), out, from.channels, window.kernel, fan_in_init(fan_in));
        let bias = bias.then(|| self.parameter(format!("{name}.bias"), vec![out], fan_in_init(fan_in), true));
        Ok(self.node(name, input, Layer::Convolution(Convolution { window, weight, bias, relu }), shape))
    }

    /// Adds the reference's residual block; parameters `NAME.conv1.weight`, `NAME.conv2.weight` and the batch norm
    /// `NAME.bn1.bn`, which exists even where `norm` is false and it is never applied.
    pub fn residual_block(
        &mut self,
        name: &str,
        input: Source,
        out: usize,
        window: Window,
        norm: bool,
    ) -> Result<usize, DescribeError> {
        let from = self.shape(input);
        if out < from.channels {
            return Err(DescribeError::Narrows { layer: name.into(), from: from.channels, to: out });
        }
        let shape = slide(name, from, out, window)?;
        let fan_in = from.channels * window.kernel * window.kernel;
        let conv1 = self.kernel(
            format!("{name}.conv1.weight"),
            out,
            from.channels,
            window.kernel,
            fan_in_init(fan_in),
        );
        let conv2 = self.kernel(format!("{name}.conv2.weight"), out, out, 1, Init::Constant(0.0));
        let batch_norm = self.norm(&format!("{name}.bn1.bn"), out, norm);
        let layer = ResidualBlock { window, conv1, conv2, norm: norm.then_some(batch_norm) };
        Ok(self.node(name, input, Layer::ResidualBlock(layer), shape))
    }

    /// Adds a batch norm with parameters and buffers `NAME.bn.*`. Where `applied` is false nothing is computed (the
    /// reference's `MaybeBatchNorm2d`): its tensors exist and the index of its input is returned.
    pub fn batch_norm(&mut self, name: &str, input: usize, applied: bool) -> usize {
        let shape = self.network.nodes[input].shape;
        let batch_norm = self.norm(&format!("{name}.bn"), shape.channels, applied);
        if applied {
            self.node(name, Source::Node(input), Layer::BatchNorm(batch_norm), shape)
        } else {
            input
        }
    }

    /// Adds the reference's projection head to `out` dimensions. `hidden_norm` applies the batch norm of the hidden
    /// layer.
    pub fn projection(&mut self, name: &str, input: usize, out: usize, hidden_norm: bool) -> usize {
        let from = self.network.nodes[input].shape;
        let conv1 =
            self.kernel(format!("{name}.conv1.weight"), out, from.channels, 1, fan_in_init(from.channels));
        let conv2 = self.kernel(format!("{name}.conv2.weight"), out, out, 1, Init::Constant(0.0));
        let hidden = self.norm(&format!("{name}.bn_hid.bn"), out, hidden_norm);
        let output_norm = self.norm(&format!("{name}.bn_out.bn"), out, true);
        let shortcut = if out >= from.channels {
            Init::NearIdentity { bound: 0.01 }
        } else {
            fan_in_init(from.channels)
        };
        let shortcut_weight = self.kernel(format!("{name}.shortcut.weight"), out, from.channels, 1, shortcut);
        let shortcut_bias =
            self.parameter(format!("{name}.shortcut.bias"), vec![out], fan_in_init(from.channels), true);
        let layer = Projection {
            conv1,
            conv2,
            hidden_norm: hidden_norm.then_some(hidden),
            shortcut_weight,
            shortcut_bias,
            output_norm,
        };
        let shape = MapShape { channels: out, ..from };
        self.node(name, Source::Node(input), Layer::Projection(layer), shape)
    }

    /// Adds the mixture features of a vector: `components` of them, from a network of `hidden` units with a residual
    /// connection. Parameters `NAME.hidden.weight`, `NAME.hidden.bias`, `NAME.output.weight` and `NAME.output.bias`,
    /// drawn as PyTorch draws linear layers. They do not start at zero: components that are equal get equal gradients
    /// and would stay equal.
    pub fn mixture(
        &mut self,
        name: &str,
        input: usize,
        components: usize,
        hidden: usize,
    ) -> Result<usize, DescribeError> {
        for (what, value) in [("components", components), ("hidden units", hidden)] {
            if value == 0 {
                return Err(DescribeError::Zero { layer: name.into(), what });
            }
        }
        let from = self.vector(name, input)?;
        let mut linear = |name: String, out: usize, inputs: usize| {
            let init = fan_in_init(inputs);
            let weight = self.parameter(format!("{name}.weight"), vec![out, inputs], init, true);
            (weight, self.parameter(format!("{name}.bias"), vec![out], init, true))
        };
        let (hidden_weight, hidden_bias) = linear(format!("{name}.hidden"), hidden, from.channels);
        let (weight, bias) = linear(format!("{name}.output"), components * from.channels, hidden);
        let layer = Mixture { hidden_weight, hidden_bias, weight, bias };
        let shape = MapShape { channels: from.channels, height: components, width: 1 };
        Ok(self.node(name, Source::Node(input), Layer::Mixture(layer), shape))
    }

    /// Adds `y = relu(norm(conv(x)) + other)`: a convolution without bias, parameter `CONV.weight`, and a batch norm
    /// `NORM.*`, for `names` CONV and NORM. `add` is the node of `other`. The weights are drawn as torchvision's residual
    /// networks draw them (normal, variance `2 / (out * kernel^2)`; He et al. 2015, arXiv 1502.01852, eq. 14).
    pub fn normed_convolution(
        &mut self,
        [conv, norm]: [&str; 2],
        input: Source,
        out: usize,
        window: Window,
        add: Option<usize>,
        relu: bool,
    ) -> Result<usize, DescribeError> {
        let from = self.shape(input);
        let shape = slide(conv, from, out, window)?;
        if add.is_some_and(|add| self.network.nodes[add].shape != shape || input == Source::Node(add)) {
            return Err(DescribeError::Addend { layer: conv.into() });
        }
        let deviation = (2.0 / (out * window.kernel * window.kernel) as f32).sqrt();
        let weight = self.kernel(
            format!("{conv}.weight"),
            out,
            from.channels,
            window.kernel,
            Init::Normal { deviation },
        );
        let norm = self.norm(norm, out, true);
        let layer = NormedConvolution { window, weight, norm, add, relu };
        Ok(self.node(conv, input, Layer::NormedConvolution(layer), shape))
    }

    /// Adds a max pool, which has no parameters.
    pub fn max_pool(&mut self, name: &str, input: usize, window: Window) -> Result<usize, DescribeError> {
        let from = self.network.nodes[input].shape;
        let shape = slide(name, from, from.channels, window)?;
        let (kernel, border) = (window.kernel, window.padding.pixels);
        if 2 * border > kernel {
            return Err(DescribeError::PoolBorder { layer: name.into(), kernel, border });
        }
        Ok(self.node(name, Source::Node(input), Layer::MaxPool(window), shape))
    }

    /// Adds the mean over all locations, which has no parameters.
    pub fn global_average(&mut self, name: &str, input: usize) -> usize {
        let from = self.network.nodes[input].shape;
        let shape = MapShape { channels: from.channels, height: 1, width: 1 };
        self.node(name, Source::Node(input), Layer::GlobalAverage, shape)
    }

    /// Adds the hyperbolic tangent of every value, which has no parameters.
    pub fn tanh(&mut self, name: &str, input: usize) -> usize {
        let shape = self.network.nodes[input].shape;
        self.node(name, Source::Node(input), Layer::Tanh, shape)
    }

    /// Adds all values of a map or picture as one vector, location after location, which has no parameters.
    pub fn flatten(&mut self, name: &str, input: Source) -> usize {
        let shape = MapShape { channels: self.shape(input).len(), height: 1, width: 1 };
        self.node(name, input, Layer::Flatten, shape)
    }

    /// Adds an affine [`Coupling`] of a vector, which keeps the channels of parity `kept`. Scales and shifts come from those
    /// by a perceptron with two hidden layers of `hidden` units with ReLU, `NAME.hidden1`, `NAME.hidden2` and
    /// `NAME.output`, whose last layer starts at zero: the coupling starts as the identity.
    pub fn coupling(
        &mut self,
        name: &str,
        of: usize,
        kept: Parity,
        hidden: usize,
    ) -> Result<usize, DescribeError> {
        let shape = self.vector(name, of)?;
        if !shape.channels.is_multiple_of(2) {
            return Err(DescribeError::OddChannels { layer: name.into(), channels: shape.channels });
        }
        let half = MapShape { channels: shape.channels / 2, ..shape };
        let one = Window::new(1, 1, Padding::none());
        let input = self.node(&format!("{name}.kept"), Source::Node(of), Layer::Alternate(kept), half);
        let first =
            self.convolution(&format!("{name}.hidden1"), Source::Node(input), hidden, one, true, true)?;
        let second =
            self.convolution(&format!("{name}.hidden2"), Source::Node(first), hidden, one, true, true)?;
        let last = format!("{name}.output");
        let zero = Init::Constant(0.0);
        let weight = self.kernel(format!("{last}.weight"), shape.channels, hidden, 1, zero);
        let bias = Some(self.parameter(format!("{last}.bias"), vec![shape.channels], zero, true));
        let layer = Layer::Convolution(Convolution { window: one, weight, bias, relu: false });
        let told = self.node(&last, Source::Node(second), layer, shape);
        Ok(self.node(name, Source::Node(told), Layer::Coupling(Coupling { of, kept }), shape))
    }

    /// Shape of the one vector a picture that layer `name` needs of node `input`.
    fn vector(&self, name: &str, input: usize) -> Result<MapShape, DescribeError> {
        let shape = self.network.nodes[input].shape;
        match shape.locations() {
            1 => Ok(shape),
            locations => Err(DescribeError::SeveralLocations { layer: name.into(), locations }),
        }
    }

    fn node(&mut self, name: &str, input: Source, layer: Layer, shape: MapShape) -> usize {
        self.network.nodes.push(Node { name: name.into(), input, layer, shape });
        self.network.nodes.len() - 1
    }

    fn parameter(&mut self, name: String, shape: Vec<usize>, init: Init, used: bool) -> ParameterId {
        let offset = self.network.parameter_len();
        self.network.parameters.push(Parameter { name, shape, offset, init, used });
        ParameterId(self.network.parameters.len() - 1)
    }

    fn kernel(&mut self, name: String, out: usize, from: usize, kernel: usize, init: Init) -> ParameterId {
        self.parameter(name, vec![out, from, kernel, kernel], init, true)
    }

    fn buffer(&mut self, name: String, len: usize, initial: f32, used: bool) -> BufferId {
        let offset = self.network.buffer_len();
        self.network.buffers.push(Buffer { name, offset, len, initial, used });
        BufferId(self.network.buffers.len() - 1)
    }

    fn norm(&mut self, name: &str, channels: usize, used: bool) -> BatchNorm {
        BatchNorm {
            weight: self.parameter(format!("{name}.weight"), vec![channels], Init::Constant(1.0), used),
            bias: self.parameter(format!("{name}.bias"), vec![channels], Init::Constant(0.0), used),
            running_mean: self.buffer(format!("{name}.running_mean"), channels, 0.0, used),
            running_var: self.buffer(format!("{name}.running_var"), channels, 1.0, used),
            epsilon: BATCH_NORM_EPSILON,
            momentum: BATCH_NORM_MOMENTUM,
        }
    }
}

/// Shape of the map that a window leaves, if it fits.
fn slide(name: &str, from: MapShape, out: usize, window: Window) -> Result<MapShape, DescribeError> {
    for (what, value) in [("kernel", window.kernel), ("stride", window.stride), ("channels", out)] {
        if value == 0 {
            return Err(DescribeError::Zero { layer: name.into(), what });
        }
    }
    let border = window.padding.pixels;
    let mirrored_too_far = window.padding.mode == PadMode::Reflect && border >= from.height.min(from.width);
    match (window.positions(from.height), window.positions(from.width)) {
        (Some(height), Some(width)) if !mirrored_too_far => Ok(MapShape { channels: out, height, width }),
        _ => Err(DescribeError::WindowDoesNotFit {
            layer: name.into(),
            kernel: window.kernel,
            border,
            height: from.height,
            width: from.width,
        }),
    }
}

/// PyTorch's default for convolutions and linear layers: Kaiming uniform with `a = sqrt(5)`.
fn fan_in_init(fan_in: usize) -> Init {
    Init::Uniform { bound: 1.0 / (fan_in as f32).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflected_border_reads_mirrored_rows_without_the_edge() {
        let window = Window::new(5, 2, Padding::reflect(2));
        let row: Vec<_> = (0..5).map(|k| window.source(0, k, 8)).collect();
        assert_eq!(row, [Some(2), Some(1), Some(0), Some(1), Some(2)]);
        assert_eq!(window.positions(8), Some(4));
        let last: Vec<_> = (0..5).map(|k| window.source(3, k, 8)).collect();
        assert_eq!(last, [Some(4), Some(5), Some(6), Some(7), Some(6)]);
    }

    #[test]
    fn a_window_that_does_not_fit_is_an_error() {
        let mut builder = Builder::new(MapShape { channels: 3, height: 2, width: 8 });
        let error = builder
            .convolution("c", Source::Picture, 4, Window::new(3, 1, Padding::none()), true, true)
            .unwrap_err();
        assert!(matches!(error, DescribeError::WindowDoesNotFit { kernel: 3, height: 2, .. }));
        let error = builder
            .residual_block("r", Source::Picture, 2, Window::new(1, 1, Padding::none()), false)
            .unwrap_err();
        assert_eq!(error, DescribeError::Narrows { layer: "r".into(), from: 3, to: 2 });
    }

    #[test]
    fn mixture_features_are_added_behind_a_network() {
        let window = Window::new(2, 1, Padding::none());
        let mut builder = Builder::new(MapShape { channels: 3, height: 2, width: 2 });
        let vector = builder.convolution("c", Source::Picture, 5, window, true, false).unwrap();
        let before = builder.finish(vec![vector]);
        let mut builder = Builder::extend(before.clone());
        let mixture = builder.mixture("m", vector, 4, 6).unwrap();
        let network = builder.finish(vec![vector, mixture]);
        assert_eq!(network.output_shapes()[1], MapShape { channels: 5, height: 4, width: 1 });
        assert_eq!(network.parameters[..2], before.parameters[..]);
        assert_eq!(network.parameter_len(), before.parameter_len() + 6 * 5 + 6 + 20 * 6 + 20);
        assert_eq!(network.multiply_adds(), before.multiply_adds() + 6 * 5 + 20 * 6);
        let mut builder = Builder::extend(network);
        let zero = builder.mixture("m", vector, 0, 6).unwrap_err();
        assert_eq!(zero, DescribeError::Zero { layer: "m".into(), what: "components" });
        let map = builder.mixture("m", mixture, 2, 6).unwrap_err();
        assert_eq!(map, DescribeError::SeveralLocations { layer: "m".into(), locations: 4 });
    }

    #[test]
    fn couplings_are_those_of_vectors_with_an_even_number_of_channels() {
        let mut builder = Builder::new(MapShape { channels: 2, height: 1, width: 3 });
        let flat = builder.flatten("flat", Source::Picture);
        let coupled = builder.coupling("c", flat, Parity::Odd, 4).unwrap();
        let network = builder.finish(vec![coupled]);
        assert_eq!(network.output_shapes(), [MapShape { channels: 6, height: 1, width: 1 }]);
        assert_eq!(network.parameter_len(), (3 + 1) * 4 + (4 + 1) * 4 + (4 + 1) * 6);
        assert_eq!(network.nodes[coupled].reads().collect::<Vec<_>>(), [coupled - 1, flat]);
        assert!(network.parameters[4..].iter().all(|parameter| parameter.init == Init::Constant(0.0)));
        let mut builder = Builder::new(MapShape { channels: 1, height: 1, width: 3 });
        let odd = builder.flatten("flat", Source::Picture);
        let error = DescribeError::OddChannels { layer: "c".into(), channels: 3 };
        assert_eq!(builder.coupling("c", odd, Parity::Even, 4), Err(error));
        let window = Window::new(1, 1, Padding::none());
        let wide = builder.convolution("w", Source::Picture, 2, window, true, false).unwrap();
        let error = DescribeError::SeveralLocations { layer: "c".into(), locations: 3 };
        assert_eq!(builder.coupling("c", wide, Parity::Even, 4), Err(error));
    }

    #[test]
    fn what_can_not_be_added_or_pooled_is_an_error() {
        let mut builder = Builder::new(MapShape { channels: 2, height: 4, width: 4 });
        let window = Window::new(3, 1, Padding::zeros(1));
        let mut add = |input, out, add| builder.normed_convolution(["c", "n"], input, out, window, add, true);
        let first = add(Source::Picture, 3, None).unwrap();
        let second = add(Source::Node(first), 3, None).unwrap();
        add(Source::Node(second), 3, Some(first)).unwrap();
        let error = DescribeError::Addend { layer: "c".into() };
        assert_eq!(add(Source::Node(second), 4, Some(first)), Err(error.clone()));
        assert_eq!(add(Source::Node(first), 3, Some(first)), Err(error));
        let wide = Window::new(3, 2, Padding::zeros(2));
        let error = DescribeError::PoolBorder { layer: "p".into(), kernel: 3, border: 2 };
        assert_eq!(builder.max_pool("p", first, wide), Err(error));
        let pool = builder.max_pool("p", first, Window::new(3, 2, Padding::zeros(1))).unwrap();
        let average = builder.global_average("a", pool);
        let network = builder.finish(vec![average]);
        assert_eq!(network.nodes[pool].shape, MapShape { channels: 3, height: 2, width: 2 });
        assert_eq!(network.nodes[average].shape, MapShape { channels: 3, height: 1, width: 1 });
        assert_eq!(network.nodes[2].reads().collect::<Vec<_>>(), [second, first]);
        assert_eq!(network.parameters[0].init, Init::Normal { deviation: (2.0f32 / 27.0).sqrt() });
    }

    #[test]
    fn unused_norms_are_counted_and_marked() {
        let mut builder = Builder::new(MapShape { channels: 3, height: 4, width: 4 });
        let block = builder
            .residual_block("r", Source::Picture, 5, Window::new(2, 2, Padding::none()), false)
            .unwrap();
        assert_eq!(builder.batch_norm("n", block, false), block);
        let network = builder.finish(vec![block]);
        assert_eq!(network.parameter_len(), 5 * 3 * 4 + 25 + 10 + 10);
        let unused: Vec<_> = network.parameters.iter().filter(|p| !p.used).map(|p| p.name.as_str()).collect();
        assert_eq!(unused, ["r.bn1.bn.weight", "r.bn1.bn.bias", "n.bn.weight", "n.bn.bias"]);
        assert_eq!(network.initial_buffers(), [[0.0; 5], [1.0; 5], [0.0; 5], [1.0; 5]].concat());
    }
}
