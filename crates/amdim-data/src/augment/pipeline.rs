//! The whole pipeline: a decoded picture to two training views or one test view.

use super::config::{AugmentConfig, DecodeMode, Views};
use super::halves::{self, Half};
use super::lab::{Kept, LabNormalizer};
use super::normalize::{self, Normalizer};
use super::policy::{self, Policy};
use super::resample::{Filter, Region, Resampler};
use super::{center_crop, color_jitter, grayscale, horizontal_flip, patches, resized_crop, translate};
use crate::decode::{self, Part, Wanted};
use crate::error::Result;
use crate::image::{Image, check_trainable};
use amdim_random::Stream;

/// A validated [`AugmentConfig`] with its tables.
#[derive(Debug, Clone)]
pub struct Pipeline {
    config: AugmentConfig,
    policy: Option<Policy>,
    normalizer: Normalizer,
    /// In place of `normalizer`, where views are in L\*a\*b\*.
    lab: Option<LabNormalizer>,
}

/// Buffers that a thread keeps between pictures.
#[derive(Debug)]
pub struct Scratch {
    resampler: Resampler,
    view: Image,
    other: Image,
    /// The picture as the policy changed it.
    changed: Part,
}

impl Default for Scratch {
    fn default() -> Self {
        let blank = || Image::blank(0, 0, 3);
        Self { resampler: Resampler::default(), view: blank(), other: blank(), changed: Part::whole(blank()) }
    }
}

impl Pipeline {
    /// Checks `config` and prepares its tables.
    pub fn new(config: &AugmentConfig) -> Result<Self> {
        config.validate()?;
        let params = normalize::Params { mean: config.mean.clone(), std: config.std.clone() };
        Ok(Self {
            config: config.clone(),
            policy: config.policy.as_ref().map(Policy::new),
            normalizer: Normalizer::new(&params),
            lab: (config.views == Views::Lab).then(|| LabNormalizer::new(&params)),
        })
    }

    /// Floats in one view: `channels * pixels * pixels`.
    pub fn view_values(&self) -> usize {
        usize::from(self.config.channels) * (self.config.pixels as usize).pow(2)
    }

    /// What [`Pipeline::training_views`] needs of a `width` x `height` picture: both rectangles that are cut out, or with
    /// a policy all of it.
    pub fn wanted_for_training(&self, width: u32, height: u32, [seed, epoch, sample]: [u64; 3]) -> Wanted {
        let Some(crop) = &self.config.crop else {
            return self.wanted_for_center(width, height, self.config.pixels);
        };
        let is_flipped = self.flip(seed, epoch, sample).flip;
        let regions = [0, 1].map(|view| {
            let mut stream = Stream::for_view(seed, epoch, sample, view);
            let region = resized_crop::sample(width, height, self.config.pixels, crop, &mut stream).region;
            if is_flipped { Region { left: width - region.left - region.width, ..region } } else { region }
        });
        let short = regions.map(|region| region.width.min(region.height));
        let reduction = self.reduction(short[0].min(short[1]), self.config.pixels);
        // A policy changes the whole picture, of which the rectangles are then cut.
        let region = match self.policy {
            Some(_) => Wanted::all(width, height).region,
            None => regions[0].union(regions[1]),
        };
        Wanted { region, reduction }
    }

    /// What [`Pipeline::test_view`] needs of a `width` x `height` picture.
    pub fn wanted_for_test(&self, width: u32, height: u32) -> Wanted {
        self.wanted_for_center(width, height, self.config.eval_resize.unwrap_or(self.config.pixels))
    }

    fn wanted_for_center(&self, width: u32, height: u32, resize: u32) -> Wanted {
        Wanted { reduction: self.reduction(width.min(height), resize), ..Wanted::all(width, height) }
    }

    /// The largest reduction that leaves at least `needed` of `pixels`.
    fn reduction(&self, pixels: u32, needed: u32) -> u32 {
        match self.config.decode {
            DecodeMode::Exact => 1,
            DecodeMode::Fast => {
                [8, 4, 2].into_iter().find(|reduction| pixels >= needed * reduction).unwrap_or(1)
            }
        }
    }

