//! Shear: rows or columns moved the farther, the farther they are from the first.

use serde::Serialize;

use super::affine::{self, Axis, Fixed};
use super::level;
use crate::image::Image;
use amdim_random::Stream;

/// Which way and how much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// The axis that pixels move along.
    pub axis: Axis,
    /// Pixels of move a pixel of distance, -0.3..=0.3.
    pub slope: f64,
}

/// A slope of -0.3..=0.3 for levels 0..=1, with a random sign.
pub fn sample(axis: Axis, level: f64, stream: &mut Stream) -> Params {
    Params { axis, slope: level::mirrored(level::spread(level, -0.3, 0.3), stream) }
}

/// Writes the sheared `image` into `output`, as Pillow's `Image.transform` with an affine map of nearest pixels; what
/// comes from outside is black.
pub fn apply(image: &Image, params: &Params, output: &mut Image) {
    let slope = params.slope;
    let map = match params.axis {
        Axis::X => [1.0, slope, 0.0, 0.0, 1.0, 0.0],
        Axis::Y => [1.0, 0.0, 0.0, slope, 1.0, 0.0],
    };
    affine::apply(image, &Fixed::new(map), output);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_move_with_their_distance() {
        let image = Image::new(3, 3, 1, (1..10).collect()).unwrap();
        let mut output = Image::blank(0, 0, 1);
        apply(&image, &Params { axis: Axis::X, slope: 1.0 }, &mut output);
        // Half a pixel down, the first row's centre is at 1.
        assert_eq!(output.pixels, [2, 3, 0, 6, 0, 0, 0, 0, 0]);
        apply(&image, &Params { axis: Axis::Y, slope: 0.0 }, &mut output);
        assert_eq!(output, image);
    }
}
