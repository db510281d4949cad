//! Sharpness: every value's distance from its smoothed neighbourhood times a factor.

use crate::augment::blend::blend_levels;
use crate::image::Image;
use crate::vector::kernel;
use amdim_kernels::vectorized;

pub use super::factor::sample;
pub use crate::augment::factor::Params;

/// Writes into `output` the blend with the smoothed picture, as Pillow's `ImageEnhance.Sharpness`: factors below 1 blur,
/// above 1 sharpen.
///
/// The filter (`ImageFilter.SMOOTH`) weighs the pixel 5 and its eight neighbours 1 each, rounds, and leaves the border
/// alone; a picture with a side below 3 has only border.
pub fn apply(image: &Image, params: &Params, output: &mut Image) {
    output.copy_from(image);
    if image.width < 3 || image.height < 3 {
        return;
    }
    let row_values = image.row_values();
    let channels = usize::from(image.channels);
    let factor = params.factor as f32;
    let rows = output.pixels.chunks_exact_mut(row_values).skip(1);
    for (row, window) in rows.zip(image.pixels.windows(3 * row_values).step_by(row_values)) {
        let (above, rest) = window.split_at(row_values);
        let (here, below) = rest.split_at(row_values);
        let inner = &mut row[channels..row_values - channels];
        vectorized!(kernel(), blend_with_smooth([above, here, below], channels, factor, inner));
    }
}

#[allow(clippy::inline_always, reason = "a vectorised loop")]
#[inline(always)]
fn blend_with_smooth(rows: [&[u8]; 3], channels: usize, factor: f32, inner: &mut [u8]) {
    let count = inner.len();
    // [row][left, middle, right]
    let shifted = rows.map(|row| [0, 1, 2].map(|column| &row[column * channels..][..count]));
    for (index, output) in inner.iter_mut().enumerate() {
        let level = i32::from(shifted[1][1][index]);
        let mut sum = 4 * level;
        for row in &shifted {
            for values in row {
                sum += i32::from(values[index]);
            }
        }
        // sum / 13, rounded; it is never halfway.
        *output = blend_levels((2 * sum + 13) / 26, level, factor) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_blurred_or_raised() {
        let image = Image::new(4, 3, 1, [10, 10, 140, 140].repeat(3)).unwrap();
        let mut output = Image::blank(0, 0, 1);
        let mut middle = |factor| {
            apply(&image, &Params { factor }, &mut output);
            output.pixels[4..8].to_vec()
        };
        // (10 of 13 parts of 10 and 3 of 140) = 40, mirrored 110.
        assert_eq!(middle(0.0), [10, 40, 110, 140]);
        assert_eq!(middle(1.0), [10, 10, 140, 140]);
        assert_eq!(middle(1.5), [10, 0, 155, 140]);
    }

    #[test]
    fn small_pictures_have_only_border() {
        let image = Image::new(2, 5, 1, (0..10).map(|value| value * 25).collect()).unwrap();
        let mut output = Image::blank(0, 0, 1);
        apply(&image, &Params { factor: 0.0 }, &mut output);
        assert_eq!(output, image);
    }
}
