//! The scales at which an encoder's features are compared.

use std::fmt;
use std::str::FromStr;

use amdim_network::Network;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A scale at which features are compared: the side of its map. Its name is `global` (1x1) or `localN` (N rows).
///
/// Which scales an encoder has is what its description says: [`Scale::all_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scale(usize);

impl Scale {
    /// The 1x1 map (the paper's f1, reference `r1`), the first output of every encoder.
    pub const GLOBAL: Self = Self(1);

    /// The scale of maps with `side` rows and columns, at least 1.
    pub const fn new(side: usize) -> Self {
        Self(side)
    }

    /// The scales of the maps of an encoder's description, in the order of its outputs: the global one, then the local ones.
    pub fn all_of(encoder: &Network) -> Vec<Self> {
        encoder.output_shapes().iter().map(|shape| Self(shape.height)).collect()
    }

    /// Rows (and columns) of the map.
    pub fn side(self) -> usize {
        self.0
    }

    /// Locations of the map: `side * side`.
    pub fn locations(self) -> usize {
        self.0 * self.0
    }

    /// The place of this scale among those of an encoder.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] called `name`, with the scales that there are.
    pub fn place(self, name: &str, scales: &[Self]) -> Result<usize> {
        scales.iter().position(|&scale| scale == self).ok_or_else(|| {
            let names: Vec<String> = scales.iter().map(Self::to_string).collect();
            Error::argument(name, format!("a map of this encoder ({})", names.join(", ")), self)
        })
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("global"),
            side => write!(f, "local{side}"),
        }
    }
}

impl FromStr for Scale {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let side = name.strip_prefix("local").and_then(side_of).filter(|&side| side > 1);
        match side {
            _ if name == "global" => Ok(Self::GLOBAL),
            Some(side) => Ok(Self(side)),
            None => Err(Error::argument("layer", "global, or localN for a map of N x N", name)),
        }
    }
}

/// A side in the form in which it is written: digits without a leading zero, as many as the largest sensible map has.
pub(crate) fn side_of(text: &str) -> Option<usize> {
    let is_written =
        text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && text.len() <= 4;
    if is_written { text.parse().ok() } else { None }
}

impl From<Scale> for String {
    fn from(scale: Scale) -> Self {
        scale.to_string()
    }
}

impl TryFrom<String> for Scale {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, side) in [("global", 1), ("local5", 5), ("local16", 16)] {
            let scale: Scale = name.parse().unwrap();
            assert_eq!(
                (scale.side(), scale.locations(), scale.to_string().as_str()),
                (side, side * side, name)
            );
        }
        for bad in ["", "local", "local1", "local0", "local05", "local+5", "local-5", "global5", "local99999"]
        {
            assert_eq!(bad.parse::<Scale>().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT", "{bad}");
        }
    }

    #[test]
    fn a_scale_that_is_not_there_is_an_error_that_names_those_that_are() {
        let scales = [1, 5, 7].map(Scale::new);
        assert_eq!(Scale::new(7).place("layer", &scales).unwrap(), 2);
        let error = Scale::new(8).place("layer", &scales).unwrap_err();
        assert_eq!(
            error.to_string(),
            "layer: expected a map of this encoder (global, local5, local7), got local8"
        );
    }
}
