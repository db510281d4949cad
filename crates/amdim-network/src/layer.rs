//! The kinds of layers and the shapes of the maps between them.

use crate::parameter::{BufferId, ParameterId};

/// Shape of a feature map or picture: channels, rows, columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MapShape {
    /// Number of channels.
    pub channels: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

impl MapShape {
    /// Number of locations: `height * width`.
    pub fn locations(&self) -> usize {
        self.height * self.width
    }

    /// Number of values: `channels * height * width`.
    pub fn len(&self) -> usize {
        self.channels * self.locations()
    }

    /// Whether the map holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a node's input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The picture itself.
    Picture,
    /// The map returned by the node of this index.
    Node(usize),
}

/// How the border of a map is extended before a window slides over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PadMode {
    /// With zeros. (Average pooling counts the zeros, as PyTorch does by default.)
    Zero,
    /// Mirrored without repeating the edge: `c b | a b c | b a`.
    Reflect,
}

/// Border of a map: `pixels` on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Width of the border in pixels.
    pub pixels: usize,
    /// What the border holds.
    pub mode: PadMode,
}

impl Padding {
    /// No border.
    pub fn none() -> Self {
        Self { pixels: 0, mode: PadMode::Zero }
    }

    /// A border of zeros, `pixels` wide.
    pub fn zeros(pixels: usize) -> Self {
        Self { pixels, mode: PadMode::Zero }
    }

    /// A mirrored border of `pixels`.
    pub fn reflect(pixels: usize) -> Self {
        Self { pixels, mode: PadMode::Reflect }
    }
}

/// A square window that slides over a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Side of the window in pixels.
    pub kernel: usize,
    /// Step of the window in pixels.
    pub stride: usize,
    /// Border added to the map first.
    pub padding: Padding,
}

impl Window {
    /// A window of `kernel` pixels that moves by `stride` pixels.
    pub fn new(kernel: usize, stride: usize, padding: Padding) -> Self {
        Self { kernel, stride, padding }
    }

    /// Number of window positions along an axis of `pixels`, or `None` if the window does not fit.
    pub fn positions(&self, pixels: usize) -> Option<usize> {
        (pixels + 2 * self.padding.pixels).checked_sub(self.kernel).map(|rest| rest / self.stride + 1)
    }

    /// The row (or column) of the unpadded map that offset `k` of window position `p` reads; `None` is a zero of
    /// the border.
    ///
    /// `pixels` is the length of the unpadded axis. A reflected border must be narrower than the map, which
    /// [`crate::Builder`] checks.
    pub fn source(&self, p: usize, k: usize, pixels: usize) -> Option<usize> {
        let at = p * self.stride + k;
        let border = self.padding.pixels;
        if at >= border && at < border + pixels {
            return Some(at - border);
        }
        match self.padding.mode {
            PadMode::Zero => None,
            PadMode::Reflect if at < border => Some(border - at),
            PadMode::Reflect => Some(2 * (pixels - 1) + border - at),
        }
    }
}

/// What a node computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// See [`Convolution`].
    Convolution(Convolution),
    /// See [`ResidualBlock`].
    ResidualBlock(ResidualBlock),
    /// See [`BatchNorm`].
    BatchNorm(BatchNorm),
    /// See [`Projection`].
    Projection(Projection),
    /// See [`Mixture`].
    Mixture(Mixture),
    /// See [`NormedConvolution`].
    NormedConvolution(NormedConvolution),
    /// The largest value of the window, a channel at a time; the border, if any, is no candidate. A window's gradient
    /// goes to the first of equal maxima, row by row.
    MaxPool(Window),
    /// Mean over all locations, a channel at a time: a 1x1 map.
    GlobalAverage,
    /// Hyperbolic tangent of every value.
    Tanh,
    /// The values of all locations as the channels of one: location after location.
    Flatten,
    /// Every other channel.
    Alternate(Parity),
    /// See [`Coupling`].
    Coupling(Coupling),
}

impl Layer {
    /// The parameters that it reads.
    pub fn parameters(&self) -> Vec<ParameterId> {
        let of_norm = |norm: &BatchNorm| [norm.weight, norm.bias];
        match self {
            Self::Convolution(layer) => [layer.weight].into_iter().chain(layer.bias).collect(),
            Self::ResidualBlock(layer) => {
                let norm = layer.norm.iter().flat_map(of_norm);
                [layer.conv1, layer.conv2].into_iter().chain(norm).collect()
            }
            Self::BatchNorm(norm) => of_norm(norm).to_vec(),
            Self::Projection(layer) => {
                let convolutions = [layer.conv1, layer.conv2, layer.shortcut_weight, layer.shortcut_bias];
                let norms = layer.hidden_norm.iter().chain([&layer.output_norm]).flat_map(of_norm);
                convolutions.into_iter().chain(norms).collect()
            }
            Self::Mixture(layer) => vec![layer.hidden_weight, layer.hidden_bias, layer.weight, layer.bias],
            Self::NormedConvolution(layer) => {
                [layer.weight].into_iter().chain(of_norm(&layer.norm)).collect()
            }
            Self::MaxPool(_)
            | Self::GlobalAverage
            | Self::Tanh
            | Self::Flatten
            | Self::Alternate(_)
            | Self::Coupling(_) => vec![],
        }
    }
}

/// Which channels of a map: those of even or of odd number, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parity {
    /// 0, 2, 4, ...
    Even,
    /// 1, 3, 5, ...
    Odd,
}

impl Parity {
    /// The first channel: 0 or 1.
    #[must_use]
    pub fn first(self) -> usize {
        match self {
            Self::Even => 0,
            Self::Odd => 1,
        }
    }

