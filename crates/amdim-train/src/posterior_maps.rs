//! Pictures of posteriors over mixture features, as in the paper's figures: which component each part of a picture
//! belongs to.

use std::fs;
use std::path::{Path, PathBuf};

use amdim_core::Error as CoreError;
use amdim_core::checkpoint::write_aside;
use amdim_core::encoder::Scale;
use amdim_data::{AugmentConfig, Dataset, EvalBatch, Image, encode_png};

use crate::Result;

/// Side of each of the three parts of a drawing, at least, in pixels.
const PART_PIXELS: usize = 256;
/// Pixels between the parts.
const GAP: usize = 8;
/// Share of the colour where it is laid over the picture.
const COLOUR_SHARE: f32 = 0.6;
/// Brightness of a location that belongs to every component alike.
const LEAST_BRIGHTNESS: f32 = 0.25;
/// The longest part of a picture's name that goes into the name of its drawing, in characters.
const NAME_CHARACTERS: usize = 80;

/// Draws and writes the posteriors of pictures.
pub(crate) struct PosteriorMaps<'a> {
    folder: &'a Path,
    dataset: &'a dyn Dataset,
    augment: &'a AugmentConfig,
    side: usize,
}

impl<'a> PosteriorMaps<'a> {
    /// Makes the folder, if it is not there.
    ///
    /// # Errors
    /// `AMDIM_IO`.
    pub(crate) fn new(
        folder: &'a Path,
        dataset: &'a dyn Dataset,
        augment: &'a AugmentConfig,
        scale: Scale,
    ) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|source| CoreError::Io { path: folder.into(), source })?;
        Ok(Self { folder, dataset, augment, side: scale.side() })
    }

    /// Writes a drawing of each picture of a batch; `posteriors` are `[pictures, components, side, side]`.
    ///
    /// # Errors
    /// `AMDIM_IO`.
    pub(crate) fn write(&self, batch: &EvalBatch, posteriors: &[f32]) -> Result<()> {
        let views = batch.pixels.chunks_exact(batch.pixels.len() / batch.indices.len());
        let posteriors = posteriors.chunks_exact(posteriors.len() / batch.indices.len());
        for ((&index, view), posterior) in batch.indices.iter().zip(views).zip(posteriors) {
            let picture = self.augment.picture_of(view)?.into_channels(3);
            let drawing = encode_png(&draw(&picture, posterior, self.side)?)?;
            write_aside(&self.path(index as usize), &drawing)?;
        }
        Ok(())
    }

    /// `FOLDER/INDEX-NAME.png`, with the characters of the name that any file system takes.
    fn path(&self, index: usize) -> PathBuf {
        let name = self.dataset.name(index);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let name: Vec<char> = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        let name: String = name[name.len().saturating_sub(NAME_CHARACTERS)..].iter().collect();
        self.folder.join(format!("{index:06}-{name}.png"))
    }
}

/// Side by side: the picture; the mean colour of each location's components over it; the colour of the most probable
/// component, the darker the less it is above the others.
fn draw(picture: &Image, posterior: &[f32], side: usize) -> Result<Image> {
    let pixels = picture.width as usize;
    let enlarged = PART_PIXELS.div_ceil(pixels).max(1) * pixels;
    let (locations, components) = (side * side, posterior.len() / (side * side));
    let colours: Vec<[f32; 3]> = (0..components).map(|j| hue(j as f32 / components as f32)).collect();
    let width = 3 * enlarged + 2 * GAP;
    let mut canvas = vec![255; enlarged * width * 3];
    for row in 0..enlarged {
        for column in 0..enlarged {
            let at = (row * pixels / enlarged) * pixels + column * pixels / enlarged;
            let own: [f32; 3] = std::array::from_fn(|c| f32::from(picture.pixels[at * 3 + c]));
            let location = (row * side / enlarged) * side + column * side / enlarged;
            let share = |component: usize| posterior[component * locations + location];
            let mean: [f32; 3] =
                std::array::from_fn(|c| (0..components).map(|j| share(j) * colours[j][c]).sum());
            let best = (0..components).fold(0, |best, j| if share(j) > share(best) { j } else { best });
            let even = 1.0 / components as f32;
            let above = if components > 1 { (share(best) - even) / (1.0 - even) } else { 1.0 };
            let brightness = LEAST_BRIGHTNESS + (1.0 - LEAST_BRIGHTNESS) * above;
            let parts: [[f32; 3]; 3] = [
                own,
                std::array::from_fn(|c| (1.0 - COLOUR_SHARE) * own[c] + COLOUR_SHARE * mean[c]),
                colours[best].map(|value| brightness * value),
            ];
            for (part, colour) in parts.into_iter().enumerate() {
                let to = (row * width + part * (enlarged + GAP) + column) * 3;
                for (c, value) in colour.into_iter().enumerate() {
                    canvas[to + c] = value.round().clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
    Ok(Image::new(width as u32, enlarged as u32, 3, canvas)?)
}

/// A bright colour by its place on the colour circle, 0..1; values 0..255.
fn hue(turn: f32) -> [f32; 3] {
    [0.0, 2.0 / 3.0, 1.0 / 3.0].map(|offset| {
        let distance = ((turn + offset).fract() * 6.0 - 3.0).abs() - 1.0;
        60.0 + 195.0 * distance.clamp(0.0, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_has_the_picture_and_the_colours_of_its_components() {
        // A black 32x32 picture; the left half of a 2x2 map belongs to the first component, the right one to no one.
        let picture = Image::new(32, 32, 3, vec![0; 32 * 32 * 3]).unwrap();
        let posterior = [1.0, 0.5, 1.0, 0.5, 0.0, 0.5, 0.0, 0.5];
        let drawing = draw(&picture, &posterior, 2).unwrap();
        assert_eq!([drawing.width, drawing.height, u32::from(drawing.channels)], [3 * 256 + 16, 256, 3]);
        let at = |part: usize, column: usize| {
            let place = (100 * drawing.width as usize + part * 264 + column) * 3;
            [0, 1, 2].map(|c| drawing.pixels[place + c])
        };
        assert_eq!(at(0, 10), [0, 0, 0]);
        // Red at 60 %, red itself; the mean of red and its opposite at 60 %, a quarter of red.
        assert_eq!(at(1, 10), [153, 36, 36]);
        assert_eq!(at(2, 10), [255, 60, 60]);
        assert!(at(1, 200).iter().all(|level| level.abs_diff(94) <= 1), "{:?}", at(1, 200));
        assert_eq!(at(2, 200), [64, 15, 15]);
        assert_eq!(drawing.pixels[256 * 3..264 * 3], [255; 24]);
    }

    #[test]
    fn hues_are_apart() {
        assert_eq!(hue(0.0), [255.0, 60.0, 60.0]);
        for (turn, expected) in [(1.0 / 3.0, [60, 255, 60]), (2.0 / 3.0, [60, 60, 255])] {
            assert_eq!(hue(turn).map(|value| value.round() as u8), expected);
        }
    }
}
