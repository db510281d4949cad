//! Whether two data sets are the same, without reading all of them.

use crc32fast::Hasher;

use super::Dataset;

/// Pictures whose pixels are looked at, spread over the data set.
const SAMPLED: usize = 8;

/// CRC-32 of the number of pictures, of every label, and of the pixels of eight pictures from the first to the last.
///
/// The same for the same pictures in the same order, whatever they are stored in: paths and formats don't count.
/// Other pictures of the same number and classes have another one but by an accident in 2^32; a change to a few
/// pictures is found only where it meets one of the eight. A picture that can't be read counts as one without pixels.
pub fn checksum(dataset: &dyn Dataset) -> u32 {
    let mut hasher = Hasher::new();
    let count = dataset.len();
    hasher.update(&(count as u64).to_le_bytes());
    for index in 0..count {
        // 0 for none, so that unlabelled pictures differ from those of class 0.
        let label = dataset.label(index).map_or(0, |label| u64::from(label) + 1);
        hasher.update(&label.to_le_bytes());
    }
    let sampled = count.min(SAMPLED);
    for sample in 0..sampled {
        let index = sample * (count - 1) / (sampled - 1).max(1);
        if let Ok(image) = dataset.image(index) {
            let rgb = image.into_channels(3);
            hasher.update(&rgb.width.to_le_bytes());
            hasher.update(&rgb.height.to_le_bytes());
            hasher.update(&rgb.pixels);
        }
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::super::ArrayDataset;
    use super::*;

    fn set(count: usize, labels: impl Fn(u32) -> u32, pixel: impl Fn(usize) -> u8) -> u32 {
        let pixels = (0..count * 4).map(|at| pixel(at / 4)).collect();
        let labels = (0..count as u32).map(labels).collect();
        checksum(&ArrayDataset::new(pixels, count, 2, 2, 1, Some(labels)).unwrap())
    }

    #[test]
    fn it_tells_data_sets_apart_by_number_labels_and_pictures() {
        for count in [1, 2, 7, 8, 9, 100] {
            let plain = set(count, |_| 0, |at| at as u8);
            assert_eq!(plain, set(count, |_| 0, |at| at as u8));
            assert_ne!(plain, set(count + 1, |_| 0, |at| at as u8), "{count}");
            assert_ne!(plain, set(count, |_| 0, |at| at as u8 + 1), "{count}");
            for changed in [0, count - 1] {
                assert_ne!(
                    plain,
                    set(count, |at| u32::from(at as usize == changed), |at| at as u8),
                    "{count}"
                );
                assert_ne!(plain, set(count, |_| 0, |at| at as u8 + u8::from(at == changed)), "{count}");
            }
        }
    }

    #[test]
    fn no_labels_are_other_than_labels_of_the_first_class() {
        let of = |labels| checksum(&ArrayDataset::new(vec![7; 12], 3, 2, 2, 1, labels).unwrap());
        assert_ne!(of(None), of(Some(vec![0; 3])));
        assert_eq!(of(None), of(None));
    }
}
