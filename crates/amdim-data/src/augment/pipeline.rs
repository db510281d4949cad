//! The whole pipeline: a decoded picture to two training views or one test view.

use super::config::AugmentConfig;
use super::normalize::{self, Normalizer};
use super::resample::{Filter, Resampler};
use super::{center_crop, color_jitter, grayscale, horizontal_flip, resized_crop, translate};
use crate::error::Result;
use crate::image::Image;
use amdim_random::Stream;

/// A validated [`AugmentConfig`] with its tables.
#[derive(Debug, Clone)]
pub struct Pipeline {
    config: AugmentConfig,
    normalizer: Normalizer,
}

/// Buffers that a thread keeps between pictures.
#[derive(Debug)]
pub struct Scratch {
    resampler: Resampler,
    view: Image,
    other: Image,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { resampler: Resampler::default(), view: Image::blank(0, 0, 3), other: Image::blank(0, 0, 3) }
    }
}

impl Pipeline {
    /// Checks `config` and prepares its tables.
    pub fn new(config: &AugmentConfig) -> Result<Self> {
        config.validate()?;
        let params = normalize::Params { mean: config.mean.clone(), std: config.std.clone() };
        Ok(Self { config: config.clone(), normalizer: Normalizer::new(&params) })
    }

    /// Floats in one view: `channels * pixels * pixels`.
    pub fn view_values(&self) -> usize {
        usize::from(self.config.channels) * (self.config.pixels as usize).pow(2)
    }

    /// Makes the two views of training sample `sample` in `epoch`.
    ///
    /// # Shapes
    /// each of `views: [channels, pixels, pixels]`, normalised
    ///
    /// # Errors
    /// [`DataError::TooSmall`](crate::DataError::TooSmall) for a picture with a side below 2 pixels.
    pub fn training_views(
        &self,
        image: Image,
        [seed, epoch, sample]: [u64; 3],
        scratch: &mut Scratch,
        views: [&mut [f32]; 2],
    ) -> Result<()> {
        image.check_trainable()?;
        let mut image = image.into_channels(self.config.channels);
        if self.config.crop.is_none() && !self.fits(&image) {
            self.center(&image, self.config.pixels, scratch);
            image.copy_from(&scratch.view);
        }
        let flip = horizontal_flip::sample(
            self.config.flip_probability,
            &mut Stream::for_sample(seed, epoch, sample),
        );
        horizontal_flip::apply(&mut image, &flip);
        for (index, view) in views.into_iter().enumerate() {
            self.training_view(&image, &mut Stream::for_view(seed, epoch, sample, index as u64), scratch);
            self.normalizer.apply(&scratch.view, view);
        }
        Ok(())
    }

    /// Makes the test view of `image`.
    ///
    /// # Shapes
    /// `view: [channels, pixels, pixels]`, normalised
    ///
    /// # Errors
    /// [`DataError::TooSmall`](crate::DataError::TooSmall) for a picture with a side below 2 pixels.
    pub fn test_view(&self, image: Image, scratch: &mut Scratch, view: &mut [f32]) -> Result<()> {
        image.check_trainable()?;
        let image = image.into_channels(self.config.channels);
        match self.config.eval_resize {
            None if self.fits(&image) => self.normalizer.apply(&image, view),
            resize => {
                self.center(&image, resize.unwrap_or(self.config.pixels), scratch);
                self.normalizer.apply(&scratch.view, view);
            }
        }
        Ok(())
    }

    fn fits(&self, image: &Image) -> bool {
        image.width == self.config.pixels && image.height == self.config.pixels
    }

    /// Leaves in `scratch.view` the central square of `image` with its short side resized to `resize`.
    fn center(&self, image: &Image, resize: u32, scratch: &mut Scratch) {
        let params = center_crop::Params { resize, crop: self.config.pixels };
        center_crop::apply(image, &params, Filter::Bicubic, &mut scratch.resampler, &mut scratch.view);
    }