    fn flip(&self, seed: u64, epoch: u64, sample: u64) -> horizontal_flip::Params {
        horizontal_flip::sample(self.config.flip_probability, &mut Stream::for_sample(seed, epoch, sample))
    }

    /// Makes the two views of training sample `sample` in `epoch`, of which `part` holds at least what
    /// [`Pipeline::wanted_for_training`] says.
    ///
    /// # Shapes
    /// each of `views: [channels, pixels, pixels]`, normalised
    ///
    /// # Errors
    /// [`DataError::TooSmall`](crate::DataError::TooSmall) for a picture with a side below 2 pixels.
    pub fn training_views(
        &self,
        part: Part,
        key: [u64; 3],
        scratch: &mut Scratch,
        views: [&mut [f32]; 2],
    ) -> Result<()> {
        let mut views = views.into_iter().zip([Kept::Lightness, Kept::Colour]);
        self.training_images(part, key, scratch, |image, _| {
            if let Some((view, kept)) = views.next() {
                self.normalise(image, kept, view);
            }
        })
    }

    /// The normalised planes of an image; `kept` says which, where they are L\*, a\* and b\*.
    fn normalise(&self, image: &Image, kept: Kept, planes: &mut [f32]) {
        match &self.lab {
            Some(lab) => lab.apply(image, kept, planes),
            None => self.normalizer.apply(image, planes),
        }
    }

    /// As [`Pipeline::training_views`], before normalisation: hands over each view and what the policy did.
    ///
    /// # Errors
    /// As [`Pipeline::training_views`].
    pub fn training_images(
        &self,
        part: Part,
        [seed, epoch, sample]: [u64; 3],
        scratch: &mut Scratch,
        mut receive: impl FnMut(&Image, Option<policy::Params>),
    ) -> Result<()> {
        check_trainable(part.whole)?;
        let mut part = part.into_channels(self.config.channels);
        if self.config.crop.is_none() && !self.fits(&part) {
            self.center(&part, self.config.pixels, scratch);
            part = Part::whole(scratch.view.clone());
        }
        if self.flip(seed, epoch, sample).flip {
            part.mirror();
        }
        for index in 0..2 {
            let done = self.training_view(&part, [seed, epoch, sample, index], scratch);
            receive(&scratch.view, done);
        }
        decode::recycle(part.image);
        Ok(())
    }

    /// Makes the test view of the picture, all of which `part` holds.
    ///
    /// # Shapes
    /// `view: [channels, pixels, pixels]`, normalised
    ///
    /// # Errors
    /// [`DataError::TooSmall`](crate::DataError::TooSmall) for a picture with a side below 2 pixels.
    pub fn test_view(&self, part: Part, scratch: &mut Scratch, view: &mut [f32]) -> Result<()> {
        check_trainable(part.whole)?;
        let mut part = part.into_channels(self.config.channels);
        let shown = match self.config.eval_resize {
            None if self.fits(&part) => &mut part.image,
            resize => {
                self.center(&part, resize.unwrap_or(self.config.pixels), scratch);
                &mut scratch.view
            }
        };
        if self.config.views == Views::Halves {
            halves::apply(shown, Half::Upper);
        }
        self.normalise(shown, Kept::All, view);
        Ok(())
    }

    fn fits(&self, part: &Part) -> bool {
        part.whole == [self.config.pixels; 2]
    }

    /// Leaves in `scratch.view` the central square of the picture with its short side resized to `resize`.
    fn center(&self, part: &Part, resize: u32, scratch: &mut Scratch) {
        let params = center_crop::Params { resize, crop: self.config.pixels };
        center_crop::apply(part, &params, Filter::Bicubic, &mut scratch.resampler, &mut scratch.view);
    }

