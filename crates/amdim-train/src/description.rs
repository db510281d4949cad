//! An encoder's description as plain data with names in place of indexes, for whoever rebuilds it elsewhere.

use std::collections::BTreeMap;

use amdim_core::encoder::Scale;
use amdim_core::model::ENCODER_PREFIX;
use amdim_network::{BatchNorm, BufferId, Layer, MapShape, Network, PadMode, ParameterId, Source, Window};
use serde::Serialize;

/// An encoder as data. Tensors are named as in [`crate::model::ModelInfo`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Shape of one (normalised) picture.
    pub input: Shape,
    /// The layers; each comes after its input.
    pub nodes: Vec<NodeDescription>,
    /// Indexes of the nodes that give the maps, by the names of the maps (`global`, `local7`).
    pub outputs: BTreeMap<String, usize>,
}

/// Shape of a picture or map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Number of channels.
    pub channels: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

/// One layer in its place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeDescription {
    /// Prefix of its tensors' names.
    pub name: String,
    /// Index of the node whose map it takes; none for the picture.
    pub input: Option<usize>,
    /// Shape of the map that it gives.
    pub shape: Shape,
    /// What it computes.
    pub layer: LayerDescription,
}

/// What a layer computes; [`amdim_network::Layer`] has the equations.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "the fields are those of amdim_network's layers, ids replaced by names")]
pub enum LayerDescription {
    Convolution {
        window: WindowDescription,
        weight: String,
        bias: Option<String>,
        relu: bool,
    },
    ResidualBlock {
        window: WindowDescription,
        conv1: String,
        norm: Option<NormDescription>,
        conv2: String,
    },
    BatchNorm(NormDescription),
    Projection {
        conv1: String,
        hidden_norm: Option<NormDescription>,
        conv2: String,
        shortcut_weight: String,
        shortcut_bias: String,
        output_norm: NormDescription,
    },
    NormedConvolution {
        window: WindowDescription,
        weight: String,
        norm: NormDescription,
        add: Option<usize>,
        relu: bool,
    },
    MaxPool {
        window: WindowDescription,
    },
    GlobalAverage,
    Tanh,
    Flatten,
    /// Channels `first`, `first` + 2, ...
    Alternate {
        first: usize,
    },
    /// Of node `of`, channels `kept`, `kept` + 2, ... stay.
    Coupling {
        of: usize,
        kept: usize,
    },
}

/// A sliding window and its border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowDescription {
    /// Side in pixels.
    pub kernel: usize,
    /// Step in pixels.
    pub stride: usize,
    /// Width of the border in pixels.
    pub padding: usize,
    /// What the border holds: `zero` or `reflect`.
    pub pad_mode: &'static str,
}

/// Names of a batch norm's tensors.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NormDescription {
    /// Scale.
    pub weight: String,
    /// Shift.
    pub bias: String,
    /// Running mean.
    pub running_mean: String,
    /// Running variance.
    pub running_var: String,
    /// Added to the variance.
    pub epsilon: f64,
    /// Share of a new batch in the running statistics.
    pub momentum: f64,
}

/// Describes an encoder, without what is added to it.
pub fn describe(network: &Network) -> Description {
    let nodes = network.nodes.iter().map(|node| NodeDescription {
        name: format!("{ENCODER_PREFIX}{}", node.name),
        input: match node.input {
            Source::Picture => None,
            Source::Node(index) => Some(index),
        },
        shape: shape(node.shape),
        layer: Names(network).layer(&node.layer),
    });
    let scales = Scale::all_of(network).into_iter();
    Description {
        input: shape(network.input),
        nodes: nodes.collect(),
        outputs: scales.map(|scale| scale.to_string()).zip(network.outputs.iter().copied()).collect(),
    }
}

fn shape(MapShape { channels, height, width }: MapShape) -> Shape {
    Shape { channels, height, width }
}

fn window(Window { kernel, stride, padding }: Window) -> WindowDescription {
    let pad_mode = match padding.mode {
        PadMode::Zero => "zero",
        PadMode::Reflect => "reflect",
    };
    WindowDescription { kernel, stride, padding: padding.pixels, pad_mode }
}

