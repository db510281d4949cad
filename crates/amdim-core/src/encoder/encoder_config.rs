//! Which encoder, in the one form that requests and files of weights have.

use std::fmt;

use amdim_network::Network;
use serde::{Deserialize, Serialize};

use super::{AmdimEncoder, InfomaxEncoder, ResNetDepth, ResNetEncoder};
use crate::{Error, Result};

/// An encoder: its kind with the options of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum EncoderConfig {
    /// The authors' padding-free residual encoders.
    Amdim(AmdimEncoder),
    /// Residual networks as torchvision builds them.
    ResNet(ResNetEncoder),
    /// The convolutional encoders of Deep InfoMax.
    Dim(InfomaxEncoder),
}

/// A layer before the vector of a Deep InfoMax encoder; the paper classifies from both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InnerLayer {
    /// The last convolution's map.
    Conv,
    /// The fully connected layer.
    Fc,
}

impl InnerLayer {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Conv, Self::Fc];
}

impl fmt::Display for InnerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conv => "conv",
            Self::Fc => "fc",
        })
    }
}

impl EncoderConfig {
    /// The network: outputs are the 1x1 embedding, with `embedding_dim` channels, and the local maps; those of amdim and
    /// the residual networks are projected and have as many.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a size that does not exist or options that make no network.
    pub fn describe(&self) -> Result<Network> {
        match self {
            Self::Amdim(encoder) => encoder.describe(),
            Self::ResNet(encoder) => encoder.describe(),
            Self::Dim(encoder) => encoder.describe(),
        }
    }

    /// The node of an inner layer in `network`, this encoder's description.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an encoder without such layers.
    pub fn inner_node(&self, network: &Network, layer: InnerLayer) -> Result<usize> {
        let Self::Dim(_) = self else {
            return Err(Error::argument(
                "layer",
                "a map of this encoder (conv and fc are layers of kind dim)",
                layer,
            ));
        };
        // The last three nodes are the last convolution, fc and y.
        Ok(network.nodes.len() - if layer == InnerLayer::Conv { 3 } else { 2 })
    }

    /// Side of the pictures in pixels.
    pub fn encoder_size(&self) -> usize {
        match self {
            Self::Amdim(encoder) => encoder.encoder_size,
            Self::ResNet(encoder) => encoder.encoder_size,
            Self::Dim(encoder) => encoder.encoder_size,
        }
    }

    /// Channels of the pictures.
    pub fn input_channels(&self) -> usize {
        match self {
            Self::Amdim(encoder) => encoder.input_channels,
            Self::ResNet(encoder) => encoder.input_channels,
            Self::Dim(encoder) => encoder.input_channels,
        }
    }

    /// Dimensions of the embeddings.
    pub fn embedding_dim(&self) -> usize {
        match self {
            Self::Amdim(encoder) => encoder.embedding_dim,
            Self::ResNet(encoder) => encoder.embedding_dim,
            Self::Dim(encoder) => encoder.embedding_dim,
        }
    }
}

impl From<AmdimEncoder> for EncoderConfig {
    fn from(encoder: AmdimEncoder) -> Self {
        Self::Amdim(encoder)
    }
}

impl From<InfomaxEncoder> for EncoderConfig {
    fn from(encoder: InfomaxEncoder) -> Self {
        Self::Dim(encoder)
    }
}

impl From<ResNetEncoder> for EncoderConfig {
    fn from(encoder: ResNetEncoder) -> Self {
        Self::ResNet(encoder)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Amdim,
    ResNet18,
    ResNet34,
    ResNet50,
    Dim,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amdim => "amdim",
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::Dim => "dim",
        })
    }
}

/// The options of all kinds side by side, null where the kind has none, as the configuration has them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    /// Files from before there were kinds hold authors' encoders.
    #[serde(default)]
    kind: Kind,
    encoder_size: usize,
    input_channels: usize,
    base_width: usize,
    embedding_dim: usize,
    block_depth: Option<usize>,
    batch_norm: bool,
    /// Missing in those files too.
    #[serde(default)]
    local_maps: Option<Vec<usize>>,
}

impl From<EncoderConfig> for Fields {
    fn from(encoder: EncoderConfig) -> Self {
        match encoder {
            EncoderConfig::Amdim(encoder) => Self {
                kind: Kind::Amdim,
                encoder_size: encoder.encoder_size,
                input_channels: encoder.input_channels,
                base_width: encoder.base_width,
                embedding_dim: encoder.embedding_dim,
                block_depth: Some(encoder.block_depth),
                batch_norm: encoder.batch_norm,
                local_maps: None,
            },
            EncoderConfig::ResNet(encoder) => Self {
                kind: match encoder.depth {
                    ResNetDepth::ResNet18 => Kind::ResNet18,
                    ResNetDepth::ResNet34 => Kind::ResNet34,
                    ResNetDepth::ResNet50 => Kind::ResNet50,
                },
                encoder_size: encoder.encoder_size,
                input_channels: encoder.input_channels,
                base_width: encoder.base_width,
                embedding_dim: encoder.embedding_dim,
                block_depth: None,
                batch_norm: true,
                local_maps: Some(encoder.local_maps),
            },
            EncoderConfig::Dim(encoder) => Self {
                kind: Kind::Dim,
                encoder_size: encoder.encoder_size,
                input_channels: encoder.input_channels,
                base_width: encoder.base_width,
                embedding_dim: encoder.embedding_dim,
                block_depth: None,
                batch_norm: true,
                local_maps: None,
            },
        }
    }
}

