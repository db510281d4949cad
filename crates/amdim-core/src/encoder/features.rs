//! The feature maps that an encoder returns.

use candle_core::Tensor;

use super::Scale;
use crate::{Error, Result};

/// Embeddings of a batch at the scales of an encoder, each `[batch, locations, channels]`, and what further parts of its
/// network made of them.
#[derive(Debug, Clone)]
pub struct Features {
    maps: Vec<Tensor>,
    scales: Vec<Scale>,
    mixture: Option<Tensor>,
    heads: Vec<(&'static str, Tensor)>,
}

impl Features {
    /// From maps in the order of the encoder's outputs: the global one first, then local ones of other sides.
    ///
    /// # Errors
    /// [`Error::Shape`] if the maps do not agree in batch, the first has several locations, or another is not square or as
    /// large as one before.
    pub fn new(maps: Vec<Tensor>) -> Result<Self> {
        let first = maps.first().ok_or_else(|| Error::shape("feature maps", &[1], &[0]))?;
        let (batch, _, embedding) = first.dims3()?;
        let mut scales: Vec<Scale> = Vec::with_capacity(maps.len());
        for map in &maps {
            let scale = Scale::new(map.dims3()?.1.isqrt());
            if scales.is_empty() != (scale == Scale::GLOBAL) || scales.contains(&scale) {
                let what = "feature maps (one of 1x1 first, then of other sides)";
                return Err(Error::shape(what, &[batch, 1, embedding], map.dims()));
            }
            crate::tensors::expect_shape("feature map", map, &[batch, scale.locations(), map.dims3()?.2])?;
            scales.push(scale);
        }
        Ok(Self { maps, scales, mixture: None, heads: vec![] })
    }

    /// The same with mixture features of the global vectors, `[batch, components, embedding]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if they do not fit the maps.
    pub fn with_mixture(self, mixture: Tensor) -> Result<Self> {
        let components = mixture.dims3()?.1;
        crate::tensors::expect_shape(
            "mixture features",
            &mixture,
            &[self.batch(), components, self.embedding()],
        )?;
        Ok(Self { mixture: Some(mixture), ..self })
    }

    /// The same with the results of a method's heads, each `[batch, locations, units]`, by name.
    #[must_use]
    pub fn with_heads(self, heads: Vec<(&'static str, Tensor)>) -> Self {
        Self { heads, ..self }
    }

    /// What a method's head made of the maps, `[batch, locations, units]`.
    ///
    /// # Errors
    /// [`Error::Internal`] for a head that the model was not made with.
    pub fn head(&self, name: &str) -> Result<&Tensor> {
        let found = self.heads.iter().find(|(own, _)| *own == name);
        Ok(&found.ok_or_else(|| Error::internal(format!("the model has no head {name}")))?.1)
    }

    /// Mixture features, `[batch, components, embedding]`, of models that have them.
    pub fn mixture(&self) -> Option<&Tensor> {
        self.mixture.as_ref()
    }

    /// The scales, in the order of the maps.
    pub fn scales(&self) -> &[Scale] {
        &self.scales
    }

    /// The map of one scale, `[batch, locations, channels]`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the scales that there are.
    pub fn at(&self, scale: Scale) -> Result<&Tensor> {
        Ok(&self.maps[scale.place("layer", &self.scales)?])
    }

    /// All maps in the order of [`Features::scales`].
    pub fn maps(&self) -> &[Tensor] {
        &self.maps
    }

    /// Number of pictures.
    pub fn batch(&self) -> usize {
        self.maps[0].dims()[0]
    }

    /// Dimensions of the global vectors; of the local maps too, where the encoder projects them.
    pub fn embedding(&self) -> usize {
        self.maps[0].dims()[2]
    }

    /// The map of one scale as pictures are laid out, `[batch, channels, side, side]`.
    ///
    /// # Errors
    /// As [`Features::at`].
    pub fn channels_first(&self, scale: Scale) -> Result<Tensor> {
        let side = scale.side();
        let map = self.at(scale)?.transpose(1, 2)?.contiguous()?;
        Ok(map.reshape((self.batch(), map.dim(1)?, side, side))?)
    }

    /// The global vectors, `[batch, embedding]`.
    pub fn global(&self) -> Result<Tensor> {
        Ok(self.maps[0].squeeze(1)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn maps_that_no_encoder_gives_are_refused() {
        let map = |batch, locations, embedding| {
            Tensor::zeros((batch, locations, embedding), DType::F32, &Device::Cpu).unwrap()
        };
        let features = Features::new(vec![map(2, 1, 3), map(2, 16, 3)]).unwrap();
        assert_eq!(features.scales(), [Scale::GLOBAL, Scale::new(4)]);
        assert_eq!(features.at(Scale::new(5)).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        assert_eq!(features.head("none").unwrap_err().code(), "AMDIM_INTERNAL");
        for bad in [
            vec![],
            vec![map(2, 4, 3)],
            vec![map(2, 1, 3), map(2, 1, 3)],
            vec![map(2, 1, 3), map(2, 5, 3)],
            vec![map(2, 1, 3), map(2, 4, 3), map(2, 4, 3)],
            vec![map(2, 1, 3), map(3, 4, 3)],
        ] {
            assert_eq!(Features::new(bad).unwrap_err().code(), "AMDIM_SHAPE");
        }
    }
}
