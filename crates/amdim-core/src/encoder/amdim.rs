//! The authors' three padding-free residual encoders as descriptions.

use super::{SIZES, check_counts, check_size};
use crate::{Error, Result};
use amdim_network::{Builder, DescribeError, MapShape, Network, Padding, Source, Window};

/// Size and shape of an encoder (the reference's `model.py`, class `Encoder`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmdimEncoder {
    /// Side of the pictures in pixels: 32, 64 or 128.
    pub encoder_size: usize,
    /// Channels of the pictures; 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Width of the first layer (`ndf`); later layers have 2, 4 (and 8) times as many channels.
    pub base_width: usize,
    /// Dimensions of the embeddings (`n_rkhs`), at least the width of the last block.
    pub embedding_dim: usize,
    /// Residual layers a block (`n_depth`), at least 1.
    pub block_depth: usize,
    /// Whether the optional batch norms are applied (`use_bn`); the final ones always are.
    pub batch_norm: bool,
}

impl AmdimEncoder {
    /// The network: outputs are the 1x1, 5x5 and 7x7 embeddings, in this order, each with `embedding_dim` channels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a size that does not exist or a width that is zero or narrows.
    pub fn describe(&self) -> Result<Network> {
        check_size(self.encoder_size, &SIZES, "")?;
        check_counts(&[
            ("inputChannels", self.input_channels),
            ("baseWidth", self.base_width),
            ("embeddingDim", self.embedding_dim),
            ("blockDepth", self.block_depth),
        ])?;
        let widest = self.base_width * if self.encoder_size == 32 { 4 } else { 8 };
        if self.embedding_dim < widest {
            return Err(Error::argument(
                "embeddingDim",
                format!("at least {widest}, the width of the last block at baseWidth {}", self.base_width),
                self.embedding_dim,
            ));
        }
        Ok(self.build()?)
    }

    fn build(&self) -> std::result::Result<Network, DescribeError> {
        let input =
            MapShape { channels: self.input_channels, height: self.encoder_size, width: self.encoder_size };
        let mut layers =
            Layers { builder: Builder::new(input), config: self, count: 0, last: Source::Picture };
        let ndf = self.base_width;
        match self.encoder_size {
            32 => {
                layers.convolution(ndf, window(3, 1))?;
                layers.residual(ndf, window(1, 1))?;
                layers.block(2 * ndf, window(4, 2))?;
            }
            64 => {
                layers.convolution(ndf, window(3, 1))?;
                layers.block(2 * ndf, window(4, 2))?;
                layers.block(4 * ndf, window(4, 2))?;
            }
            _ => {
                layers.convolution(ndf, Window::new(5, 2, Padding::reflect(2)))?;
                layers.convolution(ndf, window(3, 1))?;
                layers.block(2 * ndf, window(4, 2))?;
                layers.block(4 * ndf, window(4, 2))?;
            }
        }
        let top = if self.encoder_size == 32 { 4 * ndf } else { 8 * ndf };
        layers.block(top, window(2, 2))?;
        let map7 = layers.norm(self.batch_norm);
        let map5 = layers.block(top, window(3, 1))?;
        layers.block(top, window(3, 1))?;
        layers.residual(self.embedding_dim, window(3, 1))?;
        let map1 = layers.norm(true);
        let mut builder = layers.builder;
        let local5 = builder.projection("rkhs_block_5", map5, self.embedding_dim, self.batch_norm);
        let local7 = builder.projection("rkhs_block_7", map7, self.embedding_dim, self.batch_norm);
        Ok(builder.finish(vec![map1, local5, local7]))
    }
}

fn window(kernel: usize, stride: usize) -> Window {
    Window::new(kernel, stride, Padding::none())
}

/// The reference's `layer_list`: each call adds one entry, named by its place.
struct Layers<'a> {
    builder: Builder,
    config: &'a AmdimEncoder,
    count: usize,
    last: Source,
}

impl Layers<'_> {
    fn name(&mut self) -> String {
        self.count += 1;
        format!("layer_list.{}", self.count - 1)
    }

    fn convolution(&mut self, out: usize, window: Window) -> std::result::Result<(), DescribeError> {
        let name = format!("{}.conv", self.name());
        self.last = Source::Node(self.builder.convolution(&name, self.last, out, window, true, true)?);
        Ok(())
    }

    fn residual(&mut self, out: usize, window: Window) -> std::result::Result<usize, DescribeError> {
        let name = self.name();
        let node = self.builder.residual_block(&name, self.last, out, window, self.config.batch_norm)?;
        self.last = Source::Node(node);
        Ok(node)
    }

    /// One residual layer with the window, then `block_depth - 1` with 1x1 windows.
    fn block(&mut self, out: usize, first: Window) -> std::result::Result<usize, DescribeError> {
        let name = self.name();
        let mut node = 0;
        for depth in 0..self.config.block_depth {
            let window = if depth == 0 { first } else { window(1, 1) };
            let name = format!("{name}.layer_list.{depth}");
            node = self.builder.residual_block(&name, self.last, out, window, self.config.batch_norm)?;
            self.last = Source::Node(node);
        }
        Ok(node)
    }

    fn norm(&mut self, applied: bool) -> usize {
        let name = self.name();
        let Source::Node(before) = self.last else { unreachable!("a norm is never the first layer") };
        let node = self.builder.batch_norm(&name, before, applied);
        self.last = Source::Node(node);
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(encoder_size: usize, base_width: usize, embedding_dim: usize) -> AmdimEncoder {
        AmdimEncoder {
            encoder_size,
            input_channels: 3,
            base_width,
            embedding_dim,
            block_depth: 3,
            batch_norm: false,
        }
    }

    #[test]
    fn numbers_of_parameters_are_the_references() {
        for (size, width, dim, expected) in [
            (32, 32, 256, 1_258_816),
            (32, 64, 512, 5_020_288),
            (32, 128, 1024, 20_051_200),
            (64, 32, 256, 3_619_328),
            (128, 32, 256, 3_630_112),
        ] {
            for batch_norm in [false, true] {
                let network = AmdimEncoder { batch_norm, ..config(size, width, dim) }.describe().unwrap();
                assert_eq!(
                    network.parameter_len(),
                    expected,
                    "{size}/{width}/{dim}, batch norm {batch_norm}"
                );
            }
        }
    }

    #[test]
    fn maps_have_one_five_and_seven_locations_a_side() {
        for size in [32, 64, 128] {
            for channels in [1, 3, 4] {
                let config = AmdimEncoder { input_channels: channels, ..config(size, 4, 32) };
                let sides: Vec<_> = config
                    .describe()
                    .unwrap()
                    .output_shapes()
                    .iter()
                    .map(|s| (s.height, s.channels))
                    .collect();
                assert_eq!(sides, [(1, 32), (5, 32), (7, 32)]);
            }
        }
    }

    #[test]
    fn impossible_encoders_are_typed_errors() {
        for bad in [
            config(48, 32, 256),
            config(32, 0, 256),
            config(32, 1 << 60, 1 << 63),
            config(32, 128, 256),
            AmdimEncoder { block_depth: 0, ..config(32, 32, 256) },
            AmdimEncoder { input_channels: 0, ..config(32, 32, 256) },
        ] {
            assert_eq!(bad.describe().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
    }
}
