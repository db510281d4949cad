//! Pictures handed over one by one, encoded or decoded.

use super::{Dataset, check_index, check_labels, numbered_classes};
use crate::decode::{ChoosePart, Limits, Part, Wanted, decode_part};
use crate::error::{DataError, Result};
use crate::image::Image;

/// The pixels of a [`MemoryPicture`].
#[derive(Debug, Clone)]
pub enum PicturePixels {
    /// The bytes of a JPEG, PNG, GIF, BMP or WebP file, decoded each time they are asked for.
    Encoded(Vec<u8>),
    /// A decoded image.
    Decoded(Image),
}

/// One picture in memory.
#[derive(Debug, Clone)]
pub struct MemoryPicture {
    /// What it is called in messages and outputs.
    pub name: String,
    /// Its pixels.
    pub pixels: PicturePixels,
    /// Its class from 0, or none.
    pub label: Option<u32>,
}

/// Pictures in memory.
#[derive(Debug)]
pub struct MemoryDataset {
    pictures: Vec<MemoryPicture>,
    classes: Vec<String>,
    limits: Limits,
}

impl MemoryDataset {
    /// A data set of `pictures`, all labelled or none.
    ///
    /// Encoded pictures are decoded when asked for, so a damaged one is met then.
    ///
    /// # Errors
    /// [`DataError::InvalidArgument`] for no pictures, [`DataError::MissingLabel`] when some have a label and others
    /// do not.
    pub fn new(pictures: Vec<MemoryPicture>, limits: Limits) -> Result<Self> {
        if pictures.is_empty() {
            return Err(DataError::argument("pictures", "at least one", 0));
        }
        let labels: Vec<u32> = pictures.iter().filter_map(|picture| picture.label).collect();
        if !labels.is_empty() {
            if let Some(picture) = pictures.iter().find(|picture| picture.label.is_none()) {
                return Err(DataError::MissingLabel {
                    place: "the pictures given".to_owned(),
                    picture: picture.name.clone(),
                    hint: "label all of them or none".to_owned(),
                });
            }
            check_labels(&labels, pictures.len())?;
        }
        Ok(Self { classes: numbered_classes(&labels), pictures, limits })
    }
}

impl Dataset for MemoryDataset {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.pictures.get(index)?.label
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        self.pictures.get(index).map_or_else(|| index.to_string(), |picture| picture.name.clone())
    }

    fn image(&self, index: usize) -> Result<Image> {
        self.part(index, &mut Wanted::all).map(|part| part.image)
    }

    fn part(&self, index: usize, choose: &mut ChoosePart<'_>) -> Result<Part> {
        check_index(index, self.len())?;
        let picture = &self.pictures[index];
        match &picture.pixels {
            PicturePixels::Encoded(bytes) => {
                decode_part(bytes, &self.limits, choose).map_err(|error| error.with_picture(&picture.name))
            }
            PicturePixels::Decoded(image) => Ok(Part::whole(image.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(name: &str, label: Option<u32>) -> MemoryPicture {
        let image = Image::new(2, 2, 1, vec![5; 4]).unwrap();
        MemoryPicture { name: name.to_owned(), pixels: PicturePixels::Decoded(image), label }
    }

    #[test]
    fn labels_are_all_or_none() {
        let limits = Limits::default();
        let labelled =
            MemoryDataset::new(vec![picture("a", Some(1)), picture("b", Some(0))], limits).unwrap();
        assert_eq!(
            (labelled.label(0), labelled.classes().len(), labelled.name(1)),
            (Some(1), 2, "b".to_owned())
        );
        let error = MemoryDataset::new(vec![picture("a", Some(1)), picture("b", None)], limits).unwrap_err();
        assert!(matches!(error, DataError::MissingLabel { ref picture, .. } if picture == "b"), "{error}");
        assert_eq!(MemoryDataset::new(vec![], limits).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
    }

    #[test]
    fn a_damaged_picture_is_named() {
        let pixels = PicturePixels::Encoded(b"not a picture".to_vec());
        let pictures = vec![MemoryPicture { name: "c.png".to_owned(), pixels, label: None }];
        let error = MemoryDataset::new(pictures, Limits::default()).unwrap().image(0).unwrap_err();
        assert!(error.to_string().contains("c.png"), "{error}");
    }
}
