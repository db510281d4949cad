//! A data set as data, and how to open one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Dataset;
use super::cifar::{self, CifarDataset};
use super::idx::IdxDataset;
use super::image_folder::ImageFolder;
use super::stl10::Stl10Dataset;
use super::stream::{ParquetOptions, StreamDataset};
use crate::decode::Limits;
use crate::error::Result;

/// Where a data set is and how to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum DatasetSource {
    /// A directory of pictures, or a `.tar` or `.tar.gz` of one (see [`image_folder`](super::image_folder)).
    ImageFolder {
        /// The directory or archive.
        path: PathBuf,
        /// The folder inside it to read, such as `train`.
        subfolder: Option<String>,
        /// Whether class folders give labels.
        labels: FolderLabels,
    },
    /// CIFAR-10, official binary version (see [`cifar`]).
    Cifar10 {
        /// The directory of `.bin` files or the official `.tar.gz`.
        path: PathBuf,
        /// Which pictures.
        split: Split,
    },
    /// CIFAR-100, official binary version (see [`cifar`]).
    Cifar100 {
        /// The directory of `.bin` files or the official `.tar.gz`.
        path: PathBuf,
        /// Which pictures.
        split: Split,
        /// Which of the two labels.
        labels: Cifar100Labels,
    },
    /// STL-10, official binary version (see [`stl10`](super::stl10)).
    Stl10 {
        /// The directory of `.bin` files or the official `.tar.gz`.
        path: PathBuf,
        /// Which pictures.
        split: Stl10Split,
    },
    /// IDX files as of MNIST (see [`idx`](super::idx)).
    Idx {
        /// The file of pictures, plain or `.gz`.
        images: PathBuf,
        /// The file of labels, plain or `.gz`.
        labels: Option<PathBuf>,
    },
    /// Tar shards as of `WebDataset` (see [`stream`](super::stream)).
    WebDataset {
        /// The shards, uncompressed, in their order.
        shards: Vec<PathBuf>,
        /// Whether labels are read.
        labels: ShardLabels,
        /// The names of the classes in the order of their numbers; none: the labels themselves.
        classes: Option<Vec<String>>,
    },
    /// Parquet files with a column of pictures (see [`stream`](super::stream)).
    Parquet {
        /// The files, in their order.
        files: Vec<PathBuf>,
        /// The column of pictures; none: found.
        image_column: Option<String>,
        /// The column of labels; none: found.
        label_column: Option<String>,
        /// Whether labels are read.
        labels: ShardLabels,
    },
}

/// Whether the labels of shards are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ShardLabels {
    /// Where there are any.
    Auto,
    /// No labels.
    None,
}

/// Whether the folders of an image folder are classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FolderLabels {
    /// Each folder at the top is a class; a picture outside one is an error.
    Folders,
    /// No labels; pictures at any depth.
    None,
    /// Class folders when there are folders with pictures, no labels when all pictures lie at the top.
    Auto,
}

/// Training or test pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Split {
    /// The pictures to train on.
    Train,
    /// The pictures to test on.
    Test,
}

/// The labels of CIFAR-100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cifar100Labels {
    /// 100 classes.
    Fine,
    /// 20 superclasses.
    Coarse,
}

/// The parts of STL-10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stl10Split {
    /// 5,000 labelled pictures.
    Train,
    /// 8,000 labelled pictures.
    Test,
    /// 100,000 pictures without labels.
    Unlabeled,
    /// Both for training, labelled first, as the reference trains on.
    #[serde(rename = "train+unlabeled")]
    TrainUnlabeled,
}

/// Opens the data set that `source` describes.
///
/// Directories are listed, and headers and labels read; pictures are read when asked for. Compressed archives
/// are read into memory once: the encoded pictures of an image folder, the raw ones of the binary formats.
///
/// # Errors
/// [`DataError::Io`](crate::DataError::Io) for a path that is missing or may not be read; the data errors of the
/// format for what is there but wrong.
pub fn open(source: &DatasetSource, limits: &Limits) -> Result<Arc<dyn Dataset>> {
    Ok(match source {
        DatasetSource::ImageFolder { path, subfolder, labels } => {
            Arc::new(ImageFolder::open(path, subfolder.as_deref(), *labels, limits)?)
        }
        DatasetSource::Cifar10 { path, split } => {
            Arc::new(CifarDataset::open(path, &cifar::cifar10(*split))?)
        }
        DatasetSource::Cifar100 { path, split, labels } => {
            Arc::new(CifarDataset::open(path, &cifar::cifar100(*split, *labels))?)
        }
        DatasetSource::Stl10 { path, split } => Arc::new(Stl10Dataset::open(path, *split)?),
        DatasetSource::Idx { images, labels } => {
            Arc::new(IdxDataset::open(images, labels.as_deref().map(Path::new))?)
        }
        DatasetSource::WebDataset { shards, labels, classes } => {
            Arc::new(StreamDataset::open_tar(shards, *labels, classes.as_deref(), limits)?)
        }
        DatasetSource::Parquet { files, image_column, label_column, labels } => {
            let options = ParquetOptions {
                image_column: image_column.as_deref(),
                label_column: label_column.as_deref(),
                has_labels: *labels == ShardLabels::Auto,
            };
            Arc::new(StreamDataset::open_parquet(files, &options, limits)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_from_json() {
        let json = r#"{"kind":"stl10","path":"x","split":"train+unlabeled"}"#;
        let source: DatasetSource = serde_json::from_str(json).unwrap();
        assert_eq!(source, DatasetSource::Stl10 { path: "x".into(), split: Stl10Split::TrainUnlabeled });
        let json = r#"{"kind":"imageFolder","path":"x","subfolder":"train","labels":"auto"}"#;
        let source: DatasetSource = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&source).unwrap(), json);
        for wrong in [
            r#"{"kind":"cifar10","path":"x","split":"train","lables":"fine"}"#,
            r#"{"kind":"cifar11","path":"x","split":"train"}"#,
            r#"{"kind":"cifar10","path":"x","split":"valid"}"#,
            r#"{"kind":"cifar10","split":"train"}"#,
        ] {
            assert!(serde_json::from_str::<DatasetSource>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_missing_path_is_an_io_error() {
        let path = PathBuf::from("does/not/exist");
        let limits = Limits::default();
        for source in [
            DatasetSource::ImageFolder { path: path.clone(), subfolder: None, labels: FolderLabels::Auto },
            DatasetSource::Cifar10 { path: path.clone(), split: Split::Train },
            DatasetSource::Cifar100 { path: path.clone(), split: Split::Test, labels: Cifar100Labels::Fine },
            DatasetSource::Stl10 { path: path.clone(), split: Stl10Split::Test },
            DatasetSource::WebDataset {
                shards: vec![path.clone()],
                labels: ShardLabels::Auto,
                classes: None,
            },
            DatasetSource::Parquet {
                files: vec![path.clone()],
                image_column: None,
                label_column: None,
                labels: ShardLabels::Auto,
            },
            DatasetSource::Idx { images: path, labels: None },
        ] {
            let error = open(&source, &limits).err().unwrap();
            assert_eq!(error.code(), "AMDIM_IO", "{source:?}: {error}");
            assert!(error.to_string().contains("does/not/exist"), "{error}");
        }
    }
}
