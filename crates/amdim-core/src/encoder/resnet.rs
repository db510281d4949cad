//! Residual networks as encoders, as torchvision builds them.

use amdim_network::{Builder, DescribeError, MapShape, Network, Padding, Source, Window};

use super::{SIZES, check_counts, check_size};
use crate::{Error, Result};

/// Sides of the maps that the four stages give, at every size of pictures.
pub const STAGE_SIDES: [usize; 4] = [32, 16, 8, 4];

/// How many times as many channels as its narrow layers a bottleneck gives.
const EXPANSION: usize = 4;

/// Which network of He et al. 2016.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResNetDepth {
    /// Blocks of two 3x3 convolutions, [2, 2, 2, 2] of them.
    ResNet18,
    /// Blocks of two 3x3 convolutions, [3, 4, 6, 3] of them.
    ResNet34,
    /// Bottlenecks of 1x1, 3x3 and 1x1 convolutions, [3, 4, 6, 3] of them; the 3x3 one strides, as in torchvision.
    ResNet50,
}

impl ResNetDepth {
    fn blocks(self) -> [usize; 4] {
        match self {
            Self::ResNet18 => [2, 2, 2, 2],
            Self::ResNet34 | Self::ResNet50 => [3, 4, 6, 3],
        }
    }
}

/// A residual network with AMDIM's projections on its maps.
///
/// The four stages give maps of 32x32, 16x16, 8x8 and 4x4 at every size, because the first layers follow it:
///
/// | pictures | first layers |
/// | --- | --- |
/// | 32 | 3x3 convolution; the usual form for small pictures |
/// | 64 | 7x7 convolution with stride 2; torchvision's without its max pool |
/// | 128 | 7x7 convolution with stride 2, 3x3 max pool with stride 2; torchvision's |
///
/// Parameters of the backbone have torchvision's names and shapes (without `fc`) and are drawn as it draws them. Each
/// map that is compared goes through a projection head `rkhs_block_SIDE` of its own; that of the 1x1 map reads the
/// average over the last stage's map.
///
/// # Source
/// He, Zhang, Ren, Sun 2016, "Deep Residual Learning for Image Recognition", arXiv 1512.03385; torchvision
/// `models/resnet.py`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResNetEncoder {
    /// Which network.
    pub depth: ResNetDepth,
    /// Side of the pictures in pixels: 32, 64 or 128.
    pub encoder_size: usize,
    /// Channels of the pictures; 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Channels of the first layers; 64 in torchvision. Later stages have 2, 4 and 8 times as many.
    pub base_width: usize,
    /// Dimensions of the embeddings.
    pub embedding_dim: usize,
    /// Sides of the stages' maps that are projected, beside the 1x1 one; of [`STAGE_SIDES`], ascending.
    pub local_maps: Vec<usize>,
}

impl ResNetEncoder {
    /// The network: outputs are the 1x1 embedding and those of `local_maps`, in this order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a size or map that does not exist, or a width of zero.
    pub fn describe(&self) -> Result<Network> {
        check_size(self.encoder_size, &SIZES, "")?;
        check_counts(&[
            ("inputChannels", self.input_channels),
            ("baseWidth", self.base_width),
            ("embeddingDim", self.embedding_dim),
        ])?;
        let ascends = self.local_maps.windows(2).all(|pair| pair[0] < pair[1]);
        if self.local_maps.is_empty()
            || !ascends
            || self.local_maps.iter().any(|side| !STAGE_SIDES.contains(side))
        {
            return Err(Error::argument(
                "localMaps",
                "sides of the stages' maps (4, 8, 16, 32), ascending, each once",
                format!("{:?}", self.local_maps),
            ));
        }
        Ok(self.build()?)
    }

    fn build(&self) -> std::result::Result<Network, DescribeError> {
        let input =
            MapShape { channels: self.input_channels, height: self.encoder_size, width: self.encoder_size };
        let mut builder = Builder::new(input);
        let mut top = self.stem(&mut builder)?;
        let mut maps = vec![];
        for (stage, &count) in self.depth.blocks().iter().enumerate() {
            for block in 0..count {
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                let name = format!("layer{}.{block}", stage + 1);
                let block = Block { name: &name, input: top, planes: self.base_width << stage, stride };
                top = match self.depth {
                    ResNetDepth::ResNet18 | ResNetDepth::ResNet34 => block.basic(&mut builder)?,
                    ResNetDepth::ResNet50 => block.bottleneck(&mut builder)?,
                };
            }
            maps.push(top);
        }
        let average = builder.global_average("avgpool", top);
        let mut outputs = vec![builder.projection("rkhs_block_1", average, self.embedding_dim, true)];
        for side in &self.local_maps {
            for (&map, _) in maps.iter().zip(STAGE_SIDES).filter(|&(_, stage)| stage == *side) {
                let name = format!("rkhs_block_{side}");
                outputs.push(builder.projection(&name, map, self.embedding_dim, true));
            }
        }
        Ok(builder.finish(outputs))
    }

