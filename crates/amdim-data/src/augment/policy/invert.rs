//! Inversion: every level's distance from white.

use crate::image::Image;

/// Replaces every level by 255 less it, as Pillow's `ImageOps.invert`.
pub fn apply(image: &mut Image) {
    for value in &mut image.pixels {
        *value = !*value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_becomes_white() {
        let mut image = Image::new(3, 1, 1, vec![0, 100, 255]).unwrap();
        apply(&mut image);
        assert_eq!(image.pixels, [255, 155, 0]);
    }
}
