//! Affine maps without interpolation, the arithmetic under shear, shift and rotation.

use std::ops::Range;

use serde::Serialize;

use crate::image::Image;

/// Which axis an operation works along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Columns.
    X,
    /// Rows.
    Y,
}

/// From a place in the output to a place in the input, in whole numbers with 16 bits behind the point.
///
/// Output pixel (x, y) shows input pixel `(start[0] + x * column[0] + y * row[0]) >> 16` across, and the same with `[1]`
/// down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fixed {
    /// Where output pixel (0, 0) comes from.
    pub start: [i64; 2],
    /// What a step to the right adds.
    pub column: [i64; 2],
    /// What a step down adds.
    pub row: [i64; 2],
}

/// 1 in fixed point.
pub(crate) const ONE: i64 = 1 << 16;

impl Fixed {
    /// The map `x' = a x + b y + c`, `y' = d x + e y + f` between centres of pixels, rounded as Pillow does for
    /// `Image.transform` with `NEAREST` (it computes with 32 bits, and in floats for pictures beyond 32767 pixels, where
    /// a pixel may come from the neighbour).
    pub fn new([a, b, c, d, e, f]: [f64; 6]) -> Self {
        let fixed = |value: f64| (value * ONE as f64 + 0.5).floor() as i64;
        Self {
            start: [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)],
            column: [fixed(a), fixed(d)],
            row: [fixed(b), fixed(e)],
        }
    }
}

/// Writes the mapped `image` into `output`; what comes from outside is black.
pub(crate) fn apply(image: &Image, map: &Fixed, output: &mut Image) {
    output.reshape(image.width, image.height, image.channels);
    if image.channels == 3 {
        map_pixels::<3>(image, map, &mut output.pixels);
    } else {
        map_pixels::<1>(image, map, &mut output.pixels);
    }
}

fn map_pixels<const CHANNELS: usize>(image: &Image, map: &Fixed, output: &mut [u8]) {
    let [width, height] = [image.width as usize, image.height as usize];
    let input = image.pixels.as_chunks::<CHANNELS>().0;
    let mut start = map.start;
    for row in output.as_chunks_mut::<CHANNELS>().0.chunks_exact_mut(width) {
        let across = inside(start[0], map.column[0], width, width);
        let down = inside(start[1], map.column[1], height, width);
        let first = across.start.max(down.start);
        let end = across.end.min(down.end).max(first);
        row[..first].fill([0; CHANNELS]);
        row[end..].fill([0; CHANNELS]);
        let at = |axis: usize, x: usize| ((start[axis] + x as i64 * map.column[axis]) >> 16) as usize;
        let shown = &mut row[first..end];
        if map.column == [ONE, 0] && !shown.is_empty() {
            // A run of one input row.
            shown.copy_from_slice(&input[at(1, first) * width + at(0, first)..][..end - first]);
        } else {
            for (x, pixel) in (first..).zip(shown) {
                *pixel = input[at(1, x) * width + at(0, x)];
            }
        }
        start = [start[0] + map.row[0], start[1] + map.row[1]];
    }
}

/// The columns `x` of 0..`columns` for which `start + x * step` lies in a side of `size` pixels.
fn inside(start: i64, step: i64, size: usize, columns: usize) -> Range<usize> {
    let limit = size as i64 * ONE;
    let columns = columns as i64;
    let [first, end] = match step {
        0 if (0..limit).contains(&start) => [0, columns],
        0 => [0, 0],
        1.. => [-start.div_euclid(step), (limit - start + step - 1).div_euclid(step)],
        _ => [(start - limit).div_euclid(-step) + 1, start.div_euclid(-step) + 1],
    };
    first.clamp(0, columns) as usize..end.clamp(0, columns) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixel by pixel, every place checked.
    fn slowly(image: &Image, map: &Fixed) -> Vec<u8> {
        let mut output = Vec::new();
        for y in 0..i64::from(image.height) {
            for x in 0..i64::from(image.width) {
                let [left, top] =
                    [0, 1].map(|axis| (map.start[axis] + x * map.column[axis] + y * map.row[axis]) >> 16);
                let is_inside = (0..i64::from(image.width)).contains(&left)
                    && (0..i64::from(image.height)).contains(&top);
                let place = (top * i64::from(image.width) + left) as usize;
                output.push(if is_inside { image.pixels[place] } else { 0 });
            }
        }
        output
    }

    #[test]
    fn every_direction_equals_pixelwise_checks() {
        let image = Image::new(7, 5, 1, (1..36).collect()).unwrap();
        let mut output = Image::blank(0, 0, 1);
        let values = [-1.0, -0.6, -0.01, 0.0, 0.01, 0.6, 1.0];
        for (a, b) in values.into_iter().flat_map(|a| values.map(|b| (a, b))) {
            for (c, f) in [(0.0, 0.0), (3.0, 2.0), (6.5, -1.25), (-40.0, 0.0), (2.0, 40.0)] {
                let map = Fixed::new([a, b, c, b, -a, f]);
                apply(&image, &map, &mut output);
                assert_eq!(output.pixels, slowly(&image, &map), "{a} {b} {c} {f}");
            }
        }
    }

    #[test]
    fn colours_move_together() {
        let gray = Image::new(6, 4, 1, (1..25).collect()).unwrap();
        let map = Fixed::new([0.9, 0.3, 0.5, -0.3, 0.9, 1.0]);
        let [mut one, mut three] = [Image::blank(0, 0, 1), Image::blank(0, 0, 3)];
        apply(&gray, &map, &mut one);
        apply(&gray.into_channels(3), &map, &mut three);
        assert_eq!(three, one.into_channels(3));
    }
}
