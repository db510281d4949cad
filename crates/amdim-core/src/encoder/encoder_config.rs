//! Which encoder, in the one form that requests and files of weights have.

use std::fmt;
use std::str::FromStr;

use amdim_network::Network;
use serde::{Deserialize, Serialize};

use super::{
    Activation, AmdimEncoder, InfomaxEncoder, MlpEncoder, RealNvpEncoder, ResNetDepth, ResNetEncoder, side_of,
};
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
    /// Fully connected layers.
    Mlp(MlpEncoder),
    /// Invertible couplings.
    RealNvp(RealNvpEncoder),
}

/// A layer before the vector, of encoders that have such: those of Deep InfoMax, whose paper classifies from both, and
/// perceptrons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InnerLayer {
    /// The last convolution's map, of kind dim.
    Conv,
    /// The fully connected layer of kind dim.
    Fc,
    /// A hidden layer of kind mlp, from 1, after its activation.
    Hidden(usize),
}

impl fmt::Display for InnerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conv => f.write_str("conv"),
            Self::Fc => f.write_str("fc"),
            Self::Hidden(number) => write!(f, "hidden{number}"),
        }
    }
}

impl FromStr for InnerLayer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match (name, name.strip_prefix("hidden").and_then(side_of).filter(|&number| number > 0)) {
            ("conv", _) => Ok(Self::Conv),
            ("fc", _) => Ok(Self::Fc),
            (_, Some(number)) => Ok(Self::Hidden(number)),
            _ => Err(Error::argument("layer", "conv, fc, or hiddenN", name)),
        }
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
            Self::Mlp(encoder) => encoder.describe(),
            Self::RealNvp(encoder) => encoder.describe(),
        }
    }

    /// The node of an inner layer in `network`, this encoder's description.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an encoder without such layers.
    pub fn inner_node(&self, network: &Network, layer: InnerLayer) -> Result<usize> {
        let found = match (self, layer) {
            // The last three nodes are the last convolution, fc and y.
            (Self::Dim(_), InnerLayer::Conv) => Some(network.nodes.len() - 3),
            (Self::Dim(_), InnerLayer::Fc) => Some(network.nodes.len() - 2),
            (Self::Mlp(encoder), InnerLayer::Hidden(number)) => encoder.hidden_node(number),
            _ => None,
        };
        let expected = match self {
            Self::Mlp(encoder) => format!("hidden1 to hidden{} (of this encoder)", encoder.hidden_layers),
            _ => "a map of this encoder (conv and fc are layers of kind dim, hiddenN of kind mlp)".to_owned(),
        };
        found.ok_or_else(|| Error::argument("layer", expected, layer))
    }

    /// Side of the pictures in pixels.
    pub fn encoder_size(&self) -> usize {
        match self {
            Self::Amdim(encoder) => encoder.encoder_size,
            Self::ResNet(encoder) => encoder.encoder_size,
            Self::Dim(encoder) => encoder.encoder_size,
            Self::Mlp(encoder) => encoder.encoder_size,
            Self::RealNvp(encoder) => encoder.encoder_size,
        }
    }

    /// Channels of the pictures.
    pub fn input_channels(&self) -> usize {
        match self {
            Self::Amdim(encoder) => encoder.input_channels,
            Self::ResNet(encoder) => encoder.input_channels,
            Self::Dim(encoder) => encoder.input_channels,
            Self::Mlp(encoder) => encoder.input_channels,
            Self::RealNvp(encoder) => encoder.input_channels,
        }
    }

    /// Dimensions of the embeddings.
    pub fn embedding_dim(&self) -> usize {
        match self {
            Self::Amdim(encoder) => encoder.embedding_dim,
            Self::ResNet(encoder) => encoder.embedding_dim,
            Self::Dim(encoder) => encoder.embedding_dim,
            Self::Mlp(encoder) => encoder.embedding_dim,
            Self::RealNvp(encoder) => encoder.embedding_dim(),
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

impl From<MlpEncoder> for EncoderConfig {
    fn from(encoder: MlpEncoder) -> Self {
        Self::Mlp(encoder)
    }
}

impl From<RealNvpEncoder> for EncoderConfig {
    fn from(encoder: RealNvpEncoder) -> Self {
        Self::RealNvp(encoder)
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
    Mlp,
    RealNvp,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amdim => "amdim",
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::Dim => "dim",
            Self::Mlp => "mlp",
            Self::RealNvp => "realnvp",
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
    /// Missing in files from before there were perceptrons.
    #[serde(default)]
    activation: Option<Activation>,
}

impl From<EncoderConfig> for Fields {
    fn from(encoder: EncoderConfig) -> Self {
        let bare = |kind, embedding_dim: usize, base_width: usize| Self {
            kind,
            encoder_size: encoder.encoder_size(),
            input_channels: encoder.input_channels(),
            base_width,
            embedding_dim,
            block_depth: None,
            batch_norm: true,
            local_maps: None,
            activation: None,
        };
        match &encoder {
            EncoderConfig::Amdim(own) => Self {
                block_depth: Some(own.block_depth),
                batch_norm: own.batch_norm,
                ..bare(Kind::Amdim, own.embedding_dim, own.base_width)
            },
            EncoderConfig::ResNet(own) => {
                let kind = match own.depth {
                    ResNetDepth::ResNet18 => Kind::ResNet18,
                    ResNetDepth::ResNet34 => Kind::ResNet34,
                    ResNetDepth::ResNet50 => Kind::ResNet50,
                };
                let local_maps = Some(own.local_maps.clone());
                Self { local_maps, ..bare(kind, own.embedding_dim, own.base_width) }
            }
            EncoderConfig::Dim(own) => bare(Kind::Dim, own.embedding_dim, own.base_width),
            EncoderConfig::Mlp(own) => Self {
                block_depth: Some(own.hidden_layers),
                batch_norm: false,
                activation: Some(own.activation),
                ..bare(Kind::Mlp, own.embedding_dim, own.hidden_units)
            },
            EncoderConfig::RealNvp(own) => Self {
                block_depth: Some(own.couplings),
                batch_norm: false,
                ..bare(Kind::RealNvp, own.embedding_dim(), own.hidden_units)
            },
        }
    }
}

impl TryFrom<Fields> for EncoderConfig {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let Fields { kind, encoder_size, input_channels, base_width, embedding_dim, batch_norm, .. } = fields;
        let wrong = |option: &str, expected: &str, given: String| {
            Error::argument(&format!("encoder.{option}"), format!("{expected} with kind {kind}"), given)
        };
        let depth = match kind {
            Kind::ResNet18 => Some(ResNetDepth::ResNet18),
            Kind::ResNet34 => Some(ResNetDepth::ResNet34),
            Kind::ResNet50 => Some(ResNetDepth::ResNet50),
            Kind::Amdim | Kind::Dim | Kind::Mlp | Kind::RealNvp => None,
        };
        // What a kind has no choice in.
        if depth.is_none()
            && let Some(maps) = &fields.local_maps
        {
            return Err(wrong("localMaps", "null, its local maps being fixed,", format!("{maps:?}")));
        }
        if kind != Kind::Mlp
            && let Some(activation) = fields.activation
        {
            return Err(wrong("activation", "null, its activations being fixed,", format!("{activation:?}")));
        }
        if matches!(kind, Kind::Mlp | Kind::RealNvp) && batch_norm {
            return Err(wrong("batchNorm", "false, as it never has it,", "true".into()));
        }
        let has_depth = matches!(kind, Kind::Amdim | Kind::Mlp | Kind::RealNvp);
        if !has_depth && let Some(given) = fields.block_depth {
            return Err(wrong("blockDepth", "null, its depth being fixed,", given.to_string()));
        }
        if !has_depth && !batch_norm {
            return Err(wrong("batchNorm", "true, as it always has it,", "false".into()));
        }
        let block_depth = || fields.block_depth.ok_or_else(|| wrong("blockDepth", "a number", "null".into()));
        if let Some(depth) = depth {
            let local_maps = fields
                .local_maps
                .clone()
                .ok_or_else(|| wrong("localMaps", "a list of sides", "null".into()))?;
            return Ok(Self::ResNet(ResNetEncoder {
                depth,
                encoder_size,
                input_channels,
                base_width,
                embedding_dim,
                local_maps,
            }));
        }
        Ok(match kind {
            Kind::Dim => {
                Self::Dim(InfomaxEncoder { encoder_size, input_channels, base_width, embedding_dim })
            }
            Kind::Mlp => Self::Mlp(MlpEncoder {
                encoder_size,
                input_channels,
                hidden_units: base_width,
                hidden_layers: block_depth()?,
                embedding_dim,
                activation: fields
                    .activation
                    .ok_or_else(|| wrong("activation", "relu or tanh", "null".into()))?,
            }),
            Kind::RealNvp => {
                let couplings = block_depth()?;
                let encoder =
                    RealNvpEncoder { encoder_size, input_channels, hidden_units: base_width, couplings };
                if encoder.embedding_dim() != embedding_dim {
                    let expected = format!("{}, the values of a picture,", encoder.embedding_dim());
                    return Err(wrong("embeddingDim", &expected, embedding_dim.to_string()));
                }
                Self::RealNvp(encoder)
            }
            _ => Self::Amdim(AmdimEncoder {
                encoder_size,
                input_channels,
                base_width,
                embedding_dim,
                block_depth: block_depth()?,
                batch_norm,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn amdim() -> Value {
        json!({ "kind": "amdim", "encoderSize": 32, "inputChannels": 3, "baseWidth": 4, "embeddingDim": 16,
                "blockDepth": 2, "batchNorm": false, "localMaps": null, "activation": null })
    }

    fn resnet() -> Value {
        json!({ "kind": "resnet34", "encoderSize": 64, "inputChannels": 1, "baseWidth": 4, "embeddingDim": 16,
                "blockDepth": null, "batchNorm": true, "localMaps": [4, 8], "activation": null })
    }

    fn dim() -> Value {
        json!({ "kind": "dim", "encoderSize": 28, "inputChannels": 1, "baseWidth": 4, "embeddingDim": 16,
                "blockDepth": null, "batchNorm": true, "localMaps": null, "activation": null })
    }

    fn mlp() -> Value {
        json!({ "kind": "mlp", "encoderSize": 28, "inputChannels": 1, "baseWidth": 4, "embeddingDim": 16,
                "blockDepth": 2, "batchNorm": false, "localMaps": null, "activation": "tanh" })
    }

    fn realnvp() -> Value {
        json!({ "kind": "realnvp", "encoderSize": 28, "inputChannels": 1, "baseWidth": 4, "embeddingDim": 784,
                "blockDepth": 2, "batchNorm": false, "localMaps": null, "activation": null })
    }

    #[test]
    fn encoders_are_read_as_they_are_written() {
        for json in [amdim(), resnet(), dim(), mlp(), realnvp()] {
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
        fields.remove("activation");
        let [old, new] = [old, amdim()].map(|json| serde_json::from_value::<EncoderConfig>(json).unwrap());
        assert_eq!(old, new);
    }

    #[test]
    fn inner_layers_are_those_of_the_kind() {
        for (json, layer, node) in [(dim(), "fc", "fc"), (mlp(), "hidden2", "hidden2_tanh")] {
            let encoder: EncoderConfig = serde_json::from_value(json).unwrap();
            let (network, layer) = (encoder.describe().unwrap(), layer.parse().unwrap());
            assert_eq!(network.nodes[encoder.inner_node(&network, layer).unwrap()].name, node);
        }
        for (json, layer) in [(dim(), "hidden1"), (mlp(), "hidden3"), (mlp(), "conv"), (amdim(), "fc")] {
            let encoder: EncoderConfig = serde_json::from_value(json).unwrap();
            let network = encoder.describe().unwrap();
            assert!(encoder.inner_node(&network, layer.parse().unwrap()).is_err(), "{layer}");
        }
        assert!("hidden0".parse::<InnerLayer>().is_err());
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
            (dim(), "activation", json!("relu")),
            (mlp(), "activation", Value::Null),
            (mlp(), "blockDepth", Value::Null),
            (mlp(), "batchNorm", json!(true)),
            (mlp(), "localMaps", json!([8])),
            (realnvp(), "embeddingDim", json!(64)),
            (realnvp(), "blockDepth", Value::Null),
            (realnvp(), "batchNorm", json!(true)),
            (realnvp(), "activation", json!("relu")),
        ] {
            json[field] = value;
            let error = serde_json::from_value::<EncoderConfig>(json).unwrap_err().to_string();
            assert!(field == "kind" || error.contains(field), "{field}: {error}");
        }
    }
}
