//! One operation with its drawn parameters.

use serde::Serialize;

use super::{auto_contrast, cutout, equalize, invert, posterize, rotate, sharpness, shear, shift, solarize};
use crate::augment::factor::Params as Factor;
use crate::augment::{brightness, contrast, saturation};
use crate::image::Image;

/// What is done to a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "operation", rename_all = "camelCase")]
pub enum Step {
    /// See [`shear`].
    Shear(shear::Params),
    /// See [`shift`].
    Shift(shift::Params),
    /// See [`rotate`].
    Rotate(rotate::Params),
    /// See [`auto_contrast`].
    AutoContrast,
    /// See [`invert`].
    Invert,
    /// See [`equalize`].
    Equalize,
    /// See [`solarize`].
    Solarize(solarize::Params),
    /// See [`posterize`].
    Posterize(posterize::Params),
    /// See [`contrast`].
    Contrast(Factor),
    /// See [`saturation`].
    Color(Factor),
    /// See [`brightness`].
    Brightness(Factor),
    /// See [`sharpness`].
    Sharpness(Factor),
    /// See [`cutout`].
    Cutout(cutout::Params),
}

impl Step {
    /// Changes `image`; `other` is scratch.
    pub fn apply(&self, image: &mut Image, other: &mut Image) {
        match self {
            Self::Shear(params) => {
                into_other(image, other, |image, other| shear::apply(image, params, other));
            }
            Self::Shift(params) => {
                into_other(image, other, |image, other| shift::apply(image, params, other));
            }
            Self::Rotate(params) => {
                into_other(image, other, |image, other| rotate::apply(image, params, other));
            }
            Self::Sharpness(params) => {
                into_other(image, other, |image, other| sharpness::apply(image, params, other));
            }
            Self::AutoContrast => auto_contrast::apply(image),
            Self::Invert => invert::apply(image),
            Self::Equalize => equalize::apply(image),
            Self::Solarize(params) => solarize::apply(image, params),
            Self::Posterize(params) => posterize::apply(image, params),
            Self::Contrast(params) => contrast::apply(image, params),
            Self::Color(params) => saturation::apply(image, params),
            Self::Brightness(params) => brightness::apply(image, params),
            Self::Cutout(params) => cutout::apply(image, params),
        }
    }
}

/// For operations that cannot work in place.
fn into_other(image: &mut Image, other: &mut Image, apply: impl FnOnce(&Image, &mut Image)) {
    apply(image, other);
    std::mem::swap(image, other);
}