    /// Leaves one augmented view of `image` in `scratch.view`.
    fn training_view(&self, image: &Image, stream: &mut Stream, scratch: &mut Scratch) {
        let config = &self.config;
        let Scratch { resampler, view, other } = scratch;
        match (&config.crop, &config.translate) {
            (Some(crop), translation) => {
                let params = resized_crop::sample(image.width, image.height, config.pixels, crop, stream);
                resized_crop::apply(image, &params, resampler, view);
                if let Some(translation) = translation {
                    translate::apply(view, &translate::sample(translation, stream), other);
                    std::mem::swap(view, other);
                }
            }
            (None, Some(translation)) => {
                translate::apply(image, &translate::sample(translation, stream), view);
            }
            (None, None) => view.copy_from(image),
        }
        if let Some(params) =
            config.color_jitter.as_ref().and_then(|jitter| color_jitter::sample(jitter, stream))
        {
            color_jitter::apply(view, &params);
        }
        grayscale::apply(view, &grayscale::sample(config.grayscale_probability, stream));
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{CropConfig, TranslateConfig};
    use super::*;

    /// A pipeline that changes nothing but the scale: values are levels over 255.
    fn plain(pixels: u32) -> AugmentConfig {
        AugmentConfig {
            flip_probability: 0.0,
            crop: None,
            translate: None,
            color_jitter: None,
            grayscale_probability: 0.0,
            mean: vec![0.0],
            std: vec![1.0 / 255.0],
            eval_resize: None,
            pixels,
            channels: 1,
        }
    }

    fn views(config: &AugmentConfig, image: &Image, key: [u64; 3]) -> [Vec<f32>; 2] {
        let pipeline = Pipeline::new(config).unwrap();
        let mut views = [vec![0.0; pipeline.view_values()], vec![0.0; pipeline.view_values()]];
        let [first, second] = &mut views;
        pipeline.training_views(image.clone(), key, &mut Scratch::default(), [first, second]).unwrap();
        views
    }

    fn ramp(width: u32, height: u32) -> Image {
        Image::new(width, height, 1, (0..width * height).map(|value| (value * 7 % 256) as u8).collect())
            .unwrap()
    }

    #[test]
    fn a_flip_is_shared_by_both_views() {
        let config = AugmentConfig { flip_probability: 0.5, ..plain(4) };
        let image = ramp(4, 4);
        let mut flipped = 0;
        for sample in 0..200 {
            let [first, second] = views(&config, &image, [1, 0, sample]);
            assert_eq!(first, second);
            flipped += u32::from(first[0] > 1.0);
        }
        // 100 expected, standard deviation 7.
        assert!((65..135).contains(&flipped), "{flipped}");
    }

    #[test]
    fn everything_else_is_drawn_once_a_view() {
        let config = AugmentConfig {
            translate: Some(TranslateConfig { max_pixels: 3, probability: 1.0 }),
            ..plain(8)
        };
        let different = (0..50).filter(|&sample| {
            let [first, second] = views(&config, &ramp(8, 8), [1, 0, sample]);
            first != second
        });
        assert!(different.count() > 40);
    }

    #[test]
    fn pictures_of_another_size_are_resized_and_centred() {
        let image = ramp(8, 4);
        let [view, _] = views(&plain(4), &image, [0; 3]);
        let expected: Vec<f32> =
            (0..4).flat_map(|y| (2..6).map(move |x| ((y * 8 + x) * 7 % 256) as f32)).collect();
        for (value, expected) in view.iter().zip(&expected) {
            assert!((value - expected).abs() < 1e-3, "{view:?}");
        }
        let mut test_view = vec![0.0; 16];
        let pipeline = Pipeline::new(&plain(4)).unwrap();
        pipeline.test_view(image, &mut Scratch::default(), &mut test_view).unwrap();
        assert_eq!(test_view, view);
    }

    #[test]
    fn a_crop_is_made_from_the_whole_picture() {
        let config =
            AugmentConfig { crop: Some(CropConfig { scale: [1.0, 1.0], ratio: [1.0, 1.0] }), ..plain(4) };
        let [view, _] = views(&config, &ramp(4, 4), [0; 3]);
        assert!((view[5] - 35.0).abs() < 1e-3, "{view:?}");
    }

    #[test]
    fn one_pixel_is_too_small() {
        let pipeline = Pipeline::new(&plain(2)).unwrap();
        let image = Image::new(1, 1, 1, vec![0]).unwrap();
        let error = pipeline.test_view(image, &mut Scratch::default(), &mut [0.0; 4]).unwrap_err();
        assert_eq!(error.code(), "AMDIM_DATA");
    }
}