    /// The others.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    /// What belongs to these channels and to the others, in the order in which the channels lie: even, odd.
    #[must_use]
    pub fn order<T>(self, these: T, others: T) -> [T; 2] {
        match self {
            Self::Even => [these, others],
            Self::Odd => [others, these],
        }
    }
}

/// An affine coupling: of another node's map x the channels of parity `kept` stay, the k-th other one becomes
/// `x exp(tanh(scale_k)) + shift_k`. The layer's input holds the scales, then the shifts. As those are made of the channels
/// that stay ([`crate::Builder::coupling`]), x can be told from the result: the layer is invertible.
///
/// The hyperbolic tangent keeps factors between 1/e and e.
///
/// Source: Dinh, Sohl-Dickstein, Bengio 2017, arXiv 1605.08803, equations 7 and 8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupling {
    /// Node of x, a map of one location and an even number of channels.
    pub of: usize,
    /// The channels that stay.
    pub kept: Parity,
}

/// Convolution, optional bias, optional ReLU.
#[derive(Debug, Clone, PartialEq)]
pub struct Convolution {
    /// The sliding window.
    pub window: Window,
    /// `[out, in, kernel, kernel]`.
    pub weight: ParameterId,
    /// `[out]`.
    pub bias: Option<ParameterId>,
    /// Whether negative results become zero.
    pub relu: bool,
}

/// Batch normalisation over batch and locations, a channel at a time, with scale and shift.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    /// Scale `[channels]`.
    pub weight: ParameterId,
    /// Shift `[channels]`.
    pub bias: ParameterId,
    /// Running mean `[channels]`.
    pub running_mean: BufferId,
    /// Running variance `[channels]` (of the unbiased kind).
    pub running_var: BufferId,
    /// Added to the variance; 1e-5 in the reference.
    pub epsilon: f64,
    /// Share of the new batch in the running statistics; 0.1 in the reference.
    pub momentum: f64,
}

/// The reference's padding-free residual block (`ConvResNxN`):
/// `y = conv2(relu(norm(conv1(x)))) + pad_channels(average_pool(x))`.
///
/// `conv1` slides the window, `conv2` is 1x1, neither has a bias. The shortcut averages over the same window and
/// appends channels of zeros where the block widens the map.
#[derive(Debug, Clone, PartialEq)]
pub struct ResidualBlock {
    /// Window of `conv1` and of the average pool.
    pub window: Window,
    /// `[out, in, kernel, kernel]`.
    pub conv1: ParameterId,
    /// `[out, out, 1, 1]`.
    pub conv2: ParameterId,
    /// Batch norm between `conv1` and the ReLU, where the encoder uses it.
    pub norm: Option<BatchNorm>,
}

/// The reference's projection head (`FakeRKHSConvNet`), location by location:
/// `y = output_norm(conv2(relu(hidden_norm(conv1(x)))) + shortcut(x))`, all convolutions 1x1.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// `[out, in, 1, 1]`.
    pub conv1: ParameterId,
    /// `[out, out, 1, 1]`.
    pub conv2: ParameterId,
    /// Batch norm of the hidden layer, where the encoder uses it.
    pub hidden_norm: Option<BatchNorm>,
    /// `[out, in, 1, 1]`.
    pub shortcut_weight: ParameterId,
    /// `[out]`.
    pub shortcut_bias: ParameterId,
    /// Batch norm of the result; always present.
    pub output_norm: BatchNorm,
}

/// Mixture features of a picture's one vector x: `y_j = x + weight_j relu(hidden_weight x + hidden_bias) + bias_j`.
///
/// The result is a map of one column, a row a component, whose locations are the components.
///
/// Source: Bachman, Hjelm, Buchwalter 2019, arXiv 1906.00910, section 3.5 (its `m_k`).
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// `[hidden, in]`.
    pub hidden_weight: ParameterId,
    /// `[hidden]`.
    pub hidden_bias: ParameterId,
    /// `[components * in, hidden]`, a component after the other.
    pub weight: ParameterId,
    /// `[components * in]`.
    pub bias: ParameterId,
}

/// What residual networks are made of: `y = relu(norm(conv(x)) + other)`, where `other` is the map of another node.
///
/// The convolution has no bias; sum and ReLU are optional.
#[derive(Debug, Clone, PartialEq)]
pub struct NormedConvolution {
    /// The sliding window.
    pub window: Window,
    /// `[out, in, kernel, kernel]`.
    pub weight: ParameterId,
    /// Batch norm of the convolution's result.
    pub norm: BatchNorm,
    /// Node whose map, of the shape of the result, is added after the norm. It is not the layer's input.
    pub add: Option<usize>,
    /// Whether negative results become zero.
    pub relu: bool,
}

/// One layer in its place: name, input, kind, shape of the result.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Prefix of its parameters' names, e.g. `layer_list.2.layer_list.0`.
    pub name: String,
    /// Where its input comes from.
    pub input: Source,
    /// What it computes.
    pub layer: Layer,
    /// Shape of what it returns.
    pub shape: MapShape,
}

impl Node {
    /// The node whose map the layer takes beside its input, of the shape of the result: what is added to it, or coupled.
    pub fn beside(&self) -> Option<usize> {
        match &self.layer {
            Layer::NormedConvolution(layer) => layer.add,
            Layer::Coupling(layer) => Some(layer.of),
            _ => None,
        }
    }

    /// The nodes whose maps it reads.
    pub fn reads(&self) -> impl Iterator<Item = usize> + use<> {
        let input = match self.input {
            Source::Picture => None,
            Source::Node(input) => Some(input),
        };
        input.into_iter().chain(self.beside())
    }
}
