//! The operations that a policy may name.

use serde::{Deserialize, Serialize};

use super::affine::Axis;
use super::step::Step;
use super::{cutout, factor, posterize, rotate, shear, shift, solarize};
use amdim_random::Stream;

/// An operation, by its name in published policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// See [`shear`].
    ShearX,
    /// See [`shear`].
    ShearY,
    /// See [`shift`]: by a share of the width.
    TranslateX,
    /// See [`shift`]: by a share of the height.
    TranslateY,
    /// See [`shift`]: by up to 10 pixels.
    TranslateXAbs,
    /// See [`shift`]: by up to 10 pixels.
    TranslateYAbs,
    /// See [`rotate`].
    Rotate,
    /// See [`auto_contrast`](super::auto_contrast); the level has no meaning.
    AutoContrast,
    /// See [`invert`](super::invert); the level has no meaning.
    Invert,
    /// See [`equalize`](super::equalize); the level has no meaning.
    Equalize,
    /// See [`solarize`].
    Solarize,
    /// See [`posterize`]: to 4..=8 bits.
    Posterize,
    /// See [`posterize`]: to 0..=4 bits.
    Posterize2,
    /// See [`contrast`](crate::augment::contrast).
    Contrast,
    /// See [`saturation`](crate::augment::saturation).
    Color,
    /// See [`brightness`](crate::augment::brightness).
    Brightness,
    /// See [`sharpness`](super::sharpness).
    Sharpness,
    /// See [`cutout`]: of a share of the width.
    Cutout,
    /// See [`cutout`]: of up to 20 pixels.
    CutoutAbs,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 19] = [
        Self::ShearX,
        Self::ShearY,
        Self::TranslateX,
        Self::TranslateY,
        Self::TranslateXAbs,
        Self::TranslateYAbs,
        Self::Rotate,
        Self::AutoContrast,
        Self::Invert,
        Self::Equalize,
        Self::Solarize,
        Self::Posterize,
        Self::Posterize2,
        Self::Contrast,
        Self::Color,
        Self::Brightness,
        Self::Sharpness,
        Self::Cutout,
        Self::CutoutAbs,
    ];

    /// Draws what the operation does at `level` (0..=1) to a picture of `size` (width and height); nothing where the
    /// level means so.
    pub fn sample(self, level: f64, size: [u32; 2], stream: &mut Stream) -> Option<Step> {
        let step = match self {
            Self::ShearX => Step::Shear(shear::sample(Axis::X, level, stream)),
            Self::ShearY => Step::Shear(shear::sample(Axis::Y, level, stream)),
            Self::TranslateX => Step::Shift(shift::sample(Axis::X, level, size[0], stream)),
            Self::TranslateY => Step::Shift(shift::sample(Axis::Y, level, size[1], stream)),
            Self::TranslateXAbs => Step::Shift(shift::sample_absolute(Axis::X, level, stream)),
            Self::TranslateYAbs => Step::Shift(shift::sample_absolute(Axis::Y, level, stream)),
            Self::Rotate => Step::Rotate(rotate::sample(level, stream)),
            Self::AutoContrast => Step::AutoContrast,
            Self::Invert => Step::Invert,
            Self::Equalize => Step::Equalize,
            Self::Solarize => Step::Solarize(solarize::sample(level)),
            Self::Posterize => Step::Posterize(posterize::sample(level)),
            Self::Posterize2 => Step::Posterize(posterize::sample_strong(level)),
            Self::Contrast => Step::Contrast(factor::sample(level)),
            Self::Color => Step::Color(factor::sample(level)),
            Self::Brightness => Step::Brightness(factor::sample(level)),
            Self::Sharpness => Step::Sharpness(factor::sample(level)),
            Self::Cutout => return cutout::sample(level, size, stream).map(Step::Cutout),
            Self::CutoutAbs => Step::Cutout(cutout::sample_absolute(level, size, stream)),
        };
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_span_the_published_ranges() {
        let mut stream = Stream::for_policy(1, 0, 0, 0);
        let mut value = |operation: Operation, level| match operation.sample(level, [100, 50], &mut stream)? {
            Step::Shear(params) => Some(params.slope.abs()),
            Step::Shift(params) => Some(params.pixels.abs()),
            Step::Rotate(params) => Some(params.degrees.abs()),
            Step::Solarize(params) => Some(params.threshold),
            Step::Posterize(params) => Some(f64::from(params.bits)),
            Step::Contrast(params)
            | Step::Color(params)
            | Step::Brightness(params)
            | Step::Sharpness(params) => Some(params.factor),
            Step::Cutout(_) | Step::AutoContrast | Step::Invert | Step::Equalize => None,
        };
        for (operation, low, middle, high) in [
            (Operation::ShearX, 0.3, 0.0, 0.3),
            (Operation::ShearY, 0.3, 0.0, 0.3),
            (Operation::TranslateX, 45.0, 0.0, 45.0),
            (Operation::TranslateY, 22.5, 0.0, 22.5),
            (Operation::TranslateXAbs, 0.0, 5.0, 10.0),
            (Operation::TranslateYAbs, 0.0, 5.0, 10.0),
            (Operation::Rotate, 30.0, 0.0, 30.0),
            (Operation::Solarize, 0.0, 128.0, 256.0),
            (Operation::Posterize, 4.0, 6.0, 8.0),
            (Operation::Posterize2, 0.0, 2.0, 4.0),
            (Operation::Contrast, 0.1, 1.0, 1.9),
            (Operation::Color, 0.1, 1.0, 1.9),
            (Operation::Brightness, 0.1, 1.0, 1.9),
            (Operation::Sharpness, 0.1, 1.0, 1.9),
        ] {
            for (level, expected) in [(0.0, low), (0.5, middle), (1.0, high)] {
                let actual = value(operation, level).unwrap();
                assert!((actual - expected).abs() < 1e-12, "{operation:?} {level}: {actual}");
            }
        }
    }

    #[test]
    fn cutouts_lie_anywhere_in_the_picture() {
        let mut stream = Stream::for_policy(1, 0, 0, 0);
        assert_eq!(Operation::Cutout.sample(0.0, [100, 50], &mut stream), None);
        let mut painted = [[0_u32; 2]; 2];
        for _ in 0..2000 {
            let Some(Step::Cutout(params)) = Operation::Cutout.sample(1.0, [100, 50], &mut stream) else {
                panic!("no square")
            };
            assert!(params.columns.end <= 100 && params.rows.end <= 50);
            assert!(params.columns.len() <= 21 && params.rows.len() <= 21, "{params:?}");
            painted[0][usize::from(params.columns.contains(&75))] += 1;
            painted[1][usize::from(params.rows.contains(&25))] += 1;
        }
        // 21 of 100 columns, 21 of 50 rows, less what the first row's squares lack; standard deviations 18 and 22.
        assert!(painted[0][1].abs_diff(420) < 90 && painted[1][1].abs_diff(840) < 110, "{painted:?}");
        match Operation::CutoutAbs.sample(0.5, [100, 50], &mut stream) {
            Some(Step::Cutout(params)) => assert!(params.columns.len() <= 11),
            other => panic!("{other:?}"),
        }
    }
}