/// Replaces indexes by names.
struct Names<'a>(&'a Network);

impl Names<'_> {
    fn parameter(&self, id: ParameterId) -> String {
        format!("{ENCODER_PREFIX}{}", self.0.parameters[id.0].name)
    }

    fn buffer(&self, id: BufferId) -> String {
        format!("{ENCODER_PREFIX}{}", self.0.buffers[id.0].name)
    }

    fn norm(&self, norm: &BatchNorm) -> NormDescription {
        NormDescription {
            weight: self.parameter(norm.weight),
            bias: self.parameter(norm.bias),
            running_mean: self.buffer(norm.running_mean),
            running_var: self.buffer(norm.running_var),
            epsilon: norm.epsilon,
            momentum: norm.momentum,
        }
    }

    fn layer(&self, layer: &Layer) -> LayerDescription {
        match layer {
            Layer::Convolution(layer) => LayerDescription::Convolution {
                window: window(layer.window),
                weight: self.parameter(layer.weight),
                bias: layer.bias.map(|bias| self.parameter(bias)),
                relu: layer.relu,
            },
            Layer::ResidualBlock(layer) => LayerDescription::ResidualBlock {
                window: window(layer.window),
                conv1: self.parameter(layer.conv1),
                norm: layer.norm.as_ref().map(|norm| self.norm(norm)),
                conv2: self.parameter(layer.conv2),
            },
            Layer::BatchNorm(norm) => LayerDescription::BatchNorm(self.norm(norm)),
            Layer::Projection(layer) => LayerDescription::Projection {
                conv1: self.parameter(layer.conv1),
                hidden_norm: layer.hidden_norm.as_ref().map(|norm| self.norm(norm)),
                conv2: self.parameter(layer.conv2),
                shortcut_weight: self.parameter(layer.shortcut_weight),
                shortcut_bias: self.parameter(layer.shortcut_bias),
                output_norm: self.norm(&layer.output_norm),
            },
            Layer::NormedConvolution(layer) => LayerDescription::NormedConvolution {
                window: window(layer.window),
                weight: self.parameter(layer.weight),
                norm: self.norm(&layer.norm),
                add: layer.add,
                relu: layer.relu,
            },
            Layer::MaxPool(of) => LayerDescription::MaxPool { window: window(*of) },
            Layer::GlobalAverage => LayerDescription::GlobalAverage,
            Layer::Tanh => LayerDescription::Tanh,
            Layer::Flatten => LayerDescription::Flatten,
            Layer::Alternate(parity) => LayerDescription::Alternate { first: parity.first() },
            Layer::Coupling(layer) => LayerDescription::Coupling { of: layer.of, kept: layer.kept.first() },
            Layer::Mixture(_) => unreachable!("mixture features are no part of an encoder"),
        }
    }
}

#[cfg(test)]
mod tests {
    use amdim_core::encoder::AmdimEncoder;

    use super::*;

    #[test]
    fn names_the_tensors_of_every_layer() {
        let config = AmdimEncoder {
            encoder_size: 128,
            input_channels: 3,
            base_width: 4,
            embedding_dim: 32,
            block_depth: 1,
            batch_norm: true,
        };
        let description = serde_json::to_value(describe(&config.describe().unwrap())).unwrap();
        assert_eq!(description["input"]["height"], 128);
        let first = &description["nodes"][0];
        assert_eq!(first["input"], serde_json::Value::Null);
        assert_eq!(first["layer"]["kind"], "convolution");
        assert_eq!(first["layer"]["weight"], "encoder.module.layer_list.0.conv.weight");
        let window = serde_json::json!({"kernel": 5, "stride": 2, "padding": 2, "padMode": "reflect"});
        assert_eq!(first["layer"]["window"], window);
        let local7 = description["outputs"]["local7"].as_u64().unwrap() as usize;
        let projection = &description["nodes"][local7]["layer"];
        assert_eq!(projection["kind"], "projection");
        let mean = "encoder.module.rkhs_block_7.bn_out.bn.running_mean";
        assert_eq!(projection["outputNorm"]["runningMean"], mean);
    }
}
