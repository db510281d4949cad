//! Picture files by their paths.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Dataset, check_index};
use crate::decode::{ChoosePart, Limits, Part, Wanted, decode_part};
use crate::error::{DataError, Result};
use crate::image::Image;

/// A list of picture files without labels, read each time they are asked for.
#[derive(Debug)]
pub struct FileDataset {
    paths: Vec<PathBuf>,
    limits: Limits,
}

impl FileDataset {
    /// A data set of the files at `paths`; a missing or damaged one is met when it is asked for.
    ///
    /// # Errors
    /// [`DataError::InvalidArgument`] for no paths.
    pub fn new(paths: Vec<PathBuf>, limits: Limits) -> Result<Self> {
        if paths.is_empty() {
            return Err(DataError::argument("paths", "at least one", 0));
        }
        Ok(Self { paths, limits })
    }
}

impl Dataset for FileDataset {
    fn len(&self) -> usize {
        self.paths.len()
    }

    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn name(&self, index: usize) -> String {
        self.paths.get(index).map_or_else(|| index.to_string(), |path| path.display().to_string())
    }

    fn image(&self, index: usize) -> Result<Image> {
        self.part(index, &mut Wanted::all).map(|part| part.image)
    }

    fn part(&self, index: usize, choose: &mut ChoosePart<'_>) -> Result<Part> {
        check_index(index, self.len())?;
        decode_file(&self.paths[index], &self.limits, choose)
            .map_err(|error| error.with_picture(&self.name(index)))
    }
}

/// Reads a picture file and decodes what `choose` wants of it.
pub(super) fn decode_file(path: &Path, limits: &Limits, choose: &mut ChoosePart<'_>) -> Result<Part> {
    let io_error = |error| DataError::io(path.display(), error);
    let mut file = File::open(path).map_err(io_error)?;
    let len = file.metadata().map_err(io_error)?.len();
    limits.check_bytes(len)?;
    let mut bytes = Vec::with_capacity(len as usize);
    file.read_to_end(&mut bytes).map_err(io_error)?;
    decode_part(&bytes, limits, choose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_when_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let dataset = FileDataset::new(vec![path.clone()], Limits::default()).unwrap();
        assert_eq!(dataset.image(0).unwrap_err().code(), "AMDIM_IO");
        image::GrayImage::from_pixel(2, 3, image::Luma([7])).save(&path).unwrap();
        let image = dataset.image(0).unwrap();
        assert_eq!((image.width, image.height, image.pixels[0]), (2, 3, 7));
        assert_eq!((dataset.len(), dataset.label(0)), (1, None));
        std::fs::write(&path, "no picture").unwrap();
        assert!(dataset.image(0).unwrap_err().to_string().contains("a.png"));
    }

    #[test]
    fn no_files_are_an_error() {
        assert_eq!(FileDataset::new(vec![], Limits::default()).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
    }
}
