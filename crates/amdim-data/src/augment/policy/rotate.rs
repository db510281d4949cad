//! Rotation about the centre.

use serde::Serialize;

use super::affine::{self, Fixed};
use super::level;
use crate::image::Image;
use amdim_random::Stream;

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Params {
    /// Degrees against the clock, -30..=30.
    pub degrees: f64,
}

/// An angle of -30..=30 degrees for levels 0..=1, with a random sign.
pub fn sample(level: f64, stream: &mut Stream) -> Params {
    Params { degrees: level::mirrored(level::spread(level, -30.0, 30.0), stream) }
}

/// Writes the turned `image` into `output`, as Pillow's `Image.rotate` with nearest pixels; what comes from outside is
/// black.
pub fn apply(image: &Image, params: &Params, output: &mut Image) {
    // Pillow brings the angle into 0..360 first.
    let angle = -params.degrees.rem_euclid(360.0).to_radians();
    let [cos, sin] = [angle.cos(), angle.sin()].map(to_15_digits);
    let [x, y] = [image.width, image.height].map(|side| f64::from(side) / 2.0);
    let map = [cos, sin, cos * -x + sin * -y + x, -sin, cos, -sin * -x + cos * -y + y];
    affine::apply(image, &Fixed::new(map), output);
}

/// Rounds to 15 digits behind the point, as Pillow does; then the last bit of a platform's sine does not matter.
fn to_15_digits(value: f64) -> f64 {
    (value * 1e15).round_ties_even() / 1e15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turns_against_the_clock() {
        let image = Image::new(3, 3, 1, (1..10).collect()).unwrap();
        let mut output = Image::blank(0, 0, 1);
        apply(&image, &Params { degrees: 90.0 }, &mut output);
        assert_eq!(output.pixels, [3, 6, 9, 2, 5, 8, 1, 4, 7]);
        apply(&image, &Params { degrees: 0.0 }, &mut output);
        assert_eq!(output, image);
    }
}
