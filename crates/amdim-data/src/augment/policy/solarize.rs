//! Solarisation: bright levels are inverted.

use serde::Serialize;

use super::level;
use crate::image::Image;

/// From where on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// The least level that is inverted, 0..=256; 256 inverts none.
    pub threshold: f64,
}

/// A threshold of 0..=256 for levels 0..=1: the higher the level, the less changes.
pub fn sample(level: f64) -> Params {
    Params { threshold: level::spread(level, 0.0, 256.0) }
}

/// Inverts the levels from the threshold on, as Pillow's `ImageOps.solarize`.
pub fn apply(image: &mut Image, params: &Params) {
    // Level 255 itself may stay, so the threshold needs more than 8 bits.
    let threshold = params.threshold.ceil() as u16;
    for value in &mut image.pixels {
        *value = if u16::from(*value) < threshold { *value } else { !*value };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverts_from_the_threshold_on() {
        let solarized = |threshold| {
            let mut image = Image::new(4, 1, 1, vec![0, 127, 128, 255]).unwrap();
            apply(&mut image, &Params { threshold });
            image.pixels
        };
        assert_eq!(solarized(128.0), [0, 127, 127, 0]);
        assert_eq!(solarized(127.5), [0, 127, 127, 0]);
        assert_eq!(solarized(127.0), [0, 128, 127, 0]);
        assert_eq!(solarized(0.0), [255, 128, 127, 0]);
        assert_eq!(solarized(256.0), [0, 127, 128, 255]);
    }
}
