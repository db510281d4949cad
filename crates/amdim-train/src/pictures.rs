//! Data sets: opened from a description, or made of what a program has in memory.

use std::path::PathBuf;
use std::sync::Arc;

use amdim_data::decode::{ChoosePart, Part};
use amdim_data::{
    ArrayDataset, CachedDataset, Dataset, DatasetSource, FileDataset, Image, Limits, MemoryDataset,
    MemoryPicture, PicturePixels, open as open_source,
};
use serde::Serialize;

use crate::config::from_json;
use crate::{Result, RunError};

/// Bytes of small decoded pictures kept at most: CIFAR's 50,000 take 154 MB.
const CACHE_BYTES: u64 = 256 << 20;

/// An opened data set and what it is in words.
#[derive(Clone)]
pub struct Pictures {
    /// The data set.
    pub dataset: Arc<dyn Dataset>,
    description: String,
}

/// What a data set holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PicturesInfo {
    /// Number of pictures.
    pub length: usize,
    /// Names of the classes in label order; empty without labels.
    pub classes: Vec<String>,
    /// Whether there are labels.
    pub labelled: bool,
    /// Files that are no pictures and were left out.
    pub ignored_files: usize,
    /// One line about what it is.
    pub description: String,
}

/// Pictures that a program has in memory or as paths.
#[derive(Debug, Clone, PartialEq)]
pub enum PicturesInMemory {
    /// Pixels of one size.
    Pixels {
        /// `[count, height, width, channels]`, levels 0..=255
        data: Vec<u8>,
        /// Number of pictures.
        count: usize,
        /// Height in pixels.
        height: u32,
        /// Width in pixels.
        width: u32,
        /// 1 (gray) or 3 (RGB).
        channels: u8,
    },
    /// Bytes of picture files.
    Encoded(Vec<Vec<u8>>),
    /// Paths of picture files, read when needed.
    Paths(Vec<PathBuf>),
}

impl Pictures {
    /// Opens the data set that a description in JSON means.
    ///
    /// # Errors
    /// `AMDIM_INVALID_ARGUMENT` for a bad description, `AMDIM_IO` for a path that can't be read, `AMDIM_DATA` for what
    /// is there but wrong.
    pub fn open(source_json: &str) -> Result<Self> {
        let source: DatasetSource = from_json("data set", source_json)?;
        let dataset = open_source(&source, &Limits::default())?;
        let (description, is_encoded) = describe(&source);
        // Pictures that are stored raw cost no more to read than to keep.
        let dataset = if is_encoded { cached(dataset) } else { dataset };
        Ok(Self { dataset, description })
    }

    /// A data set of pictures in memory; labels are indices into `classes`, -1 for none.
    ///
    /// # Errors
    /// `AMDIM_INVALID_ARGUMENT` for shapes, labels or classes that don't fit.
    pub fn in_memory(
        pictures: PicturesInMemory,
        labels: Option<Vec<i32>>,
        classes: Vec<String>,
    ) -> Result<Self> {
        let limits = Limits::default();
        let (dataset, what): (Arc<dyn Dataset>, _) = match pictures {
            PicturesInMemory::Pixels { data, count, height, width, channels } => {
                let what = format!("{count} pictures of {width}x{height} pixels in memory");
                (Arc::new(ArrayDataset::new(data, count, height, width, channels, None)?), what)
            }
            PicturesInMemory::Encoded(files) => {
                let what = format!("{} encoded pictures in memory", files.len());
                let picture = |(index, bytes): (usize, Vec<u8>)| MemoryPicture {
                    name: index.to_string(),
                    pixels: PicturePixels::Encoded(bytes),
                    label: None,
                };
                let pictures = files.into_iter().enumerate().map(picture).collect();
                (cached(Arc::new(MemoryDataset::new(pictures, limits)?)), what)
            }
            PicturesInMemory::Paths(paths) => {
                let what = format!("{} picture files", paths.len());
                (cached(Arc::new(FileDataset::new(paths, limits)?)), what)
            }
        };
        let dataset = match labels {
            Some(labels) => Arc::new(Labelled::new(dataset, labels, classes)?),
            None => dataset,
        };
        Ok(Self { dataset, description: what })
    }

    /// What the data set holds.
    pub fn info(&self) -> PicturesInfo {
        let classes = self.dataset.classes().to_vec();
        PicturesInfo {
            length: self.dataset.len(),
            labelled: !classes.is_empty(),
            classes,
            ignored_files: self.dataset.ignored_files(),
            description: self.description.clone(),
        }
    }
}

