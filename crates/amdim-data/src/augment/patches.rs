//! Patches: two views that are two different parts of a picture.

use super::resample::{Extent, Filter, Region, Resampler};
use crate::decode::Part;
use crate::image::Image;
use amdim_random::Stream;

/// Patches along each axis; neighbours overlap by half.
const GRID: u32 = 3;

/// Places of both views' patches on the grid, `row * 3 + column`; they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Of the first view and the second, 0..9.
    pub places: [u32; 2],
}

/// Draws two different places, every pair equally likely.
pub fn sample(stream: &mut Stream) -> Params {
    let places = u64::from(GRID * GRID);
    let first = stream.below(places);
    let second = (first + 1 + stream.below(places - 1)) % places;
    Params { places: [first as u32, second as u32] }
}

/// Replaces a square `view` by one of its patches, of half its side, resized to the view's own size with the bicubic filter.
pub fn apply(view: &mut Image, place: u32, resampler: &mut Resampler, other: &mut Image) {
    let (side, half) = (view.width, view.width / 2);
    let at = |index: u32| index * (side - half) / (GRID - 1);
    let region = Region { left: at(place % GRID), top: at(place / GRID), width: half, height: half };
    let part = Part::whole(std::mem::replace(view, Image::blank(0, 0, 3)));
    resampler.resize(&part.image, part.window(region), [Extent::all(side); 2], Filter::Bicubic, other);
    std::mem::swap(view, other);
    *other = part.image;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_differ_and_all_pairs_come() {
        let mut seen = std::collections::BTreeSet::new();
        for sample_index in 0..4000 {
            let Params { places: [first, second] } = sample(&mut Stream::for_view(1, 0, sample_index, 2));
            assert!(first != second && first < 9 && second < 9);
            seen.insert((first, second));
        }
        assert_eq!(seen.len(), 72);
    }

    #[test]
    fn a_patch_shows_its_part_at_twice_the_size() {
        // Columns of one level each: the middle patch of 8 columns is columns 2..6.
        let pixels: Vec<u8> = (0..64).map(|at| 10 * (at % 8) as u8).collect();
        let mut view = Image::new(8, 8, 1, pixels).unwrap();
        let mut other = Image::blank(0, 0, 1);
        apply(&mut view, 4, &mut Resampler::default(), &mut other);
        assert_eq!((view.width, view.height), (8, 8));
        let row = &view.pixels[..8];
        assert!(row.windows(2).all(|pair| pair[0] <= pair[1]), "{row:?}");
        assert!(row[0] >= 15 && row[7] <= 55, "{row:?}");
    }
}
