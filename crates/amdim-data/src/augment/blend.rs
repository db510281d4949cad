//! Pillow's `Image.blend` on single values, the arithmetic under brightness, contrast and saturation.

/// `from + factor * (to - from)` in single precision, cut to 8 bits.
///
/// Factors outside 0..=1 extrapolate and are clamped first; inside they cannot leave 0..=255.
#[inline]
pub(crate) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let value = f32::from(from) + factor * (f32::from(to) - f32::from(from));
    // A float to integer cast saturates, which is Pillow's clamp.
    value as u8
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
