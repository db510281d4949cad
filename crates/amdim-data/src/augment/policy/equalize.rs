//! Equalisation: levels spread so that all are about equally frequent.

use super::histogram::{Table, identity, remap};
use crate::image::Image;

/// Equalises the histogram of each channel, as Pillow's `ImageOps.equalize`; a channel of one level, or with too few
/// other pixels than those of its highest level, stays as it is.
pub fn apply(image: &mut Image) {
    remap(image, equalized);
}

fn equalized(counts: &Table<u32>) -> Table<u8> {
    let total: u32 = counts.iter().sum();
    let of_highest = counts.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
    // Of a channel with one level, nothing is left here.
    let step = (total - of_highest) / 255;
    if step == 0 {
        return identity();
    }
    let mut below = step / 2;
    counts.map(|count| {
        // In small pictures the last levels go beyond the scale.
        let level = (below / step).min(255) as u8;
        below += count;
        level
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_become_equally_frequent() {
        let pixels: Vec<u8> = (0..510_u16).map(|index| if index < 255 { 100 } else { 101 }).collect();
        let mut image = Image::new(510, 1, 1, pixels).unwrap();
        apply(&mut image);
        assert_eq!([image.pixels[0], image.pixels[509]], [0, 255]);
    }

    #[test]
    fn few_pixels_stay() {
        let original = Image::new(2, 2, 1, vec![1, 2, 3, 4]).unwrap();
        let mut image = original.clone();
        apply(&mut image);
        assert_eq!(image, original);
    }
}
