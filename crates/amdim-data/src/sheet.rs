//! A sheet that shows what a pipeline does: each picture, followed by views of it as training gets them.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::augment::{AugmentConfig, Extent, Filter, Pipeline, Region, Resampler, Scratch, policy};
use crate::dataset::Dataset;
use crate::decode::{Limits, Part, Wanted};
use crate::error::{DataError, Result};
use crate::image::Image;
use crate::loader::{BadImagePolicy, SkippedPicture};
use crate::order::epoch_order;
use crate::png::encode_png;

/// Pixels between two views; twice as many after the picture itself.
const GAP: usize = 4;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SheetOptions {
    /// Pictures, each a row; the first ones of epoch 0, fewer where there are not as many.
    pub pictures: usize,
    /// Views a picture: both of epoch 0, both of epoch 1 and so on.
    pub views: usize,
    /// Pixels of the sheet for one pixel of a view, along each axis.
    pub scale: usize,
    /// Seed of the order and of the augmentation.
    pub seed: u64,
    /// What to do about bad pictures.
    pub on_bad_image: BadImagePolicy,
}

/// A drawn sheet.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// The picture of it.
    pub image: Image,
    /// Its rows from above.
    pub rows: Vec<Row>,
    /// The pictures left out.
    pub skipped: Vec<SkippedPicture>,
}

/// A picture and its views.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The picture's index in the data set.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its views from the left.
    pub views: Vec<View>,
}

/// Where a view comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The epoch, from 0.
    pub epoch: u64,
    /// 0 or 1.
    pub view: u64,
    /// What the policy did, where there is one.
    pub policy: Option<policy::Params>,
}

/// Draws a sheet of `dataset`; `None` when `cancel` was set meanwhile.
///
/// # Errors
/// [`DataError::InvalidArgument`] for a configuration or option out of its range, [`DataError::Limit`] for a sheet above
/// 100,000,000 pixels, and the first bad picture's error under [`BadImagePolicy::Error`].
pub fn draw(
    dataset: &dyn Dataset,
    augment: &AugmentConfig,
    options: &SheetOptions,
    cancel: &AtomicBool,
) -> Result<Option<Sheet>> {
    let pipeline = Pipeline::new(augment)?;
    let layout = Layout::new(augment, options, dataset.len())?;
    let mut scratch = Scratch::default();
    let mut image = Image::blank(0, 0, augment.channels);
    image.reshape(layout.width() as u32, layout.height() as u32, augment.channels);
    image.pixels.fill(255);
    let mut sheet = Sheet { image, rows: Vec::new(), skipped: Vec::new() };
    for index in epoch_order(dataset.len(), options.seed, 0) {
        if cancel.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if sheet.rows.len() == layout.rows {
            break;
        }
        let name = dataset.name(index as usize);
        match draw_row(dataset, index, &pipeline, options, &layout, &mut scratch, &mut sheet) {
            Ok(views) => sheet.rows.push(Row { index, name, views }),
            Err(error) if error.is_bad_picture() && options.on_bad_image == BadImagePolicy::Skip => {
                sheet.skipped.push(SkippedPicture::new(name, &error));
            }
            Err(error) => return Err(error.with_picture(&name)),
        }
    }
    sheet.crop_to_rows(&layout);
    Ok(Some(sheet))
}

/// Draws the next row.
fn draw_row(
    dataset: &dyn Dataset,
    index: u32,
    pipeline: &Pipeline,
    options: &SheetOptions,
    layout: &Layout,
    scratch: &mut Scratch,
    sheet: &mut Sheet,
) -> Result<Vec<View>> {
    let row = sheet.rows.len();
    let whole = dataset.part(index as usize, &mut |width, height| Wanted::all(width, height))?;
    layout.place(&fitted(whole, layout), [0, row], &mut sheet.image);
    let mut views = Vec::with_capacity(options.views);
    for epoch in 0..options.views.div_ceil(2) as u64 {
        let key = [options.seed, epoch, u64::from(index)];
        let choose = &mut |width, height| pipeline.wanted_for_training(width, height, key);
        let part = dataset.part(index as usize, choose)?;
        let mut view = 0;
        pipeline.training_images(part, key, scratch, |image, policy| {
            if views.len() < options.views {
                layout.place(image, [views.len() + 1, row], &mut sheet.image);
                views.push(View { epoch, view, policy });
                view += 1;
            }
        })?;
    }
    Ok(views)
}