    fn stem(&self, builder: &mut Builder) -> std::result::Result<usize, DescribeError> {
        let window = if self.encoder_size == 32 { window(3, 1, 1) } else { window(7, 2, 3) };
        let names = ["conv1", "bn1"];
        let conv = builder.normed_convolution(names, Source::Picture, self.base_width, window, None, true)?;
        if self.encoder_size < 128 {
            return Ok(conv);
        }
        builder.max_pool("maxpool", conv, self::window(3, 2, 1))
    }
}

/// One residual block: `relu(layers(x) + shortcut(x))`.
struct Block<'a> {
    name: &'a str,
    input: usize,
    planes: usize,
    stride: usize,
}

impl Block<'_> {
    fn basic(self, builder: &mut Builder) -> std::result::Result<usize, DescribeError> {
        let top = self.layer(builder, 1, self.input, self.planes, window(3, self.stride, 1), None)?;
        let shortcut = self.shortcut(builder, self.planes)?;
        self.layer(builder, 2, top, self.planes, window(3, 1, 1), Some(shortcut))
    }

    fn bottleneck(self, builder: &mut Builder) -> std::result::Result<usize, DescribeError> {
        let out = EXPANSION * self.planes;
        let top = self.layer(builder, 1, self.input, self.planes, window(1, 1, 0), None)?;
        let top = self.layer(builder, 2, top, self.planes, window(3, self.stride, 1), None)?;
        let shortcut = self.shortcut(builder, out)?;
        self.layer(builder, 3, top, out, window(1, 1, 0), Some(shortcut))
    }

    /// Convolution, batch norm, optional sum, ReLU.
    fn layer(
        &self,
        builder: &mut Builder,
        number: usize,
        input: usize,
        out: usize,
        window: Window,
        add: Option<usize>,
    ) -> std::result::Result<usize, DescribeError> {
        let [conv, norm] = ["conv", "bn"].map(|kind| format!("{}.{kind}{number}", self.name));
        builder.normed_convolution([&conv, &norm], Source::Node(input), out, window, add, true)
    }

    /// The input itself, or where its shape changes, a 1x1 convolution and batch norm of it.
    fn shortcut(&self, builder: &mut Builder, out: usize) -> std::result::Result<usize, DescribeError> {
        let input = Source::Node(self.input);
        if self.stride == 1 && builder.shape(input).channels == out {
            return Ok(self.input);
        }
        let [conv, norm] = ["0", "1"].map(|place| format!("{}.downsample.{place}", self.name));
        builder.normed_convolution([&conv, &norm], input, out, window(1, self.stride, 0), None, false)
    }
}

fn window(kernel: usize, stride: usize, zeros: usize) -> Window {
    Window::new(kernel, stride, Padding::zeros(zeros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder(depth: ResNetDepth, encoder_size: usize) -> ResNetEncoder {
        ResNetEncoder {
            depth,
            encoder_size,
            input_channels: 3,
            base_width: 64,
            embedding_dim: 128,
            local_maps: vec![4, 8],
        }
    }

    /// Counted with torchvision 0.27, `fc` left out.
    #[test]
    fn numbers_of_parameters_are_torchvisions() {
        for (depth, expected) in [
            (ResNetDepth::ResNet18, 11_176_512),
            (ResNetDepth::ResNet34, 21_284_672),
            (ResNetDepth::ResNet50, 23_508_032),
        ] {
            let network = encoder(depth, 128).describe().unwrap();
            let backbone = network.parameters.iter().filter(|parameter| !parameter.name.starts_with("rkhs"));
            assert_eq!(backbone.map(amdim_network::Parameter::len).sum::<usize>(), expected, "{depth:?}");
            assert!(network.parameters.iter().all(|parameter| parameter.used));
        }
    }

    #[test]
    fn stages_have_the_same_sides_at_every_size() {
        for size in [32, 64, 128] {
            for depth in [ResNetDepth::ResNet18, ResNetDepth::ResNet50] {
                let local_maps = vec![4, 8, 16, 32];
                let network = ResNetEncoder { local_maps, ..encoder(depth, size) }.describe().unwrap();
                let sides: Vec<_> =
                    network.output_shapes().iter().map(|s| (s.height, s.width, s.channels)).collect();
                assert_eq!(sides, [1, 4, 8, 16, 32].map(|side| (side, side, 128)));
            }
        }
    }

    #[test]
    fn impossible_encoders_are_typed_errors() {
        let good = encoder(ResNetDepth::ResNet18, 32);
        for bad in [
            ResNetEncoder { encoder_size: 33, ..good.clone() },
            ResNetEncoder { base_width: 0, ..good.clone() },
            ResNetEncoder { base_width: usize::MAX, ..good.clone() },
            ResNetEncoder { embedding_dim: 0, ..good.clone() },
            ResNetEncoder { local_maps: vec![], ..good.clone() },
            ResNetEncoder { local_maps: vec![5], ..good.clone() },
            ResNetEncoder { local_maps: vec![8, 4], ..good.clone() },
            ResNetEncoder { local_maps: vec![4, 4], ..good },
        ] {
            assert_eq!(bad.describe().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
    }
}
