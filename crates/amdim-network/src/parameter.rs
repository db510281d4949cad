//! Named tensors inside the two flat vectors.

/// Index into [`crate::Network::parameters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ParameterId(pub usize);

/// Index into [`crate::Network::buffers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BufferId(pub usize);

/// How a parameter is drawn at the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every element this value.
    Constant(f32),
    /// Uniform in `[-bound, bound)`. PyTorch's default for convolutions is `bound = 1 / sqrt(fan_in)`.
    Uniform {
        /// Half the width of the interval.
        bound: f32,
    },
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        deviation: f32,
    },
    /// Uniform in `[-bound, bound)`, then ones where output channel = input channel (1x1 kernels).
    NearIdentity {
        /// Half the width of the interval off the diagonal; 0.01 in the reference.
        bound: f32,
    },
}

/// A trainable tensor: its name, shape and place in the flat parameter vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name in the reference's `state_dict`, without the encoder's prefix, e.g. `layer_list.0.conv.weight`.
    pub name: String,
    /// Dimensions as in the `state_dict`.
    pub shape: Vec<usize>,
    /// First element's index in the flat vector.
    pub offset: usize,
    /// How it is drawn.
    pub init: Init,
    /// Whether a forward pass reads it. The reference keeps batch norms that it never applies; they are counted
    /// and saved, get no gradient, and the optimiser leaves them alone.
    pub used: bool,
}

impl Parameter {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its range in the flat vector.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// A vector of running statistics: its name and place in the flat vector of buffers.
#[derive(Debug, Clone, PartialEq)]
pub struct Buffer {
    /// Name in the reference's `state_dict`, without the encoder's prefix.
    pub name: String,
    /// First element's index in the flat vector.
    pub offset: usize,
    /// Number of elements (channels).
    pub len: usize,
    /// Value at the start: 0 for means, 1 for variances.
    pub initial: f32,
    /// Whether a forward pass reads and moves it.
    pub used: bool,
}

impl Buffer {
    /// Its range in the flat vector.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len
    }
}
