//! Auto-contrast: each channel stretched from black to white.

use super::histogram::{Table, identity, remap};
use crate::image::Image;

/// Spreads the levels of each channel evenly so that its lowest becomes 0 and its highest 255, as Pillow's
/// `ImageOps.autocontrast`; a channel of one level stays as it is.
pub fn apply(image: &mut Image) {
    remap(image, stretched);
}

fn stretched(counts: &Table<u32>) -> Table<u8> {
    let lowest = counts.iter().position(|&count| count > 0).unwrap_or(0);
    let highest = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
    if highest <= lowest {
        return identity();
    }
    let scale = 255.0 / (highest - lowest) as f64;
    let offset = -(lowest as f64) * scale;
    // The conversion cuts towards 0 and into 0..=255.
    std::array::from_fn(|level| (level as f64 * scale + offset) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_fills_the_scale() {
        let mut image = Image::new(3, 1, 3, vec![50, 7, 0, 100, 7, 255, 150, 7, 3]).unwrap();
        apply(&mut image);
        assert_eq!(image.pixels, [0, 7, 0, 127, 7, 255, 255, 7, 3]);
    }
}
