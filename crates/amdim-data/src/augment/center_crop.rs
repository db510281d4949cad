//! The test-time transform: short side resized, square cut from the centre.

use super::resample::{Extent, Filter, Region, Resampler};
use crate::decode::Part;
use crate::image::Image;

/// The two sizes, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The short side after resizing.
    pub resize: u32,
    /// The side of the square, at most `resize`.
    pub crop: u32,
}

/// The size of a `width` x `height` picture whose short side becomes `short_side`; the long side is cut down to a
/// whole pixel, as `torchvision`'s `Resize` does.
pub fn resized_size(width: u32, height: u32, short_side: u32) -> (u64, u64) {
    let long = |long: u32, short: u32| u64::from(short_side) * u64::from(long) / u64::from(short);
    let short_side = u64::from(short_side);
    if width <= height { (short_side, long(height, width)) } else { (long(width, height), short_side) }
}

/// Resizes the picture, all of which `part` holds, so that its short side has `params.resize` pixels, keeping its ratio, and cuts the central
/// square of `params.crop` pixels into `cropped`. Only that square is computed.
pub fn apply(part: &Part, params: &Params, filter: Filter, resampler: &mut Resampler, cropped: &mut Image) {
    let [whole_width, whole_height] = part.whole;
    let (width, height) = resized_size(whole_width, whole_height, params.resize);
    let extents =
        [width, height].map(|whole| Extent { whole, first: offset(whole, params.crop), count: params.crop });
    let whole = Region { left: 0, top: 0, width: whole_width, height: whole_height };
    resampler.resize(&part.image, part.window(whole), extents, filter, cropped);
}

/// Where the centre starts; half pixels go to the even side, as in `torchvision`'s `CenterCrop`.
fn offset(whole: u64, crop: u32) -> u64 {
    ((whole - u64::from(crop)) as f64 / 2.0).round_ties_even() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_side_is_cut_down() {
        assert_eq!(resized_size(100, 100, 70), (70, 70));
        assert_eq!(resized_size(333, 500, 146), (146, 219));
        assert_eq!(resized_size(500, 333, 146), (219, 146));
    }

    #[test]
    fn cuts_the_centre() {
        let image = Image::new(7, 4, 1, (0..28).collect()).unwrap();
        let mut cropped = Image::blank(0, 0, 1);
        let params = Params { resize: 4, crop: 2 };
        apply(&Part::whole(image), &params, Filter::Bicubic, &mut Resampler::default(), &mut cropped);
        // Offset 2.5 rounds to 2, rows start at 1.
        assert_eq!(cropped.pixels, [9, 10, 16, 17]);
    }

    #[test]
    fn a_very_long_picture_costs_no_more_than_its_centre() {
        let image = Image::new(2, 500_000, 1, vec![9; 1_000_000]).unwrap();
        let mut cropped = Image::blank(0, 0, 1);
        let params = Params { resize: 4096, crop: 4 };
        apply(&Part::whole(image), &params, Filter::Bicubic, &mut Resampler::default(), &mut cropped);
        assert_eq!(cropped.pixels, [9; 16]);
    }
}
