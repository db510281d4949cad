//! How levels become the factors of contrast, colour, brightness and sharpness.

use super::level;
use crate::augment::factor::Params;

/// A factor of 0.1..=1.9 for levels 0..=1; 1, at level 0.5, changes nothing.
pub fn sample(level: f64) -> Params {
    Params { factor: level::spread(level, 0.1, 1.9) }
}