/// The whole picture, resized to fit a view.
fn fitted(part: Part, layout: &Layout) -> Image {
    let part = part.into_channels(layout.channels);
    let [width, height] = part.whole.map(u64::from);
    let longest = width.max(height);
    let [width, height] =
        [width, height].map(|side| ((side * layout.pixels as u64).div_ceil(longest)) as u32);
    let mut image = Image::blank(0, 0, layout.channels);
    let extents = [Extent::all(width), Extent::all(height)];
    let region = Region { left: 0, top: 0, width: part.whole[0], height: part.whole[1] };
    Resampler::default().resize(&part.image, part.window(region), extents, Filter::Bicubic, &mut image);
    image
}

impl Sheet {
    /// The picture of the sheet as a PNG file.
    ///
    /// # Errors
    /// [`DataError::Internal`] when the encoder fails.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        encode_png(&self.image)
    }

    /// Cuts off rows for which there were no good pictures.
    fn crop_to_rows(&mut self, layout: &Layout) {
        let height = Layout { rows: self.rows.len(), ..*layout }.height();
        let width = self.image.width;
        self.image.reshape(width, height as u32, layout.channels);
    }
}

/// Where things are, in pixels of the sheet.
#[derive(Debug, Clone, Copy)]
struct Layout {
    channels: u8,
    /// Side of a view before scaling.
    pixels: usize,
    scale: usize,
    columns: usize,
    rows: usize,
}

impl Layout {
    fn new(augment: &AugmentConfig, options: &SheetOptions, length: usize) -> Result<Self> {
        for (name, value) in
            [("pictures", options.pictures), ("views", options.views), ("scale", options.scale)]
        {
            if value == 0 {
                return Err(DataError::argument(name, "at least 1", value));
            }
        }
        let layout = Self {
            channels: augment.channels,
            pixels: augment.pixels as usize,
            scale: options.scale,
            columns: options.views.saturating_add(1),
            rows: options.pictures.min(length),
        };
        let limit = Limits::default().max_pixels;
        let actual = (layout.width() as u64).saturating_mul(layout.height() as u64);
        if actual > limit {
            return Err(DataError::Limit { place: "the sheet".to_owned(), unit: "pixels", limit, actual });
        }
        Ok(layout)
    }

    fn cell(&self) -> usize {
        self.pixels.saturating_mul(self.scale)
    }

    fn width(&self) -> usize {
        self.columns.saturating_mul(self.cell().saturating_add(GAP)).saturating_add(2 * GAP)
    }

    fn height(&self) -> usize {
        self.rows.saturating_mul(self.cell().saturating_add(GAP)).saturating_add(GAP)
    }

