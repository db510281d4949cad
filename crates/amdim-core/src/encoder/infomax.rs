//! The convolutional encoders of Deep InfoMax as descriptions.

use amdim_network::{Builder, DescribeError, MapShape, Network, Padding, Source, Window};

use super::{check_counts, check_size};
use crate::Result;

/// Sides of the pictures that these encoders take, in pixels.
pub const INFOMAX_SIZES: [usize; 3] = [28, 32, 64];
/// How many times as many units as the first convolution has channels its fully connected layer has.
const HIDDEN_FACTOR: usize = 16;

/// An encoder of Deep InfoMax: strided convolutions with batch norm and ReLU, a fully connected layer, and a linear
/// layer to the picture's vector Y.
///
/// | pictures | convolutions (kernel, stride, border) | channels | local map |
/// | --- | --- | --- | --- |
/// | 28 | 2 of 5, 2, 2 | 64, 128 | 7x7, after the second |
/// | 32 | 3 of 4, 2, 1 | 64, 128, 256 | 8x8, after the second |
/// | 64 | 4 of 4, 2, 1 | 64, 128, 256, 512 | 8x8, after the third |
///
/// The layers are named `conv1`, `conv2`, ..., `fc` (1024 units) and `y`, and each can be embedded: the paper's Table 1
/// classifies from the last convolution, `fc` and `y`. Channels and units are those of `base_width` 64.
///
/// # Source
/// Hjelm et al. 2019, arXiv 1808.06670, appendix A.1; rdevon/DIM `configs/convnets.py` (`basic28x28`, `basic32x32`,
/// `basic64x64`). Convolutions are drawn as residual networks draw them (He et al. 2015), which trains alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfomaxEncoder {
    /// Side of the pictures in pixels: 28, 32 or 64.
    pub encoder_size: usize,
    /// Channels of the pictures; 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Channels of the first convolution; 64 in the reference. Each further one has twice as many.
    pub base_width: usize,
    /// Dimensions of Y; 64 in the paper.
    pub embedding_dim: usize,
}

impl InfomaxEncoder {
    /// The network: outputs are Y with `embedding_dim` channels, and the local map with its own.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a size that does not exist or a width of zero.
    pub fn describe(&self) -> Result<Network> {
        check_size(self.encoder_size, &INFOMAX_SIZES, " with kind dim")?;
        check_counts(&[
            ("inputChannels", self.input_channels),
            ("baseWidth", self.base_width),
            ("embeddingDim", self.embedding_dim),
        ])?;
        Ok(self.build()?)
    }

    fn build(&self) -> std::result::Result<Network, DescribeError> {
        let (convolutions, local, window) = match self.encoder_size {
            28 => (2, 2, Window::new(5, 2, Padding::zeros(2))),
            32 => (3, 2, Window::new(4, 2, Padding::zeros(1))),
            _ => (4, 3, Window::new(4, 2, Padding::zeros(1))),
        };
        let input =
            MapShape { channels: self.input_channels, height: self.encoder_size, width: self.encoder_size };
        let mut builder = Builder::new(input);
        let (mut top, mut local_map) = (Source::Picture, 0);
        for number in 1..=convolutions {
            let names = [format!("conv{number}"), format!("bn{number}")];
            let out = self.base_width << (number - 1);
            let node = builder.normed_convolution([&names[0], &names[1]], top, out, window, None, true)?;
            if number == local {
                local_map = node;
            }
            top = Source::Node(node);
        }
        let whole = Window::new(builder.shape(top).height, 1, Padding::none());
        let hidden = HIDDEN_FACTOR * self.base_width;
        let fc = builder.normed_convolution(["fc", "fc_bn"], top, hidden, whole, None, true)?;
        let one = Window::new(1, 1, Padding::none());
        let y = builder.convolution("y", Source::Node(fc), self.embedding_dim, one, true, false)?;
        Ok(builder.finish(vec![y, local_map]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder(encoder_size: usize) -> InfomaxEncoder {
        InfomaxEncoder { encoder_size, input_channels: 3, base_width: 64, embedding_dim: 64 }
    }

    /// Counted by hand from the reference's layers: convolutions without bias before batch norm.
    #[test]
    fn numbers_of_parameters_are_the_references() {
        let convolution = |from: usize, to: usize, kernel: usize| to * from * kernel * kernel + 2 * to;
        let dense = |from: usize| 1024 * from + 2 * 1024 + 64 * 1024 + 64;
        for (size, expected) in [
            (28, convolution(3, 64, 5) + convolution(64, 128, 5) + dense(128 * 7 * 7)),
            (
                32,
                convolution(3, 64, 4)
                    + convolution(64, 128, 4)
                    + convolution(128, 256, 4)
                    + dense(256 * 4 * 4),
            ),
            (
                64,
                convolution(3, 64, 4)
                    + convolution(64, 128, 4)
                    + convolution(128, 256, 4)
                    + convolution(256, 512, 4)
                    + dense(512 * 4 * 4),
            ),
        ] {
            assert_eq!(encoder(size).describe().unwrap().parameter_len(), expected, "{size}");
        }
    }

    #[test]
    fn the_local_map_is_the_papers() {
        for (size, side, channels) in [(28, 7, 128), (32, 8, 128), (64, 8, 256)] {
            let network = encoder(size).describe().unwrap();
            let shapes: Vec<_> =
                network.output_shapes().iter().map(|s| (s.height, s.width, s.channels)).collect();
            assert_eq!(shapes, [(1, 1, 64), (side, side, channels)]);
        }
    }

    #[test]
    fn impossible_encoders_are_typed_errors() {
        for bad in [
            encoder(128),
            InfomaxEncoder { base_width: 0, ..encoder(32) },
            InfomaxEncoder { input_channels: 0, ..encoder(32) },
            InfomaxEncoder { embedding_dim: usize::MAX, ..encoder(32) },
        ] {
            assert_eq!(bad.describe().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
    }
}
