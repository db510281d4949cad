//! What the pipeline does, as data. It has no defaults: presets and defaults belong to the caller.

use serde::{Deserialize, Serialize};

use super::policy::PolicyConfig;
use crate::error::{DataError, Result};

/// The largest side a view may have, pixels.
pub const MAXIMUM_VIEW_PIXELS: u32 = 4096;

/// The augmentation pipeline of a data set.
///
/// A training sample is mirrored once; then each view is changed by the policy, cropped or translated, jittered, turned
/// gray and normalised, with its own draws (datasets.py, `Transforms*`). At test time a picture is resized, cut at the
/// centre and normalised.
///
/// Without `crop`, a picture that is not `pixels` x `pixels` is first resized with its short side to `pixels` and cut
/// at the centre, in training and at test time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AugmentConfig {
    /// Probability of a mirror image, 0..=1; drawn once a sample.
    pub flip_probability: f64,
    /// Strong augmentation of the whole picture, once a view, before the crop. Files written before there were policies
    /// mean none.
    #[serde(default)]
    pub policy: Option<PolicyConfig>,
    /// What tells the two views apart, beside what is drawn for each. Files written before there was a choice mean
    /// augmented.
    #[serde(default)]
    pub views: Views,
    /// Random resized crop, once a view.
    pub crop: Option<CropConfig>,
    /// Translation with a reflected border, once a view, after the crop.
    pub translate: Option<TranslateConfig>,
    /// Colour jitter, once a view.
    pub color_jitter: Option<ColorJitterConfig>,
    /// Probability that a view turns gray, 0..=1.
    pub grayscale_probability: f64,
    /// Mean of each channel, on the 0..=1 scale.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, above 0, on the 0..=1 scale.
    pub std: Vec<f64>,
    /// Short side a test picture is resized to before its centre is cut out, pixels; at least `pixels`. None:
    /// `pixels`.
    pub eval_resize: Option<u32>,
    /// Side of a view, pixels: 32, 64 or 128 for the encoders of the paper.
    pub pixels: u32,
    /// 1 (gray) or 3 (RGB); pictures are converted.
    pub channels: u8,
    /// How JPEG files are decoded. Files written before there was a choice mean exact.
    #[serde(default)]
    pub decode: DecodeMode,
}

/// What tells the two views of a picture apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Views {
    /// What is drawn for each view alone.
    #[default]
    Augmented,
    /// The first view has lightness, the second colour (L\* and a\*b\*), the other channels being 0; `mean` and `std`
    /// are those of L\* over 100 and of a\* and b\* plus 128 over 255. At test time a picture has all three. In the
    /// manner of Tian, Krishnan, Isola 2019 (CMC), arXiv 1906.05849, but with one encoder for both.
    Lab,
    /// Each view is another patch, of half the side, of a 3x3 grid on the augmented picture, resized to the whole side.
    /// At test time a picture is whole. In the manner of van den Oord, Li, Vinyals 2018 (CPC), arXiv 1807.03748.
    Patches,
    /// The first view has the upper half of the augmented picture, the second the lower one; the rest of each is black.
    /// At test time a picture is its upper half, since the encoder never sees a whole one. In the manner of Tschannen et
    /// al. 2020, arXiv 1907.13625, section 3.
    Halves,
}

/// How JPEG files are decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DecodeMode {
    /// At full size: the pixels that the reference sees.
    #[default]
    Exact,
    /// At half, a quarter or an eighth of the size where what is cut out still has at least as many pixels as the
    /// view; docs/design/decoding.md has the differences.
    Fast,
}

/// Random resized crop to the pipeline's `pixels` (see [`resized_crop`](super::resized_crop)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CropConfig {
    /// Range of the rectangle's share of the picture's area, above 0, at most 1 (0.3..1 in the reference).
    pub scale: [f64; 2],
    /// Range of the rectangle's width over height, above 0 (0.7..1.4 in the reference).
    pub ratio: [f64; 2],
}

/// Translation (see [`translate`](super::translate)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TranslateConfig {
    /// Farthest move on each axis, pixels; less than the pipeline's `pixels` (4 in the reference).
    pub max_pixels: u32,
    /// Probability of a move, 0..=1 (0.8 in the reference).
    pub probability: f64,
}

