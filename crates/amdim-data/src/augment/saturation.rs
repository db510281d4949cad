//! Saturation: every value's distance from its pixel's luma times a factor.

use super::blend::blend;
use super::grayscale::luma;
use crate::image::Image;

pub use super::factor::{Params, sample};

/// Blends with the luma, as Pillow's `ImageEnhance.Color`; a gray image stays as it is.
pub fn apply(image: &mut Image, params: &Params) {
    if image.channels != 3 {
        return;
    }
    let factor = params.factor as f32;
    for pixel in image.pixels.as_chunks_mut::<3>().0 {
        let gray = luma(*pixel);
        *pixel = pixel.map(|value| blend(gray, value, factor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_gray_and_one_changes_nothing() {
        let original = Image::new(1, 1, 3, vec![200, 100, 50]).unwrap();
        let mut image = original.clone();
        apply(&mut image, &Params { factor: 1.0 });
        assert_eq!(image, original);
        apply(&mut image, &Params { factor: 0.0 });
        assert_eq!(image.pixels, [luma([200, 100, 50]); 3]);
    }
}
