//! Data sets: one format a file, all behind [`Dataset`].

pub mod array;
pub mod cached;
pub mod checksum;
pub mod cifar;
pub mod files;
pub mod idx;
pub mod image_folder;
pub mod memory;
pub mod source;
pub mod stl10;
pub mod stream;
pub mod subset;

mod archive;
mod block_reader;
mod records;

pub use array::ArrayDataset;
pub use cached::CachedDataset;
pub use checksum::checksum;
pub use files::FileDataset;
pub use memory::{MemoryDataset, MemoryPicture, PicturePixels};
pub use source::{Cifar100Labels, DatasetSource, FolderLabels, ShardLabels, Split, Stl10Split, open};
pub use stream::{Stream, StreamDataset};
pub use subset::{FewLabels, Subset};

use std::sync::Arc;

use crate::decode::{ChoosePart, Part};
use crate::error::{DataError, Result};
use crate::image::Image;

/// A numbered collection of pictures, labelled or not, that any thread may read.
pub trait Dataset: Send + Sync {
    /// Number of pictures.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of picture `index`, an index into [`Dataset::classes`]; none when it is not labelled.
    fn label(&self, index: usize) -> Option<u32>;

    /// The names of the classes in label order; empty when nothing is labelled.
    fn classes(&self) -> &[String];

    /// What picture `index` is called in messages and outputs: its path, or its number.
    fn name(&self, index: usize) -> String;

    /// Reads and decodes picture `index`.
    ///
    /// # Errors
    /// An error that names the picture; [`DataError::InvalidArgument`] for an index beyond the end.
    fn image(&self, index: usize) -> Result<Image>;

    /// As [`Dataset::image`], of as little as needed: `choose` is told the picture's width and height and says what it
    /// wants. What is stored decoded comes whole.
    ///
    /// # Errors
    /// As [`Dataset::image`].
    fn part(&self, index: usize, choose: &mut ChoosePart<'_>) -> Result<Part> {
        let _ = choose;
        self.image(index).map(Part::whole)
    }

    /// Files that were found beside the pictures and left out.
    fn ignored_files(&self) -> usize {
        0
    }

    /// The stream behind the data set, where pictures are stored in pieces that are best read from start to end. The
    /// loader then visits them in an order that a bounded buffer can make.
    fn stream(&self) -> Option<Arc<Stream>> {
        None
    }
}

/// The classes of pictures whose labels are known by number only.
pub(crate) fn numbered_classes(labels: &[u32]) -> Vec<String> {
    let count = labels.iter().max().map_or(0, |&largest| largest + 1);
    (0..count).map(|class| class.to_string()).collect()
}

/// Most classes of a data set; a larger label is taken for a mistake.
pub(crate) const MAXIMUM_CLASSES: u32 = 1 << 20;

/// Checks labels given by the user.
pub(crate) fn check_labels(labels: &[u32], pictures: usize) -> Result<()> {
    if labels.len() != pictures {
        return Err(DataError::argument("labels", format!("{pictures} labels, one a picture"), labels.len()));
    }
    match labels.iter().find(|&&label| label >= MAXIMUM_CLASSES) {
        Some(label) => Err(DataError::argument("labels", format!("below {MAXIMUM_CLASSES}"), label)),
        None => Ok(()),
    }
}

/// Checks a picture's index.
pub(crate) fn check_index(index: usize, len: usize) -> Result<()> {
    if index < len {
        return Ok(());
    }
    Err(DataError::argument("index", format!("below the number of pictures ({len})"), index))
}