    /// Draws `image`, scaled, in the middle of the cell at `[column, row]`.
    fn place(&self, image: &Image, [column, row]: [usize; 2], sheet: &mut Image) {
        let pitch = self.cell() + GAP;
        let margin = |side: u32| (self.pixels - side as usize) * self.scale / 2;
        let left = GAP + column * pitch + if column > 0 { GAP } else { 0 } + margin(image.width);
        let top = GAP + row * pitch + margin(image.height);
        let channels = usize::from(self.channels);
        let sheet_values = sheet.row_values();
        for y in 0..image.height as usize * self.scale {
            let from = &image.pixels[y / self.scale * image.row_values()..][..image.row_values()];
            let to = &mut sheet.pixels[(top + y) * sheet_values + left * channels..];
            let scaled = to.chunks_exact_mut(self.scale * channels);
            for (pixel, scaled) in from.chunks_exact(channels).zip(scaled) {
                for copy in scaled.chunks_exact_mut(channels) {
                    copy.copy_from_slice(pixel);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::policy::{Operation, Step};
    use crate::augment::{CropConfig, DecodeMode, PolicyConfig};
    use crate::dataset::ArrayDataset;

    fn config() -> AugmentConfig {
        AugmentConfig {
            flip_probability: 0.5,
            policy: Some(PolicyConfig::Own(vec![vec![(Operation::Invert, 1.0, 0.5)]])),
            views: crate::augment::Views::Augmented,
            crop: Some(CropConfig { scale: [0.3, 1.0], ratio: [0.7, 1.4] }),
            translate: None,
            color_jitter: None,
            grayscale_probability: 0.0,
            mean: vec![0.3, 0.5, 0.6],
            std: vec![0.1, 0.2, 0.3],
            eval_resize: None,
            pixels: 8,
            channels: 3,
            decode: DecodeMode::Exact,
        }
    }

    fn dataset() -> ArrayDataset {
        let pixels = (0..4 * 12 * 6 * 3).map(|value| (value * 37 % 251) as u8).collect();
        ArrayDataset::new(pixels, 4, 6, 12, 3, None).unwrap()
    }

    const OPTIONS: SheetOptions =
        SheetOptions { pictures: 3, views: 3, scale: 2, seed: 5, on_bad_image: BadImagePolicy::Error };

    fn drawn(options: &SheetOptions) -> Sheet {
        draw(&dataset(), &config(), options, &AtomicBool::new(false)).unwrap().unwrap()
    }

    /// The cell at `[column, row]`, scaled back.
    fn cell(sheet: &Image, [column, row]: [usize; 2]) -> Vec<u8> {
        let left = GAP + column * 20 + if column > 0 { GAP } else { 0 };
        let top = GAP + row * 20;
        let pixel = |x: usize, y: usize| {
            &sheet.pixels[((top + 2 * y) * sheet.width as usize + left + 2 * x) * 3..][..3]
        };
        (0..8).flat_map(|y| (0..8).flat_map(move |x| pixel(x, y))).copied().collect()
    }

    #[test]
    fn cells_are_the_views_of_training() {
        let sheet = drawn(&OPTIONS);
        assert_eq!([sheet.image.width, sheet.image.height], [4 * 20 + 8, 3 * 20 + 4]);
        let pipeline = Pipeline::new(&config()).unwrap();
        for (row, Row { index, views, .. }) in sheet.rows.iter().enumerate() {
            assert_eq!(
                views.iter().map(|view| (view.epoch, view.view)).collect::<Vec<_>>(),
                [(0, 0), (0, 1), (1, 0)]
            );
            for (column, view) in views.iter().enumerate() {
                assert_eq!(view.policy.as_ref().unwrap().steps, [Step::Invert]);
                let part = Part::whole(dataset().image(*index as usize).unwrap());
                let mut planes = [[0.0; 192]; 2];
                let [first, second] = &mut planes;
                let key = [5, view.epoch, u64::from(*index)];
                pipeline.training_views(part, key, &mut Scratch::default(), [first, second]).unwrap();
                let planes = &planes[view.view as usize];
                let level = |at: usize, channel: usize| {
                    let (mean, std) = (config().mean[channel], config().std[channel]);
                    ((f64::from(planes[channel * 64 + at]) * std + mean) * 255.0).round() as u8
                };
                let expected: Vec<u8> = (0..64)
                    .flat_map(|at| (0..3).map(move |channel| (at, channel)))
                    .map(|(at, channel)| level(at, channel))
                    .collect();
                assert_eq!(cell(&sheet.image, [column + 1, row]), expected);
            }
        }
    }

    #[test]
    fn the_first_column_is_the_whole_picture() {
        let sheet = drawn(&OPTIONS);
        let first = cell(&sheet.image, [0, 0]);
        // 12 x 6 pixels become 8 x 4, with white above and below.
        assert!(first[..2 * 24].iter().chain(&first[6 * 24..]).all(|&value| value == 255));
        assert!(first[2 * 24..6 * 24].iter().any(|&value| value != 255));
    }

    #[test]
    fn a_png_file_holds_it() {
        let sheet = drawn(&SheetOptions { pictures: 9, ..OPTIONS });
        assert_eq!(sheet.rows.len(), 4);
        let read = crate::decode::decode(&sheet.to_png().unwrap(), &Limits::default()).unwrap();
        assert_eq!(read, sheet.image);
    }

    #[test]
    fn hostile_sizes_are_errors_before_anything_is_allocated() {
        for (options, code) in [
            (SheetOptions { views: 0, ..OPTIONS }, "AMDIM_INVALID_ARGUMENT"),
            (SheetOptions { views: usize::MAX, ..OPTIONS }, "AMDIM_LIMIT"),
            (SheetOptions { scale: usize::MAX, ..OPTIONS }, "AMDIM_LIMIT"),
        ] {
            let error = draw(&dataset(), &config(), &options, &AtomicBool::new(false)).unwrap_err();
            assert_eq!(error.code(), code);
        }
        assert_eq!(draw(&dataset(), &config(), &OPTIONS, &AtomicBool::new(true)).unwrap(), None);
    }
}
