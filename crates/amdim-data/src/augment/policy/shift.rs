//! Shift with a black border (the published policies' `TranslateX` and `TranslateY`).

use serde::Serialize;

use super::affine::{self, Axis, Fixed, ONE};
use super::level;
use crate::image::Image;
use amdim_random::Stream;

/// Which way and how far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// The axis.
    pub axis: Axis,
    /// Pixels to the left or up; rounded.
    pub pixels: f64,
}

/// A distance of -0.45..=0.45 of the picture's side (`extent` pixels) for levels 0..=1, with a random sign.
pub fn sample(axis: Axis, level: f64, extent: u32, stream: &mut Stream) -> Params {
    let share = level::mirrored(level::spread(level, -0.45, 0.45), stream);
    Params { axis, pixels: share * f64::from(extent) }
}

/// A distance of 0..=10 pixels for levels 0..=1, with a random sign.
pub fn sample_absolute(axis: Axis, level: f64, stream: &mut Stream) -> Params {
    Params { axis, pixels: level::mirrored(level::spread(level, 0.0, 10.0), stream) }
}

/// Writes the moved `image` into `output`, as Pillow's `Image.transform` with an affine map of nearest pixels.
pub fn apply(image: &Image, params: &Params, output: &mut Image) {
    // Pillow takes maps without shear or rotation in doubles, not in fixed point.
    let whole = (params.pixels + 0.5).floor() as i64 * ONE;
    let start = match params.axis {
        Axis::X => [whole, 0],
        Axis::Y => [0, whole],
    };
    affine::apply(image, &Fixed { start, column: [ONE, 0], row: [0, ONE] }, output);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_moves_by_whole_pixels() {
        let image = Image::new(3, 2, 1, (1..7).collect()).unwrap();
        let mut output = Image::blank(0, 0, 1);
        let mut moved = |axis, pixels| {
            apply(&image, &Params { axis, pixels }, &mut output);
            output.pixels.clone()
        };
        assert_eq!(moved(Axis::X, 1.0), [2, 3, 0, 5, 6, 0]);
        assert_eq!(moved(Axis::X, -0.51), [0, 1, 2, 0, 4, 5]);
        assert_eq!(moved(Axis::X, 0.49), image.pixels);
        assert_eq!(moved(Axis::Y, 0.5), [4, 5, 6, 0, 0, 0]);
        assert_eq!(moved(Axis::Y, -7.0), [0; 6]);
    }
}
