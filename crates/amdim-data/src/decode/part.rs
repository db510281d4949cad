//! A part of a picture, decoded at full or reduced size.

use crate::augment::{Region, Window, horizontal_flip};
use crate::image::Image;

/// What is wanted of a picture whose size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The part, in pixels of the whole picture.
    pub region: Region,
    /// How much smaller it may be decoded: 1, 2, 4 or 8.
    pub reduction: u32,
}

impl Wanted {
    /// All of a picture at full size.
    pub fn all(width: u32, height: u32) -> Self {
        Self { region: Region { left: 0, top: 0, width, height }, reduction: 1 }
    }
}

/// Is told a picture's width and height, before it is decoded, and says what is wanted of it.
pub type ChoosePart<'a> = dyn FnMut(u32, u32) -> Wanted + 'a;

/// A part of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The pixels.
    pub image: Image,
    /// Column and row of the whole picture where it begins, in pixels at full size; below 0 where a mirrored picture
    /// of reduced size begins with part of a pixel.
    pub origin: [i64; 2],
    /// How many pixels of the whole picture one of its pixels stands for, an axis.
    pub reduction: u32,
    /// Width and height of the whole picture at full size.
    pub whole: [u32; 2],
}

impl Part {
    /// All of a picture.
    pub fn whole(image: Image) -> Self {
        let whole = [image.width, image.height];
        Self { image, origin: [0, 0], reduction: 1, whole }
    }

    /// Becomes a copy of `other` and keeps the allocation.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.image.copy_from(&other.image);
        (self.origin, self.reduction, self.whole) = (other.origin, other.reduction, other.whole);
    }

    /// Where `region` of the whole picture, which this part must hold, lies in its image.
    pub(crate) fn window(&self, region: Region) -> Window {
        let scale = 1.0 / f64::from(self.reduction);
        let start = |position: u32, axis: usize| (i64::from(position) - self.origin[axis]) as f64 * scale;
        Window {
            start: [start(region.left, 0), start(region.top, 1)],
            length: [region.width, region.height].map(|length| f64::from(length) * scale),
        }
    }

    /// Exchanges left and right of the whole picture.
    pub(crate) fn mirror(&mut self) {
        horizontal_flip::apply(&mut self.image, &horizontal_flip::Params { flip: true });
        let width = i64::from(self.image.width) * i64::from(self.reduction);
        self.origin[0] = i64::from(self.whole[0]) - self.origin[0] - width;
    }

    /// The part with `channels` (1 or 3); see [`Image::into_channels`].
    pub(crate) fn into_channels(self, channels: u8) -> Self {
        Self { image: self.image.into_channels(channels), ..self }
    }
}