fn cached(dataset: Arc<dyn Dataset>) -> Arc<dyn Dataset> {
    Arc::new(CachedDataset::new(dataset, CACHE_BYTES))
}

/// What files of one kind are in words.
fn several(what: &str, paths: &[PathBuf]) -> String {
    match paths {
        [only] => format!("{what} {}", only.display()),
        [first, ..] => format!("{} {what}s from {} on", paths.len(), first.display()),
        [] => format!("no {what}s"),
    }
}

/// What a source is in words, and whether its pictures are kept once decoded.
fn describe(source: &DatasetSource) -> (String, bool) {
    let text = |what: &str, path: &PathBuf| format!("{what} {}", path.display());
    match source {
        DatasetSource::ImageFolder { path, subfolder: Some(folder), .. } => {
            (format!("{}, folder {folder}", text("image folder", path)), true)
        }
        DatasetSource::ImageFolder { path, .. } => (text("image folder", path), true),
        DatasetSource::Cifar10 { path, .. } => (text("CIFAR-10", path), false),
        DatasetSource::Cifar100 { path, .. } => (text("CIFAR-100", path), false),
        DatasetSource::Stl10 { path, .. } => (text("STL-10", path), false),
        DatasetSource::Idx { images, .. } => (text("IDX", images), false),
        // Streams keep no pictures: their memory does not grow with their length.
        DatasetSource::WebDataset { shards, .. } => (several("tar shard", shards), false),
        DatasetSource::Parquet { files, .. } => (several("Parquet file", files), false),
    }
}

/// A data set with labels of its own.
struct Labelled {
    inner: Arc<dyn Dataset>,
    /// `[pictures]`, -1 for none
    labels: Vec<i32>,
    classes: Vec<String>,
}

impl Labelled {
    fn new(inner: Arc<dyn Dataset>, labels: Vec<i32>, classes: Vec<String>) -> Result<Self> {
        if labels.len() != inner.len() {
            let expected = format!("{} labels, one a picture", inner.len());
            return Err(RunError::argument("labels", expected, labels.len()));
        }
        let count = classes.len() as i64;
        if let Some(label) = labels.iter().find(|&&label| i64::from(label) < -1 || i64::from(label) >= count)
        {
            return Err(RunError::argument("labels", format!("-1 (none) or below {count}"), label));
        }
        Ok(Self { inner, labels, classes })
    }
}

impl Dataset for Labelled {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        u32::try_from(*self.labels.get(index)?).ok()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        self.inner.name(index)
    }

    fn image(&self, index: usize) -> amdim_data::error::Result<Image> {
        self.inner.image(index)
    }

    fn part(&self, index: usize, choose: &mut ChoosePart<'_>) -> amdim_data::error::Result<Part> {
        self.inner.part(index, choose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(count: usize) -> PicturesInMemory {
        PicturesInMemory::Pixels { data: vec![7; count * 4], count, height: 2, width: 2, channels: 1 }
    }

    #[test]
    fn labels_may_be_missing_for_some() {
        let classes = vec!["cat".to_string(), "dog".to_string()];
        let pictures = Pictures::in_memory(pixels(3), Some(vec![1, -1, 0]), classes).unwrap();
        let labels: Vec<_> = (0..4).map(|index| pictures.dataset.label(index)).collect();
        assert_eq!(labels, [Some(1), None, Some(0), None]);
        assert_eq!(pictures.dataset.image(2).unwrap().pixels, [7; 4]);
        let info = pictures.info();
        assert_eq!((info.length, info.labelled, info.classes[1].as_str()), (3, true, "dog"));
    }

    #[test]
    fn labels_must_fit_pictures_and_classes() {
        for labels in [vec![0, 0], vec![0, 1, 0], vec![0, -2, 0]] {
            let error = Pictures::in_memory(pixels(3), Some(labels), vec!["a".into()]).err().unwrap();
            assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT");
        }
        assert!(!Pictures::in_memory(pixels(3), None, vec![]).unwrap().info().labelled);
    }

    #[test]
    fn a_description_with_an_unknown_key_is_an_error() {
        let json = r#"{"kind":"imageFolder","path":"x","subfolder":null,"labels":"auto","lables":"none"}"#;
        assert_eq!(Pictures::open(json).err().unwrap().code(), "AMDIM_INVALID_ARGUMENT");
    }
}