/// Colour jitter (see [`color_jitter`](super::color_jitter)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ColorJitterConfig {
    /// Probability of any jitter, 0..=1 (0.8 in the reference).
    pub probability: f64,
    /// Brightness factors are drawn from `1 - brightness..1 + brightness`; 0 or more (0.4 in the reference).
    pub brightness: f64,
    /// As brightness (0.4 in the reference).
    pub contrast: f64,
    /// As brightness (0.4 in the reference).
    pub saturation: f64,
    /// Hue is turned by `-hue..hue` turns, 0..=0.5 (0.2 in the reference, 0.1 for `ImageNet`).
    pub hue: f64,
}

impl AugmentConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`DataError::InvalidArgument`] naming the first option that is out of range.
    pub fn validate(&self) -> Result<()> {
        if !(2..=MAXIMUM_VIEW_PIXELS).contains(&self.pixels) {
            return Err(DataError::argument("pixels", format!("2 to {MAXIMUM_VIEW_PIXELS}"), self.pixels));
        }
        if self.channels != 1 && self.channels != 3 {
            return Err(DataError::argument("channels", "1 or 3", self.channels));
        }
        check_range("flipProbability", self.flip_probability, 0.0, 1.0)?;
        check_range("grayscaleProbability", self.grayscale_probability, 0.0, 1.0)?;
        self.check_normalisation()?;
        if self.views == Views::Lab && self.channels != 3 {
            return Err(DataError::argument("channels", "3 with views lab", self.channels));
        }
        self.check_eval()?;
        if let Some(policy) = &self.policy {
            policy.validate()?;
        }
        if let Some(crop) = &self.crop {
            crop.validate()?;
        }
        if let Some(translate) = &self.translate {
            translate.validate(self.pixels)?;
        }
        self.color_jitter.as_ref().map_or(Ok(()), ColorJitterConfig::validate)
    }

    fn check_normalisation(&self) -> Result<()> {
        let channels = usize::from(self.channels);
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != channels {
                return Err(DataError::argument(
                    name,
                    format!("{channels} numbers, one a channel"),
                    values.len(),
                ));
            }
        }
        if let Some(mean) = self.mean.iter().find(|mean| !mean.is_finite()) {
            return Err(DataError::argument("mean", "finite numbers", mean));
        }
        match self.std.iter().find(|&&std| !(std.is_finite() && std > 0.0)) {
            Some(std) => Err(DataError::argument("std", "finite numbers above 0", std)),
            None => Ok(()),
        }
    }

    fn check_eval(&self) -> Result<()> {
        let resize = self.eval_resize.unwrap_or(self.pixels);
        if !(self.pixels..=MAXIMUM_VIEW_PIXELS).contains(&resize) {
            let expected = format!("pixels ({}) to {MAXIMUM_VIEW_PIXELS}", self.pixels);
            return Err(DataError::argument("evalResize", expected, resize));
        }
        Ok(())
    }
}

impl CropConfig {
    fn validate(&self) -> Result<()> {
        let [smallest, largest] = self.scale;
        if !(smallest > 0.0 && smallest <= largest && largest <= 1.0) {
            let expected = "two rising numbers above 0, at most 1";
            return Err(DataError::argument("crop.scale", expected, format!("{:?}", self.scale)));
        }
        let [narrowest, widest] = self.ratio;
        if !(narrowest > 0.0 && narrowest <= widest && widest.is_finite()) {
            let expected = "two rising finite numbers above 0";
            return Err(DataError::argument("crop.ratio", expected, format!("{:?}", self.ratio)));
        }
        Ok(())
    }
}

impl TranslateConfig {
    fn validate(&self, pixels: u32) -> Result<()> {
        if self.max_pixels >= pixels {
            let expected = format!("less than pixels ({pixels})");
            return Err(DataError::argument("translate.maxPixels", expected, self.max_pixels));
        }
        check_range("translate.probability", self.probability, 0.0, 1.0)
    }
}

