//! The one parameter that brightness, contrast and saturation have in common, and how it is drawn.

use amdim_random::Stream;
use serde::Serialize;

/// How strong an adjustment is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// 0 is the extreme (black, uniform gray, no colour), 1 changes nothing.
    pub factor: f64,
}

/// Draws a factor from `max(0, 1 - strength)..1 + strength`.
pub fn sample(strength: f64, stream: &mut Stream) -> Params {
    Params { factor: stream.uniform((1.0 - strength).max(0.0), 1.0 + strength) }
}
