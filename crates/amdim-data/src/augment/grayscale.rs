//! Grayscale: every channel becomes the pixel's luma.

use super::pixels::{Change, map_pixels};
use crate::image::Image;
use crate::vector::kernel;
use amdim_kernels::vectorized;
use amdim_random::Stream;

/// Whether the view turns gray.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// True turns it gray.
    pub gray: bool,
}

/// Draws gray with `probability` (0..=1).
pub fn sample(probability: f64, stream: &mut Stream) -> Params {
    Params { gray: stream.chance(probability) }
}

/// Writes the luma into all three channels; a gray image stays as it is.
pub fn apply(image: &mut Image, params: &Params) {
    if !params.gray || image.channels != 3 {
        return;
    }
    vectorized!(kernel(), map_pixels(image.pixels.as_chunks_mut().0, &ToGray));
}

struct ToGray;

impl Change for ToGray {
    #[allow(clippy::inline_always, reason = "part of a vectorised loop")]
    #[inline(always)]
    fn change(&self, levels: [i32; 3]) -> [i32; 3] {
        [luma_of(levels); 3]
    }
}

/// Pillow's `convert('L')`: ITU-R 601 luma in 16-bit fixed point, rounded.
#[inline]
pub fn luma(pixel: [u8; 3]) -> u8 {
    luma_of(pixel.map(i32::from)) as u8
}

/// [`luma`] of levels 0..=255.
#[allow(clippy::inline_always, reason = "part of vectorised loops")]
#[inline(always)]
pub(crate) fn luma_of([red, green, blue]: [i32; 3]) -> i32 {
    (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_of_primaries() {
        assert_eq!([luma([255, 0, 0]), luma([0, 255, 0]), luma([0, 0, 255])], [76, 150, 29]);
        assert_eq!(luma([255; 3]), 255);
    }

    #[test]
    fn gray_follows_its_probability() {
        let mut stream = Stream::for_view(1, 2, 3, 0);
        let count = (0..10_000).filter(|_| sample(0.25, &mut stream).gray).count();
        // Standard deviation 43.
        assert!(count.abs_diff(2500) < 220, "{count}");
        let mut image = Image::new(1, 1, 3, vec![255, 0, 0]).unwrap();
        apply(&mut image, &Params { gray: false });
        assert_eq!(image.pixels, [255, 0, 0]);
        apply(&mut image, &Params { gray: true });
        assert_eq!(image.pixels, [76, 76, 76]);
    }
}
