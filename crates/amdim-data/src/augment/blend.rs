//! Pillow's `Image.blend` on single values, the arithmetic under brightness, contrast and saturation.

use crate::vector::cut;

/// `from + factor * (to - from)` in single precision, cut to 8 bits.
///
/// Factors outside 0..=1 extrapolate and are clamped first; inside they cannot leave 0..=255.
#[inline]
pub(crate) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    blend_levels(i32::from(from), i32::from(to), factor) as u8
}

/// [`blend`] of levels 0..=255.
#[allow(clippy::inline_always, reason = "part of vectorised loops")]
#[inline(always)]
pub(crate) fn blend_levels(from: i32, to: i32, factor: f32) -> i32 {
    cut((from as f32 + factor * (to - from) as f32).clamp(0.0, 255.0))
}

/// A table of [`blend`] for a constant `from`.
pub(crate) fn blend_table(from: u8, factor: f64) -> [u8; 256] {
    std::array::from_fn(|to| blend(from, to as u8, factor as f32))
}

/// Replaces every value by its entry of `table`.
pub(crate) fn map_values(values: &mut [u8], table: &[u8; 256]) {
    for value in values {
        *value = table[usize::from(*value)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_extrapolation() {
        assert_eq!(blend(10, 200, 0.0), 10);
        assert_eq!(blend(10, 200, 1.0), 200);
        assert_eq!(blend(10, 200, 1.5), 255);
        assert_eq!(blend(200, 10, 1.5), 0);
        // 0.5 levels are cut off, not rounded.
        assert_eq!(blend(0, 3, 0.5), 1);
    }
}
