//! Horizontal flip, drawn once a sample so that both views show the same side.

use crate::image::Image;
use amdim_random::Stream;

/// Whether the sample is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// True swaps left and right.
    pub flip: bool,
}

/// Draws a flip with `probability` (0..=1; 0.5 in the reference).
pub fn sample(probability: f64, stream: &mut Stream) -> Params {
    Params { flip: stream.chance(probability) }
}

/// Mirrors each row.
pub fn apply(image: &mut Image, params: &Params) {
    if !params.flip {
        return;
    }
    let row_values = image.row_values();
    if row_values == 0 {
        return;
    }
    for row in image.pixels.chunks_exact_mut(row_values) {
        if image.channels == 3 {
            row.as_chunks_mut::<3>().0.reverse();
        } else {
            row.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_pixels_not_channels() {
        let original = Image::new(2, 2, 3, (0..12).collect()).unwrap();
        let mut image = original.clone();
        apply(&mut image, &Params { flip: false });
        assert_eq!(image, original);
        apply(&mut image, &Params { flip: true });
        assert_eq!(image.pixels, [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]);
        apply(&mut image, &Params { flip: true });
        assert_eq!(image, original);
    }

    #[test]
    fn flips_follow_their_probability() {
        let count = (0..10_000).filter(|&i| sample(0.5, &mut Stream::for_sample(1, 0, i)).flip).count();
        // Standard deviation 50.
        assert!(count.abs_diff(5000) < 250, "{count}");
    }
}