    /// Leaves the augmented view of `key` (seed, epoch, sample, view) in `scratch.view`; returns what the policy did.
    fn training_view(&self, part: &Part, key: [u64; 4], scratch: &mut Scratch) -> Option<policy::Params> {
        let config = &self.config;
        let Scratch { resampler, view, other, changed } = scratch;
        let [seed, epoch, sample, index] = key;
        let done = self.policy.as_ref().map(|policy| {
            let size = [part.image.width, part.image.height];
            policy.sample(size, &mut Stream::for_policy(seed, epoch, sample, index))
        });
        let part = match &done {
            Some(params) if !params.steps.is_empty() => {
                changed.copy_from(part);
                policy::apply(&mut changed.image, params, other);
                changed
            }
            _ => part,
        };
        let stream = &mut Stream::for_view(seed, epoch, sample, index);
        match (&config.crop, &config.translate) {
            (Some(crop), translation) => {
                let [width, height] = part.whole;
                let params = resized_crop::sample(width, height, config.pixels, crop, stream);
                resized_crop::apply(part, &params, resampler, view);
                if let Some(translation) = translation {
                    translate::apply(view, &translate::sample(translation, stream), other);
                    std::mem::swap(view, other);
                }
            }
            (None, Some(translation)) => {
                translate::apply(&part.image, &translate::sample(translation, stream), view);
            }
            (None, None) => view.copy_from(&part.image),
        }
        if let Some(params) =
            config.color_jitter.as_ref().and_then(|jitter| color_jitter::sample(jitter, stream))
        {
            color_jitter::apply(view, &params);
        }
        grayscale::apply(view, &grayscale::sample(config.grayscale_probability, stream));
        match config.views {
            Views::Patches => {
                // Both views ask the same stream, so that their places differ.
                let places = patches::sample(&mut Stream::for_patches(seed, epoch, sample)).places;
                patches::apply(view, places[usize::from(index > 0)], resampler, other);
            }
            Views::Halves => halves::apply(view, if index == 0 { Half::Upper } else { Half::Lower }),
            Views::Augmented | Views::Lab => {}
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{CropConfig, TranslateConfig};
    use super::super::policy::{BuiltIn, Operation, PolicyConfig};
    use super::*;

    /// A pipeline that changes nothing but the scale: values are levels over 255.
    fn plain(pixels: u32) -> AugmentConfig {
        AugmentConfig {
            flip_probability: 0.0,
            policy: None,
            views: Views::Augmented,
            crop: None,
            translate: None,
            color_jitter: None,
            grayscale_probability: 0.0,
            mean: vec![0.0],
            std: vec![1.0 / 255.0],
            eval_resize: None,
            pixels,
            channels: 1,
            decode: DecodeMode::Exact,
        }
    }

    fn views(config: &AugmentConfig, image: &Image, key: [u64; 3]) -> [Vec<f32>; 2] {
        let pipeline = Pipeline::new(config).unwrap();
        let mut views = [vec![0.0; pipeline.view_values()], vec![0.0; pipeline.view_values()]];
        let [first, second] = &mut views;
        pipeline
            .training_views(Part::whole(image.clone()), key, &mut Scratch::default(), [first, second])
            .unwrap();
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
        pipeline.test_view(Part::whole(image), &mut Scratch::default(), &mut test_view).unwrap();
        assert_eq!(test_view, view);
    }

    #[test]
    fn where_views_are_halves_a_picture_is_tested_by_its_upper_one() {
        let config = AugmentConfig { views: Views::Halves, ..plain(4) };
        // As it is, and resized.
        for image in [ramp(4, 4), ramp(8, 8)] {
            let [upper, lower] = views(&config, &image, [0; 3]);
            let mut view = vec![0.0; 16];
            let pipeline = Pipeline::new(&config).unwrap();
            pipeline.test_view(Part::whole(image), &mut Scratch::default(), &mut view).unwrap();
            assert_eq!(view, upper);
            assert!(
                view[..8].iter().any(|&value| value > 0.0) && view[8..].iter().all(|&value| value == 0.0)
            );
            assert_ne!(view, lower);
        }
    }

    #[test]
    fn a_crop_is_made_from_the_whole_picture() {
        let config =
            AugmentConfig { crop: Some(CropConfig { scale: [1.0, 1.0], ratio: [1.0, 1.0] }), ..plain(4) };
        let [view, _] = views(&config, &ramp(4, 4), [0; 3]);
        assert!((view[5] - 35.0).abs() < 1e-3, "{view:?}");
    }

    #[test]
    fn what_is_wanted_is_enough() {
        let config = AugmentConfig {
            flip_probability: 0.5,
            crop: Some(CropConfig { scale: [0.1, 0.5], ratio: [0.7, 1.4] }),
            ..plain(4)
        };
        let pipeline = Pipeline::new(&config).unwrap();
        let image = ramp(41, 23);
        for sample in 0..50 {
            let key = [1, 2, sample];
            let Wanted { region, reduction } = pipeline.wanted_for_training(41, 23, key);
            assert_eq!(reduction, 1);
            let rows = image.pixels.chunks(41).skip(region.top as usize).take(region.height as usize);
            let columns = region.left as usize..(region.left + region.width) as usize;
            let pixels = rows.flat_map(|row| row[columns.clone()].to_vec()).collect();
            let part = Part {
                image: Image::new(region.width, region.height, 1, pixels).unwrap(),
                origin: [region.left, region.top].map(i64::from),
                reduction,
                whole: [41, 23],
            };
            let mut made = [[0.0; 16]; 2];
            let [first, second] = &mut made;
            pipeline.training_views(part, key, &mut Scratch::default(), [first, second]).unwrap();
            assert_eq!(made.map(|view| view.to_vec()), views(&config, &image, key), "{sample}");
        }
    }

    #[test]
    fn fast_decoding_leaves_enough_pixels() {
        let crop = Some(CropConfig { scale: [0.3, 1.0], ratio: [0.7, 1.4] });
        let config = AugmentConfig { decode: DecodeMode::Fast, crop, ..plain(32) };
        let pipeline = Pipeline::new(&config).unwrap();
        let mut seen = [0; 9];
        for sample in 0..200 {
            let wanted = pipeline.wanted_for_training(300, 260, [1, 0, sample]);
            assert!(wanted.region.width.min(wanted.region.height) >= 32 * wanted.reduction);
            seen[wanted.reduction as usize] += 1;
        }
        assert!(seen[4] > 0 && seen[2] + seen[4] + seen[8] == 200, "{seen:?}");
        assert_eq!(pipeline.wanted_for_test(300, 128).reduction, 4);
        assert_eq!(pipeline.wanted_for_test(300, 127).reduction, 2);
        assert_eq!(pipeline.wanted_for_test(40, 50).reduction, 1);
    }

    #[test]
    fn a_policy_changes_the_whole_picture_and_no_other_draw() {
        let crop = Some(CropConfig { scale: [0.1, 0.5], ratio: [0.7, 1.4] });
        let plain = AugmentConfig { crop, flip_probability: 0.5, ..plain(8) };
        let inverting = PolicyConfig::Own(vec![vec![(Operation::Invert, 1.0, 0.0)]]);
        let config = AugmentConfig { policy: Some(inverting), ..plain.clone() };
        let image = ramp(31, 17);
        let inverted =
            Image { pixels: image.pixels.iter().map(|value| 255 - value).collect(), ..image.clone() };
        for sample in 0..20 {
            let key = [1, 2, sample];
            assert_eq!(views(&config, &image, key), views(&plain, &inverted, key));
        }
        let wanted = Pipeline::new(&config).unwrap().wanted_for_training(31, 17, [1, 2, 3]);
        assert_eq!(wanted, Wanted::all(31, 17));
    }

    #[test]
    fn each_view_has_its_own_sub_policy() {
        let policy = Some(PolicyConfig::BuiltIn(BuiltIn::FastAutoAugmentCifar10));
        let config = AugmentConfig { policy, ..plain(16) };
        let image = ramp(16, 16);
        let original: Vec<f32> = image.pixels.iter().map(|&value| f32::from(value)).collect();
        let [mut different, mut changed] = [0, 0];
        for sample in 0..200 {
            let [first, second] = views(&config, &image, [1, 0, sample]);
            assert_eq!([&first, &second], views(&config, &image, [1, 0, sample]).each_ref());
            different += usize::from(first != second);
            changed += usize::from(first.iter().zip(&original).any(|(a, b)| (a - b).abs() > 0.5));
        }
        assert!(different > 150 && (100..200).contains(&changed), "{different} {changed}");
    }

    #[test]
    fn one_pixel_is_too_small() {
        let pipeline = Pipeline::new(&plain(2)).unwrap();
        let image = Image::new(1, 1, 1, vec![0]).unwrap();
        let error =
            pipeline.test_view(Part::whole(image), &mut Scratch::default(), &mut [0.0; 4]).unwrap_err();
        assert_eq!(error.code(), "AMDIM_DATA");
    }
}
