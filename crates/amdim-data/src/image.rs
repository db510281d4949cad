//! A decoded picture in memory; the one place that says how its bytes lie.

use crate::augment::grayscale;
use crate::error::{DataError, Result};

/// The least side of a picture that can be augmented, pixels: a reflected border needs a neighbour.
pub const MINIMUM_SIDE: u32 = 2;

/// A decoded picture: 8 bits a channel, gray or RGB.
///
/// # Shapes
/// `pixels: [height, width, channels]`, row-major, channels interleaved, values 0..=255.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// 1 (gray) or 3 (RGB).
    pub channels: u8,
    /// The values, `height * width * channels` of them.
    pub pixels: Vec<u8>,
}

impl Image {
    /// An image over `pixels`.
    ///
    /// # Errors
    /// [`DataError::InvalidArgument`] when a side is 0, `channels` is neither 1 nor 3, or the number of values is
    /// not `height * width * channels`.
    pub fn new(width: u32, height: u32, channels: u8, pixels: Vec<u8>) -> Result<Self> {
        if width == 0 || height == 0 {
            return Err(DataError::argument(
                "image size",
                "at least 1x1 pixels",
                format!("{width}x{height}"),
            ));
        }
        if channels != 1 && channels != 3 {
            return Err(DataError::argument("channels", "1 or 3", channels));
        }
        let expected = u128::from(width) * u128::from(height) * u128::from(channels);
        if pixels.len() as u128 != expected {
            return Err(DataError::argument(
                "pixels",
                format!("{expected} values for [{height}, {width}, {channels}]"),
                pixels.len(),
            ));
        }
        Ok(Self { width, height, channels, pixels })
    }

    /// A black image to be written over; sides of 0 are allowed, for scratch.
    pub(crate) fn blank(width: u32, height: u32, channels: u8) -> Self {
        Self {
            width,
            height,
            channels,
            pixels: vec![0; width as usize * height as usize * channels as usize],
        }
    }

    /// Takes a new shape and keeps the allocation; the values are unspecified.
    pub(crate) fn reshape(&mut self, width: u32, height: u32, channels: u8) {
        self.width = width;
        self.height = height;
        self.channels = channels;
        self.pixels.resize(width as usize * height as usize * channels as usize, 0);
    }

    /// Becomes a copy of `other` and keeps the allocation.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.width = other.width;
        self.height = other.height;
        self.channels = other.channels;
        self.pixels.clone_from(&other.pixels);
    }

    /// Values in one row: `width * channels`.
    pub(crate) fn row_values(&self) -> usize {
        self.width as usize * self.channels as usize
    }

    /// The image with `channels` (1 or 3): gray is repeated, RGB becomes its luma (see [`grayscale`]).
    #[must_use]
    pub fn into_channels(self, channels: u8) -> Self {
        let pixels = match (self.channels, channels) {
            (1, 3) => self.pixels.iter().flat_map(|&value| [value; 3]).collect(),
            (3, 1) => self.pixels.as_chunks().0.iter().map(|&pixel| grayscale::luma(pixel)).collect(),
            _ => return self,
        };
        Self { channels, pixels, ..self }
    }
}

/// Checks that a picture of this size can be augmented.
///
/// # Errors
/// [`DataError::TooSmall`] when a side has fewer than [`MINIMUM_SIDE`] pixels.
pub fn check_trainable([width, height]: [u32; 2]) -> Result<()> {
    if width.min(height) >= MINIMUM_SIDE {
        return Ok(());
    }
    Err(DataError::TooSmall { picture: "the picture".to_owned(), width, height, minimum_side: MINIMUM_SIDE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_is_checked() {
        assert!(Image::new(2, 2, 3, vec![0; 12]).is_ok());
        for (width, height, channels, values) in [(2, 2, 3, 11), (0, 2, 3, 0), (2, 2, 4, 16)] {
            let error = Image::new(width, height, channels, vec![0; values]).unwrap_err();
            assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT");
        }
    }

    #[test]
    fn channels_are_converted() {
        let rgb = Image::new(2, 1, 3, vec![10, 10, 10, 255, 0, 0]).unwrap();
        let gray = rgb.into_channels(1);
        assert_eq!(gray.pixels, [10, 76]);
        assert_eq!(gray.into_channels(3).pixels, [10, 10, 10, 76, 76, 76]);
    }

    #[test]
    fn one_pixel_cannot_be_trained_on() {
        let error = check_trainable([1, 5]).unwrap_err();
        assert!(matches!(error, DataError::TooSmall { width: 1, height: 5, minimum_side: 2, .. }));
    }
}
