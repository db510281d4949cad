//! Pictures of one size in one array.

use super::{Dataset, check_index, check_labels, numbered_classes};
use crate::error::{DataError, Result};
use crate::image::Image;

/// Raw pictures in memory.
#[derive(Debug)]
pub struct ArrayDataset {
    pixels: Vec<u8>,
    len: usize,
    height: u32,
    width: u32,
    channels: u8,
    labels: Option<Vec<u32>>,
    classes: Vec<String>,
}

impl ArrayDataset {
    /// A data set over `pixels`, with a label for each picture or none at all.
    ///
    /// # Shapes
    /// `pixels: [n, height, width, channels]`, levels 0..=255, channels 1 (gray) or 3 (RGB)\
    /// `labels: [n]`, classes from 0
    ///
    /// # Errors
    /// [`DataError::InvalidArgument`] when a size is 0, the number of values is not `n * height * width * channels`,
    /// or the number of labels is not `n`.
    pub fn new(
        pixels: Vec<u8>,
        n: usize,
        height: u32,
        width: u32,
        channels: u8,
        labels: Option<Vec<u32>>,
    ) -> Result<Self> {
        if n == 0 || height == 0 || width == 0 || !matches!(channels, 1 | 3) {
            let expected = "[n, height, width, channels], all above 0, with 1 or 3 channels";
            return Err(DataError::argument(
                "shape",
                expected,
                format!("[{n}, {height}, {width}, {channels}]"),
            ));
        }
        let expected = (n as u128)
            .saturating_mul(u128::from(height) * u128::from(width))
            .saturating_mul(u128::from(channels));
        if pixels.len() as u128 != expected {
            let expected = format!("{expected} values for [{n}, {height}, {width}, {channels}]");
            return Err(DataError::argument("pixels", expected, pixels.len()));
        }
        if let Some(labels) = &labels {
            check_labels(labels, n)?;
        }
        let classes = labels.as_deref().map(numbered_classes).unwrap_or_default();
        Ok(Self { pixels, len: n, height, width, channels, labels, classes })
    }
}

impl Dataset for ArrayDataset {
    fn len(&self) -> usize {
        self.len
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.as_ref()?.get(index).copied()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        index.to_string()
    }

    fn image(&self, index: usize) -> Result<Image> {
        check_index(index, self.len)?;
        let values = self.pixels.len() / self.len;
        Image::new(self.width, self.height, self.channels, self.pixels[index * values..][..values].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_slices() {
        let dataset = ArrayDataset::new((0..24).collect(), 2, 2, 2, 3, Some(vec![4, 0])).unwrap();
        assert_eq!(dataset.image(1).unwrap().pixels, (12..24).collect::<Vec<u8>>());
        assert_eq!((dataset.label(0), dataset.classes().len()), (Some(4), 5));
        assert_eq!(dataset.image(2).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
    }

    #[test]
    fn shapes_are_checked() {
        for result in [
            ArrayDataset::new(vec![0; 11], 1, 2, 2, 3, None),
            ArrayDataset::new(vec![], 0, 2, 2, 3, None),
            ArrayDataset::new(vec![0; 16], 1, 2, 2, 4, None),
            ArrayDataset::new(vec![0; 12], 1, 2, 2, 3, Some(vec![0, 1])),
            ArrayDataset::new(vec![0; 12], 1, 2, 2, 3, Some(vec![u32::MAX])),
            ArrayDataset::new(vec![0; 12], usize::MAX, u32::MAX, u32::MAX, 3, None),
        ] {
            assert_eq!(result.unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
    }
}
