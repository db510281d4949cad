//! Brightness: every value times a factor.

use super::blend::{blend_table, map_values};
use crate::image::Image;

pub use super::factor::{Params, sample};

/// Blends with black, as Pillow's `ImageEnhance.Brightness`.
pub fn apply(image: &mut Image, params: &Params) {
    map_values(&mut image.pixels, &blend_table(0, params.factor));
}

#[cfg(test)]
mod tests {
    use super::*;
    use amdim_random::Stream;

    #[test]
    fn scales_and_clamps() {
        let mut image = Image::new(2, 1, 3, vec![0, 100, 200, 1, 2, 3]).unwrap();
        apply(&mut image, &Params { factor: 1.0 });
        assert_eq!(image.pixels, [0, 100, 200, 1, 2, 3]);
        apply(&mut image, &Params { factor: 1.5 });
        assert_eq!(image.pixels, [0, 150, 255, 1, 3, 4]);
    }

    #[test]
    fn factors_follow_the_strength() {
        let mut stream = Stream::for_view(1, 0, 0, 0);
        let factors: Vec<f64> = (0..10_000).map(|_| sample(0.4, &mut stream).factor).collect();
        assert!(factors.iter().all(|factor| (0.6..1.4).contains(factor)));
        let mean = factors.iter().sum::<f64>() / 10_000.0;
        // Standard error 0.0023.
        assert!((mean - 1.0).abs() < 0.012, "{mean}");
        assert!(factors.iter().any(|&factor| factor < 0.62) && factors.iter().any(|&factor| factor > 1.38));
        // A strength above 1 does not go below black.
        assert!((0..1000).all(|_| sample(2.0, &mut stream).factor >= 0.0));
    }
}
