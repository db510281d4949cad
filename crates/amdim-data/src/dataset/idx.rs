//! IDX files, the format of MNIST (`LeCun`, Cortes, Burges, "The MNIST database of handwritten digits"), plain or gzip.
//!
//! Pictures are gray. A side below 32 pixels is padded with black to 32, half on each side (the odd pixel after), so
//! that 28x28 gets 2 pixels around it and fits the smallest encoder.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::records::{Bytes, Records};
use super::{Dataset, check_index, numbered_classes};
use crate::error::{DataError, Result};
use crate::image::Image;

/// Sides below this are padded, pixels.
const PADDED_SIDE: usize = 32;
/// Type byte of unsigned 8-bit values.
const UNSIGNED_BYTES: u8 = 0x08;

/// An opened pair of IDX files. A gzip file is unpacked into memory, a plain one read when asked.
#[derive(Debug)]
pub struct IdxDataset {
    file: String,
    pictures: Records,
    height: usize,
    width: usize,
    labels: Option<Vec<u32>>,
    classes: Vec<String>,
}

impl IdxDataset {
    /// Opens a file of pictures and one of labels.
    pub(crate) fn open(images: &Path, labels: Option<&Path>) -> Result<Self> {
        let place = images.display().to_string();
        let bytes = read(images)?;
        let [count, height, width] = header::<3>(&bytes, &place)?;
        if count == 0 || height == 0 || width == 0 {
            return Err(DataError::format(
                place,
                format!("is empty: {count} pictures of {width}x{height} pixels"),
            ));
        }
        if height.max(width) > usize::from(u16::MAX) {
            let problem = format!("has pictures of {width}x{height} pixels, expected at most 65535 a side");
            return Err(DataError::format(place, problem));
        }
        let pictures = Records::counted(&place, bytes, 16, height * width, count)?;
        let labels = labels.map(|path| read_labels(path, count)).transpose()?;
        let classes = labels.as_deref().map(numbered_classes).unwrap_or_default();
        let file = images.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { file, pictures, height, width, labels, classes })
    }
}

/// A plain file stays on disk; a gzip one is unpacked.
fn read(path: &Path) -> Result<Bytes> {
    let plain = Bytes::open(path)?;
    if !plain.starts_with_gzip() {
        return Ok(plain);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| DataError::io(path.display(), error))?;
    MultiGzDecoder::new(file).read_to_end(&mut bytes).map_err(|error| {
        DataError::format(path.display(), format!("damaged or cut off gzip file: {error}"))
    })?;
    Ok(Bytes::Memory(bytes))
}

/// Checks the magic number and returns the sizes of the dimensions.
fn header<const DIMENSIONS: usize>(bytes: &Bytes, place: &str) -> Result<[usize; DIMENSIONS]> {
    let header_bytes = 4 + 4 * DIMENSIONS;
    let mut start = vec![0; header_bytes];
    if bytes.len() < header_bytes as u64 {
        return Err(DataError::WrongLength {
            place: place.to_owned(),
            expected_bytes: header_bytes as u64,
            actual_bytes: bytes.len(),
        });
    }
    bytes.read_at(0, &mut start).map_err(|error| DataError::io(place, error))?;
    let expected = [0, 0, UNSIGNED_BYTES, DIMENSIONS as u8];
    if start[..4] != expected {
        let problem = format!(
            "is not an IDX file of this kind: starts with {:02x?}, expected {expected:02x?}",
            &start[..4]
        );
        return Err(DataError::format(place, problem));
    }
    let sizes = start[4..].as_chunks::<4>().0;
    Ok(std::array::from_fn(|dimension| u32::from_be_bytes(sizes[dimension]) as usize))
}

fn read_labels(path: &Path, pictures: usize) -> Result<Vec<u32>> {
    let place = path.display().to_string();
    let bytes = read(path)?;
    let [count] = header::<1>(&bytes, &place)?;
    if count != pictures {
        return Err(DataError::format(
            place,
            format!("has {count} labels, expected {pictures}, one a picture"),
        ));
    }
    let labels = Records::counted(&place, bytes, 8, 1, count)?.column(0)?;
    Ok(labels.into_iter().map(u32::from).collect())
}

impl Dataset for IdxDataset {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.as_ref()?.get(index).copied()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        format!("{}[{index}]", self.file)
    }

    fn image(&self, index: usize) -> Result<Image> {
        check_index(index, self.len())?;
        let mut stored = vec![0; self.height * self.width];
        self.pictures.read(index, 0, &mut stored)?;
        let (height, width) = (self.height.max(PADDED_SIDE), self.width.max(PADDED_SIDE));
        let mut pixels = vec![0; height * width];
        let (top, left) = ((height - self.height) / 2, (width - self.width) / 2);
        for (y, row) in stored.chunks_exact(self.width).enumerate() {
            pixels[(top + y) * width + left..][..self.width].copy_from_slice(row);
        }
        Image::new(width as u32, height as u32, 1, pixels)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn idx(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, UNSIGNED_BYTES, dimensions.len() as u8];
        bytes.extend(dimensions.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn pictures_are_padded_to_32() {
        let folder = tempfile::tempdir().unwrap();
        let (images, labels) = (folder.path().join("images.gz"), folder.path().join("labels"));
        let values: Vec<u8> = (0..2 * 28 * 28).map(|value| (value % 251) as u8 + 1).collect();
        fs::write(&images, gzip(&idx(&[2, 28, 28], &values))).unwrap();
        fs::write(&labels, idx(&[2], &[7, 3])).unwrap();
        let dataset = IdxDataset::open(&images, Some(&labels)).unwrap();
        assert_eq!((dataset.len(), dataset.label(0), dataset.classes().len()), (2, Some(7), 8));
        let image = dataset.image(0).unwrap();
        assert_eq!((image.width, image.height, image.channels), (32, 32, 1));
        let at = |y: usize, x: usize| image.pixels[y * 32 + x];
        assert_eq!([at(1, 2), at(2, 1), at(2, 2), at(2, 3), at(3, 2)], [0, 0, 1, 2, 29]);
        assert_eq!([at(29, 29), at(30, 29), at(29, 30)], [values[783], 0, 0]);
        // A plain file gives the same.
        fs::write(&images, idx(&[2, 28, 28], &values)).unwrap();
        let plain = IdxDataset::open(&images, None).unwrap();
        assert_eq!(plain.image(0).unwrap(), image);
        assert_eq!((plain.label(0), plain.classes().len()), (None, 0));
    }

    #[test]
    fn damaged_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
        fs::write(&labels, idx(&[1], &[7])).unwrap();
        let whole = idx(&[2, 2, 2], &[0; 8]);
        for (bytes, text) in [
            (whole[..20].to_vec(), "expected 24 bytes, got 20"),
            (whole[..10].to_vec(), "expected 16 bytes, got 10"),
            (idx(&[2, 2], &[0; 4]), "starts with"),
            (idx(&[0, 2, 2], &[]), "is empty"),
            (idx(&[u32::MAX, 65_535, 65_535], &[]), "truncated"),
            (gzip(&whole)[..12].to_vec(), "gzip"),
            (whole.clone(), "has 1 labels, expected 2"),
        ] {
            fs::write(&images, bytes).unwrap();
            let error = IdxDataset::open(&images, Some(&labels)).unwrap_err();
            assert_eq!(error.code(), "AMDIM_DATA");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
