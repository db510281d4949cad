//! Files of weights: safetensors with a JSON header. The only disk access of this crate.
//!
//! A *model* file holds weights and configuration; a *checkpoint* holds the optimiser's state and the position too, so
//! that a run goes on as if it had never stopped. Both are written aside, flushed and renamed: a reader finds the old
//! file or the new one, never a half.

mod container;
mod stored;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::container::{Container, ReadError};
use crate::model::ModelConfig;
use crate::{Error, Result};

pub use stored::Stored;

/// Version of the layout of header and tensors.
pub const FORMAT_VERSION: u32 = 1;

/// Key of the header in the metadata of safetensors.
const HEADER_KEY: &str = "amdim";

/// What a file says of itself beside its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// What the model's shape depends on.
    pub model: ModelConfig,
    /// Names of the classes, in label order.
    pub classes: Vec<String>,
    /// How far training went.
    pub progress: Progress,
    /// Updates of the optimiser for each group of parameters; empty in a model file.
    pub optimizer_steps: BTreeMap<String, u64>,
    /// The run as its owner resolved it (configuration, versions); kept whole, not read here.
    pub run: serde_json::Value,
}

/// Position of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Updates done.
    pub update: u64,
    /// Epoch of the next batch, from 0.
    pub epoch: u64,
    /// Batches of that epoch already used.
    pub batch: u64,
    /// Pairs of views seen.
    pub pairs: u64,
    /// Seconds of training.
    pub seconds: f64,
}

/// Header and tensors of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The header.
    pub header: Header,
    /// Tensors by name: the reference's names, and `optimizer.GROUP.mean|square`.
    pub tensors: BTreeMap<String, Stored>,
}

impl Checkpoint {
    /// Writes the file aside and renames it.
    ///
    /// # Errors
    /// [`Error::Io`]; an older file of this name is left as it was.
    pub fn write(&self, path: &Path) -> Result<()> {
        let header =
            serde_json::to_string(&self.header).map_err(|error| Error::internal(error.to_string()))?;
        let metadata = HashMap::from([("format".into(), "amdim".into()), (HEADER_KEY.into(), header)]);
        write_aside_with(path, |file| container::write(file, metadata, &self.tensors))
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it can't be read; [`Error::Checkpoint`] if it is truncated, no safetensors, or not ours.
    pub fn read(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { path: path.into(), source };
        let broken = |message: String| Error::Checkpoint { path: path.into(), message };
        let unread = |error| match error {
            ReadError::Io(source) => io(source),
            ReadError::Broken(message) => broken(message),
        };
        let container = Container::open(File::open(path).map_err(io)?).map_err(unread)?;
        let text = container.text(HEADER_KEY).ok_or_else(|| {
            broken("a safetensors file, but not one of amdim's (its metadata has no `amdim` entry)".into())
        })?;
        let header: Header = serde_json::from_str(text).map_err(|error| {
            broken(format!("its header can't be read ({error}); written by another version?"))
        })?;
        if header.format_version != FORMAT_VERSION {
            let message =
                format!("format version {FORMAT_VERSION} expected, {} found", header.format_version);
            return Err(broken(message));
        }
        Ok(Self { header, tensors: container.tensors().map_err(unread)? })
    }
}

/// Writes `bytes` to a new file beside `path`, flushes it to the disk and renames it to `path`.
///
/// # Errors
/// [`Error::Io`] (full disk, no permission, missing folder); nothing is left behind and `path` is as it was.
pub fn write_aside(path: &Path, bytes: &[u8]) -> Result<()> {
    write_aside_with(path, |file| file.write_all(bytes))
}

/// As [`write_aside`] for what is too large to be made in memory first: `fill` writes the file.
///
/// # Errors
/// [`Error::Io`]; nothing is left behind and `path` is as it was.
pub fn write_aside_with(path: &Path, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let aside: PathBuf = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&aside)?;
        fill(&mut file)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(|source| {
        // The first error is the one to report; a leftover that can't be removed changes nothing about it.
        let _ = fs::remove_file(&aside);
        Error::Io { path: path.into(), source }
    })
}
