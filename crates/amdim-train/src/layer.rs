//! What `embed` can return of a picture.

use std::fmt;

use amdim_core::encoder::{InnerLayer, Scale};
use amdim_core::loss::{ObjectiveConfig, posterior_map};
use amdim_core::model::Model;
use amdim_core::tensors;
use amdim_network::MapShape;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Result, RunError};

/// A layer by its name: `global`, `localN`, `mixture` or `posteriorN`, N being the side of a local map; `conv` or `fc` of
/// encoders of kind dim, `hiddenN` of kind mlp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Layer {
    /// A map of the encoder.
    Map(Scale),
    /// The mixture features.
    Mixture,
    /// The posterior over mixture features at every location of a local map.
    Posterior(Scale),
    /// A layer before the global vector.
    Inner(InnerLayer),
}

impl Layer {
    /// Shape of what one picture gives.
    ///
    /// # Errors
    /// `AMDIM_INVALID_ARGUMENT` for a layer that the model does not have.
    pub fn shape(self, model: &Model) -> Result<Vec<usize>> {
        let config = model.config();
        let mixture = || {
            let expected = "a layer of this model (it has no mixture features)";
            config.mixture.ok_or_else(|| RunError::argument("layer", expected, self))
        };
        if let Self::Posterior(scale) = self {
            scale.place("layer", model.scales())?;
        }
        let embedding = config.encoder.embedding_dim();
        let encoder = model.encoder();
        Ok(match self {
            Self::Map(Scale::GLOBAL) => vec![embedding],
            Self::Map(scale) => {
                let place = scale.place("layer", model.scales())?;
                vec![encoder.output_shapes()[place].channels, scale.side(), scale.side()]
            }
            Self::Inner(layer) => {
                let MapShape { channels, height, width } =
                    encoder.nodes[config.encoder.inner_node(encoder, layer)?].shape;
                vec![channels, height, width]
            }
            Self::Mixture => vec![mixture()?.components, embedding],
            Self::Posterior(scale) => vec![mixture()?.components, scale.side(), scale.side()],
        })
    }

    /// The layer of normalised pictures, `[pictures, shape]`, row-major. A posterior needs `objective`, that of the
    /// model's configuration.
    pub(crate) fn read(
        self,
        model: &mut Model,
        images: &Tensor,
        objective: Option<&ObjectiveConfig>,
    ) -> Result<Vec<f32>> {
        let missing = |what: &str| RunError::internal(format!("{what} is missing"));
        let channels_first = |map: Tensor| map.transpose(1, 2).map_err(amdim_core::Error::from);
        Ok(tensors::to_vec(&match self {
            Self::Map(scale) => channels_first(model.embed_at(images, scale)?)?,
            Self::Inner(layer) => channels_first(model.embed_inner(images, layer)?)?,
            Self::Mixture => {
                let features = model.embed(images)?;
                features.mixture().ok_or_else(|| missing("the mixture"))?.clone()
            }
            Self::Posterior(scale) => {
                let objective = objective.ok_or_else(|| missing("the objective"))?;
                posterior_map(&model.embed(images)?, scale, objective)?
            }
        })?)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map(scale) => scale.fmt(f),
            Self::Mixture => f.write_str("mixture"),
            Self::Posterior(scale) => write!(f, "posterior{}", scale.side()),
            Self::Inner(layer) => layer.fmt(f),
        }
    }
}

impl From<Scale> for Layer {
    fn from(scale: Scale) -> Self {
        Self::Map(scale)
    }
}

impl From<Layer> for String {
    fn from(layer: Layer) -> Self {
        layer.to_string()
    }
}

impl TryFrom<String> for Layer {
    type Error = amdim_core::Error;

    fn try_from(name: String) -> std::result::Result<Self, Self::Error> {
        if name == "mixture" {
            return Ok(Self::Mixture);
        }
        if let Ok(layer) = name.parse() {
            return Ok(Self::Inner(layer));
        }
        match name.strip_prefix("posterior") {
            Some(side) => format!("local{side}").parse().map(Self::Posterior),
            None => name.parse().map(Self::Map),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, layer) in [
            ("global", Layer::Map(Scale::GLOBAL)),
            ("local7", Layer::Map(Scale::new(7))),
            ("mixture", Layer::Mixture),
            ("posterior5", Layer::Posterior(Scale::new(5))),
            ("conv", Layer::Inner(InnerLayer::Conv)),
            ("fc", Layer::Inner(InnerLayer::Fc)),
            ("hidden12", Layer::Inner(InnerLayer::Hidden(12))),
        ] {
            assert_eq!(Layer::try_from(name.to_owned()).unwrap(), layer);
            assert_eq!(layer.to_string(), name);
        }
        for bad in ["", "mixtures", "posterior", "posterior1", "posterior07", "posteriorglobal"] {
            assert!(Layer::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
