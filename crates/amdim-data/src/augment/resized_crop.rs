//! Random resized crop: a random rectangle resized to a square.

use super::config::CropConfig;
use super::resample::{Extent, Filter, Region, Resampler};
use crate::decode::Part;
use crate::image::Image;
use amdim_random::Stream;

/// Rectangles tried before falling back to the centre.
const TRIES: usize = 10;

/// The rectangle and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The rectangle, inside the picture.
    pub region: Region,
    /// Side of the square it is resized to, pixels.
    pub pixels: u32,
}

/// Draws a rectangle of a `width` x `height` picture, to become a square of `pixels`, by `torchvision`'s rule (`RandomResizedCrop.get_params`).
///
/// Its area is uniform in `config.scale` of the picture's, the logarithm of its width-to-height ratio uniform in
/// `config.ratio`'s, its place uniform; after ten rectangles that do not fit, the largest centred one whose ratio is
/// in range.
pub fn sample(width: u32, height: u32, pixels: u32, config: &CropConfig, stream: &mut Stream) -> Params {
    let area = f64::from(width) * f64::from(height);
    let [lowest, highest] = config.ratio.map(f64::ln);
    for _ in 0..TRIES {
        let crop_area = area * stream.uniform(config.scale[0], config.scale[1]);
        let ratio = stream.uniform(lowest, highest).exp();
        let crop_width = (crop_area * ratio).sqrt().round_ties_even() as u32;
        let crop_height = (crop_area / ratio).sqrt().round_ties_even() as u32;
        if (1..=width).contains(&crop_width) && (1..=height).contains(&crop_height) {
            let top = stream.below(u64::from(height - crop_height) + 1) as u32;
            let left = stream.below(u64::from(width - crop_width) + 1) as u32;
            let region = Region { left, top, width: crop_width, height: crop_height };
            return Params { region, pixels };
        }
    }
    Params { region: centered(width, height, config.ratio), pixels }
}

fn centered(width: u32, height: u32, ratio: [f64; 2]) -> Region {
    let picture_ratio = f64::from(width) / f64::from(height);
    let (crop_width, crop_height) = if picture_ratio < ratio[0] {
        (width, (f64::from(width) / ratio[0]).round_ties_even() as u32)
    } else if picture_ratio > ratio[1] {
        ((f64::from(height) * ratio[1]).round_ties_even() as u32, height)
    } else {
        (width, height)
    };
    // A picture far from square may round a side to 0.
    let (crop_width, crop_height) = (crop_width.clamp(1, width), crop_height.clamp(1, height));
    Region {
        left: (width - crop_width) / 2,
        top: (height - crop_height) / 2,
        width: crop_width,
        height: crop_height,
    }
}

/// Cuts the rectangle out and resizes it with the bicubic filter (the reference's `INTERP = 3`).
pub fn apply(part: &Part, params: &Params, resampler: &mut Resampler, cropped: &mut Image) {
    let extents = [Extent::all(params.pixels); 2];
    resampler.resize(&part.image, part.window(params.region), extents, Filter::Bicubic, cropped);
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: CropConfig = CropConfig { scale: [0.3, 1.0], ratio: [0.7, 1.4] };

    #[test]
    fn rectangles_follow_their_distribution() {
        let mut stream = Stream::for_view(11, 0, 0, 0);
        let regions: Vec<Region> =
            (0..20_000).map(|_| sample(1000, 1000, 64, &REFERENCE, &mut stream).region).collect();
        let mut lefts = [0_u32; 2];
        for region in &regions {
            assert!(region.left + region.width <= 1000 && region.top + region.height <= 1000);
            let share = f64::from(region.width) * f64::from(region.height) / 1e6;
            let ratio = f64::from(region.width) / f64::from(region.height);
            assert!((0.299..1.001).contains(&share) && (0.698..1.403).contains(&ratio), "{region:?}");
            lefts[usize::from(2 * region.left > 1000 - region.width)] += 1;
        }
        assert!(lefts[0].abs_diff(lefts[1]) < 700, "{lefts:?}");
        // Second implementation: accept a drawn (area, ratio) when both sides fit, on a fine grid.
        let mut expected = (0.0, 0.0, 0.0);
        for step in 0..1000 {
            let share = 0.3 + 0.7 * (f64::from(step) + 0.5) / 1000.0;
            for ratio_step in 0..400 {
                let log = 0.7_f64.ln() + (1.4_f64 / 0.7).ln() * (f64::from(ratio_step) + 0.5) / 400.0;
                let (width, height) = ((share * log.exp()).sqrt(), (share / log.exp()).sqrt());
                if width <= 1.0 && height <= 1.0 {
                    expected.0 += share;
                    expected.1 += log;
                    expected.2 += 1.0;
                }
            }
        }
        let count = regions.len() as f64;
        let share =
            regions.iter().map(|r| f64::from(r.width) * f64::from(r.height) / 1e6).sum::<f64>() / count;
        let log =
            regions.iter().map(|r| (f64::from(r.width) / f64::from(r.height)).ln()).sum::<f64>() / count;
        // Standard errors about 0.0014 each.
        assert!((share - expected.0 / expected.2).abs() < 0.007, "{share} {expected:?}");
        assert!((log - expected.1 / expected.2).abs() < 0.007, "{log} {expected:?}");
    }

    #[test]
    fn pictures_no_rectangle_fits_are_cut_at_the_centre() {
        let mut stream = Stream::for_view(11, 0, 0, 0);
        let wide = sample(1000, 10, 64, &REFERENCE, &mut stream).region;
        assert_eq!(wide, Region { left: 493, top: 0, width: 14, height: 10 });
        let tall = sample(10, 1000, 64, &REFERENCE, &mut stream).region;
        assert_eq!(tall, Region { left: 0, top: 493, width: 10, height: 14 });
    }
}
