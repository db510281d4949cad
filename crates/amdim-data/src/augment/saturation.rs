//! Saturation: every value's distance from its pixel's luma times a factor.

use super::blend::blend_levels;
use super::grayscale::luma_of;
use super::pixels::{Change, map_pixels};
use crate::image::Image;
use crate::vector::kernel;
use amdim_kernels::vectorized;

pub use super::factor::{Params, sample};

/// Blends with the luma, as Pillow's `ImageEnhance.Color`; a gray image stays as it is.
pub fn apply(image: &mut Image, params: &Params) {
    if image.channels == 3 {
        let change = Saturate { factor: params.factor as f32 };
        vectorized!(kernel(), map_pixels(image.pixels.as_chunks_mut().0, &change));
    }
}

struct Saturate {
    factor: f32,
}

impl Change for Saturate {
    #[allow(clippy::inline_always, reason = "part of a vectorised loop")]
    #[inline(always)]
    fn change(&self, levels: [i32; 3]) -> [i32; 3] {
        let gray = luma_of(levels);
        levels.map(|level| blend_levels(gray, level, self.factor))
    }
}

#[cfg(test)]
mod tests {
    use super::super::grayscale::luma;
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
