//! Contrast: every value's distance from the picture's mean luma times a factor.

use super::blend::{blend_table, map_values};
use super::grayscale::luma_of;
use crate::image::Image;
use crate::vector::kernel;
use amdim_kernels::vectorized;

pub use super::factor::{Params, sample};

/// Blends with the mean luma, rounded to a level, as Pillow's `ImageEnhance.Contrast`.
pub fn apply(image: &mut Image, params: &Params) {
    let mean = mean_luma(image);
    map_values(&mut image.pixels, &blend_table(mean, params.factor));
}

fn mean_luma(image: &Image) -> u8 {
    let (sum, count) = if image.channels == 3 {
        let pixels = image.pixels.as_chunks().0;
        // A picture of 16 million pixels fills 32 bits.
        (pixels.chunks(1 << 16).map(|chunk| u64::from(luma_sum(chunk))).sum::<u64>(), pixels.len())
    } else {
        (image.pixels.iter().map(|&value| u64::from(value)).sum(), image.pixels.len())
    };
    (sum as f64 / count.max(1) as f64 + 0.5) as u8
}

fn luma_sum(pixels: &[[u8; 3]]) -> u32 {
    vectorized!(kernel(), pixels.iter().map(|&pixel| luma_of(pixel.map(i32::from)) as u32).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_values_from_the_mean() {
        // Mean luma of a gray pair 100, 201 is 150.5, rounded to 151.
        let mut image = Image::new(2, 1, 1, vec![100, 201]).unwrap();
        apply(&mut image, &Params { factor: 0.0 });
        assert_eq!(image.pixels, [151, 151]);
        let mut image = Image::new(2, 1, 3, vec![100, 100, 100, 200, 200, 200]).unwrap();
        apply(&mut image, &Params { factor: 1.2 });
        assert_eq!(image.pixels, [90, 90, 90, 210, 210, 210]);
    }
}
