//! Cutout: a gray square somewhere (`DeVries` and Taylor 2017, arXiv:1708.04552).

use std::ops::Range;

use serde::Serialize;

use super::level;
use crate::augment::grayscale;
use crate::image::Image;
use amdim_random::Stream;

/// The colour of the square: about the mean of `ImageNet`.
const COLOR: [u8; 3] = [125, 123, 114];

/// Where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Params {
    /// The columns, inside the picture.
    pub columns: Range<u32>,
    /// The rows, inside the picture.
    pub rows: Range<u32>,
}

/// A square of 0..=0.2 of the picture's width for levels 0..=1, around a place anywhere in the picture of `size` (width
/// and height); none at level 0.
pub fn sample(level: f64, size: [u32; 2], stream: &mut Stream) -> Option<Params> {
    let share = level::spread(level, 0.0, 0.2);
    (share > 0.0).then(|| around(place(size, stream), share * f64::from(size[0]), size))
}

/// A square of 0..=20 pixels for levels 0..=1.
pub fn sample_absolute(level: f64, size: [u32; 2], stream: &mut Stream) -> Params {
    around(place(size, stream), level::spread(level, 0.0, 20.0), size)
}

fn place(size: [u32; 2], stream: &mut Stream) -> [f64; 2] {
    size.map(|side| stream.uniform(0.0, f64::from(side)))
}

/// The pixels that Pillow's `ImageDraw.rectangle` fills for a square of side `pixels` around `place`, of which the corner
/// alone is moved into the picture, as in the published code: its far sides belong to it, and it is a pixel larger than
/// it says.
pub fn around(place: [f64; 2], pixels: f64, size: [u32; 2]) -> Params {
    let [columns, rows] = [0, 1].map(|axis| {
        let side = f64::from(size[axis]);
        let first = (place[axis] - pixels / 2.0).max(0.0).floor();
        let last = (first + pixels).min(side).floor();
        first as u32..(last + 1.0).min(side) as u32
    });
    Params { columns, rows }
}

/// Paints the square.
pub fn apply(image: &mut Image, params: &Params) {
    let channels = usize::from(image.channels);
    let row_values = image.row_values();
    let columns = params.columns.start as usize * channels..params.columns.end as usize * channels;
    for row in image
        .pixels
        .chunks_exact_mut(row_values)
        .take(params.rows.end as usize)
        .skip(params.rows.start as usize)
    {
        let values = &mut row[columns.clone()];
        if channels == 3 {
            values.as_chunks_mut().0.fill(COLOR);
        } else {
            values.fill(grayscale::luma(COLOR));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_a_pixel_larger_and_end_at_the_border() {
        assert_eq!(around([5.0, 5.0], 2.0, [10, 10]), Params { columns: 4..7, rows: 4..7 });
        assert_eq!(around([0.5, 9.9], 3.0, [10, 10]), Params { columns: 0..4, rows: 8..10 });
        assert_eq!(around([3.0, 3.0], 0.0, [10, 10]), Params { columns: 3..4, rows: 3..4 });
    }

    #[test]
    fn paints_every_pixel_of_the_square() {
        let mut image = Image::new(3, 2, 3, vec![0; 18]).unwrap();
        apply(&mut image, &Params { columns: 1..3, rows: 1..2 });
        assert_eq!(image.pixels[..12], [0; 12]);
        assert_eq!(image.pixels[12..], [125, 123, 114, 125, 123, 114]);
        let mut gray = Image::new(2, 1, 1, vec![0, 0]).unwrap();
        apply(&mut gray, &Params { columns: 0..1, rows: 0..1 });
        assert_eq!(gray.pixels, [123, 0]);
    }
}