impl ColorJitterConfig {
    fn validate(&self) -> Result<()> {
        check_range("colorJitter.probability", self.probability, 0.0, 1.0)?;
        check_range("colorJitter.brightness", self.brightness, 0.0, f64::MAX)?;
        check_range("colorJitter.contrast", self.contrast, 0.0, f64::MAX)?;
        check_range("colorJitter.saturation", self.saturation, 0.0, f64::MAX)?;
        check_range("colorJitter.hue", self.hue, 0.0, 0.5)
    }
}

fn check_range(name: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let expected =
        if high == f64::MAX { format!("{low} or more, finite") } else { format!("{low} to {high}") };
    Err(DataError::argument(name, expected, value))
}

#[cfg(test)]
mod tests {
    use super::super::policy::Operation;
    use super::*;

    type Change = fn(&mut AugmentConfig);

    fn valid() -> AugmentConfig {
        AugmentConfig {
            flip_probability: 0.5,
            policy: Some(PolicyConfig::Own(vec![vec![(Operation::Invert, 0.5, 0.5)]])),
            views: Views::Augmented,
            crop: Some(CropConfig { scale: [0.3, 1.0], ratio: [0.7, 1.4] }),
            translate: Some(TranslateConfig { max_pixels: 4, probability: 0.8 }),
            color_jitter: Some(ColorJitterConfig {
                probability: 0.8,
                brightness: 0.4,
                contrast: 0.4,
                saturation: 0.4,
                hue: 0.2,
            }),
            grayscale_probability: 0.25,
            mean: vec![0.43, 0.42, 0.39],
            std: vec![0.27, 0.26, 0.27],
            eval_resize: Some(70),
            pixels: 64,
            channels: 3,
            decode: DecodeMode::Fast,
        }
    }

    #[test]
    fn every_range_is_checked() {
        assert!(valid().validate().is_ok());
        let wrong: [(&str, Change); 15] = [
            ("pixels", |config| config.pixels = 1),
            ("channels", |config| config.channels = 2),
            ("flipProbability", |config| config.flip_probability = f64::NAN),
            ("grayscaleProbability", |config| config.grayscale_probability = 1.1),
            ("mean", |config| config.mean = vec![0.5]),
            ("mean", |config| config.mean[1] = f64::INFINITY),
            ("std", |config| config.std[0] = 0.0),
            ("evalResize", |config| config.eval_resize = Some(63)),
            ("policy", |config| config.policy = Some(PolicyConfig::Own(vec![]))),
            ("crop.scale", |config| config.crop.as_mut().unwrap().scale = [0.5, 0.3]),
            ("crop.ratio", |config| config.crop.as_mut().unwrap().ratio = [0.0, 1.0]),
            ("translate.maxPixels", |config| config.translate.as_mut().unwrap().max_pixels = 64),
            ("translate.probability", |config| config.translate.as_mut().unwrap().probability = -0.1),
            ("colorJitter.hue", |config| config.color_jitter.as_mut().unwrap().hue = 0.6),
            ("colorJitter.contrast", |config| config.color_jitter.as_mut().unwrap().contrast = f64::INFINITY),
        ];
        for (option, change) in wrong {
            let mut config = valid();
            change(&mut config);
            match config.validate() {
                Err(DataError::InvalidArgument { name, .. }) => assert_eq!(name, option),
                other => panic!("{option}: {other:?}"),
            }
        }
    }

    #[test]
    fn unknown_options_are_errors() {
        let mut json = serde_json::to_value(valid()).unwrap();
        assert_eq!(serde_json::from_value::<AugmentConfig>(json.clone()).unwrap(), valid());
        json["flipProbabilty"] = 0.5.into();
        assert!(serde_json::from_value::<AugmentConfig>(json).is_err());
    }

    #[test]
    fn files_from_before_there_were_policies_have_none() {
        let mut json = serde_json::to_value(valid()).unwrap();
        json.as_object_mut().unwrap().remove("policy");
        let expected = AugmentConfig { policy: None, ..valid() };
        assert_eq!(serde_json::from_value::<AugmentConfig>(json).unwrap(), expected);
    }
}
