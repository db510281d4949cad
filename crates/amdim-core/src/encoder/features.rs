//! The feature maps that an encoder returns.

use candle_core::Tensor;

use crate::{Error, Result};

/// A scale at which features are compared, named by the side of its map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scale {
    /// The 1x1 map (the paper's f1, reference `r1`).
    Global,
    /// The 5x5 map (f5, `r5`).
    Local5,
    /// The 7x7 map (f7, `r7`).
    Local7,
}

impl Scale {
    /// Every scale, in the order of the encoder's outputs.
    pub const ALL: [Self; 3] = [Self::Global, Self::Local5, Self::Local7];

    /// Rows (and columns) of the map.
    pub fn side(self) -> usize {
        match self {
            Self::Global => 1,
            Self::Local5 => 5,
            Self::Local7 => 7,
        }
    }

    /// Locations of the map: `side * side`.
    pub fn locations(self) -> usize {
        self.side() * self.side()
    }
}

/// Embeddings of a batch at the three scales, each `[batch, locations, embedding]`.
#[derive(Debug, Clone)]
pub struct Features {
    maps: [Tensor; 3],
}

impl Features {
    /// From maps in the order of [`Scale::ALL`].
    ///
    /// # Errors
    /// [`Error::Shape`] if the maps do not agree in batch and embedding size or have other numbers of locations.
    pub fn new(maps: Vec<Tensor>) -> Result<Self> {
        let maps: [Tensor; 3] =
            maps.try_into().map_err(|maps: Vec<_>| Error::shape("feature maps", &[3], &[maps.len()]))?;
        let (batch, _, embedding) = maps[0].dims3()?;
        for (map, scale) in maps.iter().zip(Scale::ALL) {
            crate::tensors::expect_shape("feature map", map, &[batch, scale.locations(), embedding])?;
        }
        Ok(Self { maps })
    }

    /// The map of one scale, `[batch, locations, embedding]`.
    pub fn at(&self, scale: Scale) -> &Tensor {
        &self.maps[scale as usize]
    }

    /// All maps in the order of [`Scale::ALL`].
    pub fn maps(&self) -> &[Tensor] {
        &self.maps
    }

    /// Number of pictures.
    pub fn batch(&self) -> usize {
        self.maps[0].dims()[0]
    }

    /// Dimensions of the embeddings.
    pub fn embedding(&self) -> usize {
        self.maps[0].dims()[2]
    }

    /// The map of one scale as pictures are laid out, `[batch, embedding, side, side]`.
    pub fn channels_first(&self, scale: Scale) -> Result<Tensor> {
        let side = scale.side();
        let map = self.at(scale).transpose(1, 2)?.contiguous()?;
        Ok(map.reshape((self.batch(), self.embedding(), side, side))?)
    }

    /// The global vectors, `[batch, embedding]`.
    pub fn global(&self) -> Result<Tensor> {
        Ok(self.maps[0].squeeze(1)?)
    }
}
