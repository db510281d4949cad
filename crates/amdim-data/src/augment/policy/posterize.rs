//! Posterisation: fewer levels.

use serde::Serialize;

use super::level;
use crate::image::Image;

/// How many levels are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Params {
    /// Bits kept of 8, 0..=8.
    pub bits: u32,
}

/// 4 to 8 bits for levels 0..=1; 8 change nothing.
pub fn sample(level: f64) -> Params {
    Params { bits: level::spread(level, 4.0, 8.0) as u32 }
}

/// 0 to 4 bits for levels 0..=1, the range of AutoAugment's policies; 0 leave a black picture.
pub fn sample_strong(level: f64) -> Params {
    Params { bits: level::spread(level, 0.0, 4.0) as u32 }
}

/// Clears all but the highest bits of every level, as Pillow's `ImageOps.posterize`.
pub fn apply(image: &mut Image, params: &Params) {
    let mask = (0xFF00_u16 >> params.bits) as u8;
    for value in &mut image.pixels {
        *value &= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_highest_bits() {
        let posterized = |bits| {
            let mut image = Image::new(3, 1, 1, vec![0b1011_0111, 255, 3]).unwrap();
            apply(&mut image, &Params { bits });
            image.pixels
        };
        assert_eq!(posterized(8), [0b1011_0111, 255, 3]);
        assert_eq!(posterized(4), [0b1011_0000, 0b1111_0000, 0]);
        assert_eq!(posterized(1), [128, 128, 0]);
        assert_eq!(posterized(0), [0, 0, 0]);
    }

    #[test]
    fn parts_of_bits_are_cut_off() {
        assert_eq!([0.0, 0.24, 0.25, 0.99, 1.0].map(|level| sample(level).bits), [4, 4, 5, 7, 8]);
        assert_eq!([0.0, 0.49, 1.0].map(|level| sample_strong(level).bits), [0, 1, 4]);
    }
}