impl TryFrom<Fields> for EncoderConfig {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let Fields { kind, encoder_size, input_channels, base_width, embedding_dim, batch_norm, .. } = fields;
        let wrong = |option: &str, expected: &str, given: String| {
            Err(Error::argument(&format!("encoder.{option}"), format!("{expected} with kind {kind}"), given))
        };
        if kind == Kind::Amdim {
            if let Some(maps) = fields.local_maps {
                return wrong("localMaps", "null, its maps being 5x5 and 7x7,", format!("{maps:?}"));
            }
            let Some(block_depth) = fields.block_depth else {
                return wrong("blockDepth", "a number", "null".into());
            };
            return Ok(Self::Amdim(AmdimEncoder {
                encoder_size,
                input_channels,
                base_width,
                embedding_dim,
                block_depth,
                batch_norm,
            }));
        }
        if let Some(given) = fields.block_depth {
            return wrong("blockDepth", "null, its depth being fixed,", given.to_string());
        }
        if !batch_norm {
            return wrong("batchNorm", "true, as it always has it,", "false".into());
        }
        let depth = match kind {
            Kind::Amdim | Kind::Dim => {
                return match fields.local_maps {
                    Some(maps) => wrong("localMaps", "null, its local map being fixed,", format!("{maps:?}")),
                    None => Ok(Self::Dim(InfomaxEncoder {
                        encoder_size,
                        input_channels,
                        base_width,
                        embedding_dim,
                    })),
                };
            }
            Kind::ResNet18 => ResNetDepth::ResNet18,
            Kind::ResNet34 => ResNetDepth::ResNet34,
            Kind::ResNet50 => ResNetDepth::ResNet50,
        };
        let Some(local_maps) = fields.local_maps else {
            return wrong("localMaps", "a list of sides", "null".into());
        };
        Ok(Self::ResNet(ResNetEncoder {
            depth,
            encoder_size,
            input_channels,
            base_width,
            embedding_dim,
            local_maps,
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn amdim() -> Value {
        json!({ "kind": "amdim", "encoderSize": 32, "inputChannels": 3, "baseWidth": 4, "embeddingDim": 16,
                "blockDepth": 2, "batchNorm": false, "localMaps": null })
    }

    fn resnet() -> Value {
        json!({ "kind": "resnet34", "encoderSize": 64, "inputChannels": 1, "baseWidth": 4, "embeddingDim": 16,
                "blockDepth": null, "batchNorm": true, "localMaps": [4, 8] })
    }

    fn dim() -> Value {
        json!({ "kind": "dim", "encoderSize": 28, "inputChannels": 1, "baseWidth": 4, "embeddingDim": 16,
                "blockDepth": null, "batchNorm": true, "localMaps": null })
    }

    #[test]
    fn encoders_are_read_as_they_are_written() {
        for json in [amdim(), resnet(), dim()] {
            let encoder: EncoderConfig = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(&encoder).unwrap(), json);
            encoder.describe().unwrap();
        }
    }

    /// What files of weights held before there were kinds.
    #[test]
    fn without_kind_it_is_the_authors_encoder() {
        let mut old = amdim();
        let fields = old.as_object_mut().unwrap();
        fields.remove("kind");
        fields.remove("localMaps");
        let [old, new] = [old, amdim()].map(|json| serde_json::from_value::<EncoderConfig>(json).unwrap());
        assert_eq!(old, new);
    }

    #[test]
    fn options_of_another_kind_are_refused_by_name() {
        for (mut json, field, value) in [
            (amdim(), "blockDepth", Value::Null),
            (amdim(), "localMaps", json!([5])),
            (resnet(), "blockDepth", json!(3)),
            (resnet(), "batchNorm", json!(false)),
            (resnet(), "localMaps", Value::Null),
            (resnet(), "kind", json!("resnet20")),
            (resnet(), "width", json!(1)),
            (dim(), "blockDepth", json!(3)),
            (dim(), "batchNorm", json!(false)),
            (dim(), "localMaps", json!([8])),
        ] {
            json[field] = value;
            let error = serde_json::from_value::<EncoderConfig>(json).unwrap_err().to_string();
            assert!(field == "kind" || error.contains(field), "{field}: {error}");
        }
    }
}
