//! What levels mean: a policy gives each operation a number of 0..=1, spread over the operation's range.

use amdim_random::Stream;

/// The value of `level` (0..=1) in `low..=high`.
pub(crate) fn spread(level: f64, low: f64, high: f64) -> f64 {
    level * (high - low) + low
}

/// The value, or as likely its negative.
pub(crate) fn mirrored(value: f64, stream: &mut Stream) -> f64 {
    if stream.chance(0.5) { -value } else { value }
}
