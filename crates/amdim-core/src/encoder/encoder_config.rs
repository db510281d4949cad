//! Which encoder, in the one form that requests and files of weights have.

use amdim_network::Network;
use serde::{Deserialize, Serialize};

use super::{AmdimEncoder, ResNetDepth, ResNetEncoder};
use crate::{Error, Result};

/// An encoder: its kind with the options of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum EncoderConfig {
    /// The authors' padding-free residual encoders.
    Amdim(AmdimEncoder),
    /// Residual networks as torchvision builds them.
    ResNet(ResNetEncoder),
}

impl EncoderConfig {
    /// The network: outputs are the 1x1 embedding and those of the local maps, each with `embedding_dim` channels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a size that does not exist or options that make no network.
    pub fn describe(&self) -> Result<Network> {
        match self {
            Self::Amdim(encoder) => encoder.describe(),
            Self::ResNet(encoder) => encoder.describe(),
        }
    }

    /// Side of the pictures in pixels.
    pub fn encoder_size(&self) -> usize {
        match self {
            Self::Amdim(encoder) => encoder.encoder_size,
            Self::ResNet(encoder) => encoder.encoder_size,
        }
    }

    /// Channels of the pictures.
    pub fn input_channels(&self) -> usize {
        match self {
            Self::Amdim(encoder) => encoder.input_channels,
            Self::ResNet(encoder) => encoder.input_channels,
        }
    }

    /// Dimensions of the embeddings.
    pub fn embedding_dim(&self) -> usize {
        match self {
            Self::Amdim(encoder) => encoder.embedding_dim,
            Self::ResNet(encoder) => encoder.embedding_dim,
        }
    }
}

impl From<AmdimEncoder> for EncoderConfig {
    fn from(encoder: AmdimEncoder) -> Self {
        Self::Amdim(encoder)
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
        }
    }
}

impl TryFrom<Fields> for EncoderConfig {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let Fields { encoder_size, input_channels, base_width, embedding_dim, batch_norm, .. } = fields;
        let depth = match fields.kind {
            Kind::Amdim => {
                let block_depth = fields.block_depth.ok_or_else(|| {
                    Error::argument("encoder.blockDepth", "a number with kind amdim", "null")
                })?;
                if let Some(maps) = fields.local_maps {
                    let expected = "null with kind amdim, whose maps are 5x5 and 7x7";
                    return Err(Error::argument("encoder.localMaps", expected, format!("{maps:?}")));
                }
                return Ok(Self::Amdim(AmdimEncoder {
                    encoder_size,
                    input_channels,
                    base_width,
                    embedding_dim,
                    block_depth,
                    batch_norm,
                }));
            }
            Kind::ResNet18 => ResNetDepth::ResNet18,
            Kind::ResNet34 => ResNetDepth::ResNet34,
            Kind::ResNet50 => ResNetDepth::ResNet50,
        };
        if let Some(given) = fields.block_depth {
            return Err(Error::argument(
                "encoder.blockDepth",
                "null with a ResNet, whose depth is its kind",
                given,
            ));
        }
        if !batch_norm {
            return Err(Error::argument(
                "encoder.batchNorm",
                "true with a ResNet, which always has it",
                false,
            ));
        }
        let local_maps = fields
            .local_maps
            .ok_or_else(|| Error::argument("encoder.localMaps", "a list of sides with a ResNet", "null"))?;
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

    #[test]
    fn encoders_are_read_as_they_are_written() {
        for json in [amdim(), resnet()] {
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
        ] {
            json[field] = value;
            let error = serde_json::from_value::<EncoderConfig>(json).unwrap_err().to_string();
            assert!(field == "kind" || error.contains(field), "{field}: {error}");
        }
    }
}
