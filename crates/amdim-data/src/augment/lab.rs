//! CIE L\*a\*b\*: one channel of lightness and two of colour, which are two views of a picture.

use super::normalize;
use crate::image::Image;

/// White point of sRGB (D65), X, Y, Z.
const WHITE: [f64; 3] = [0.950_47, 1.0, 1.088_83];
/// Linear sRGB to X, Y, Z (IEC 61966-2-1).
const TO_XYZ: [[f64; 3]; 3] = [
    [0.412_456_4, 0.357_576_1, 0.180_437_5],
    [0.212_672_9, 0.715_152_2, 0.072_175_0],
    [0.019_333_9, 0.119_192_0, 0.950_304_1],
];
/// Below this, the cube root of the definition is a line.
const LINEAR_BELOW: f64 = 216.0 / 24_389.0;

/// Which channels a view keeps; the others are 0, their mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// L\* alone.
    Lightness,
    /// a\* and b\*.
    Colour,
    /// All three.
    All,
}

/// Turns RGB pictures into normalised L\*, a\*, b\*.
#[derive(Debug, Clone)]
pub struct LabNormalizer {
    /// Linear light of every level.
    linear: [f64; 256],
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl LabNormalizer {
    /// `params` are those of L\*, a\* and b\* with L\* over 100, a\* and b\* plus 128 over 255.
    pub fn new(params: &normalize::Params) -> Self {
        let linear = std::array::from_fn(|level| {
            let value = level as f64 / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        Self { linear, mean: params.mean.clone(), std: params.std.clone() }
    }

    /// Writes the planes of an RGB image.
    ///
    /// # Shapes
    /// `planes: [3, height, width]`
    pub fn apply(&self, image: &Image, kept: Kept, planes: &mut [f32]) {
        let size = image.width as usize * image.height as usize;
        let keeps = [kept != Kept::Colour, kept != Kept::Lightness, kept != Kept::Lightness];
        for (at, &pixel) in image.pixels.as_chunks::<3>().0.iter().enumerate() {
            let values = lab(pixel.map(|level| self.linear[usize::from(level)]));
            for (channel, value) in values.into_iter().enumerate() {
                let normalised = (value - self.mean[channel]) / self.std[channel];
                planes[channel * size + at] = if keeps[channel] { normalised as f32 } else { 0.0 };
            }
        }
    }
}

/// L\* over 100, a\* and b\* plus 128 over 255, of linear sRGB; all about 0..=1.
///
/// # Source
/// CIE 15:2004, section 8.2.1.
fn lab(linear: [f64; 3]) -> [f64; 3] {
    let [x, y, z] = std::array::from_fn(|row| {
        let value =
            TO_XYZ[row].iter().zip(linear).map(|(weight, light)| weight * light).sum::<f64>() / WHITE[row];
        if value > LINEAR_BELOW { value.cbrt() } else { (24_389.0 / 27.0 * value + 16.0) / 116.0 }
    });
    [(116.0 * y - 16.0) / 100.0, (500.0 * (x - y) + 128.0) / 255.0, (200.0 * (y - z) + 128.0) / 255.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalizer() -> LabNormalizer {
        LabNormalizer::new(&normalize::Params {
            mean: vec![0.0, 128.0 / 255.0, 128.0 / 255.0],
            std: vec![0.01, 1.0 / 255.0, 1.0 / 255.0],
        })
    }

    /// Known answers for sRGB under D65 (L, a, b).
    #[test]
    fn known_colours_have_their_values() {
        for (pixel, expected) in [
            ([255u8, 255, 255], [100.0f32, 0.0, 0.0]),
            ([0, 0, 0], [0.0, 0.0, 0.0]),
            ([255, 0, 0], [53.24, 80.09, 67.20]),
            ([0, 255, 0], [87.73, -86.18, 83.18]),
            ([0, 0, 255], [32.30, 79.19, -107.86]),
            ([119, 119, 119], [50.03, 0.0, 0.0]),
        ] {
            let image = Image::new(1, 1, 3, pixel.to_vec()).unwrap();
            let mut planes = [0.0; 3];
            normalizer().apply(&image, Kept::All, &mut planes);
            for (value, expected) in planes.iter().zip(expected) {
                assert!((value - expected).abs() < 0.02, "{pixel:?}: {planes:?}");
            }
        }
    }

    #[test]
    fn views_keep_their_channels_and_together_all() {
        let image = Image::new(2, 1, 3, vec![10, 200, 30, 90, 80, 70]).unwrap();
        let planes = |kept| {
            let mut planes = [7.0; 6];
            normalizer().apply(&image, kept, &mut planes);
            planes
        };
        let [lightness, colour, all] = [Kept::Lightness, Kept::Colour, Kept::All].map(planes);
        assert_eq!(lightness[2..], [0.0; 4]);
        assert_eq!(colour[..2], [0.0; 2]);
        for (at, value) in all.iter().enumerate() {
            assert_eq!(lightness[at] + colour[at], *value);
        }
    }
}
