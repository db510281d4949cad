//! Tar shards as `WebDataset` has them (Aizman, Maltby, Breuel 2019, "High Performance I/O For Large Scale Deep
//! Learning"): files whose names are the same up to the first dot of their last part make one sample.
//!
//! A sample's picture is its `.jpg`, `.jpeg`, `.png`, `.gif`, `.bmp` or `.webp` file, its label the `.cls` file (a
//! number or a name), else `label` or `cls` of the `.json` file, else the `.txt` file where it is a number. Opening
//! reads the headers and the labels; of each picture it keeps where its entry begins.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tar::{Archive, Entry, EntryType};

use super::labels::{LabelGatherer, StoredLabel};
use super::{PieceReader, Pieces, ShardLabels};
use crate::dataset::archive::{Extent, check_end, path_of};
use crate::dataset::block_reader::BlockReader;
use crate::dataset::image_folder::{is_hidden, is_picture_name};
use crate::decode::Limits;
use crate::error::{DataError, Result};

/// Most bytes of a file that holds a label.
const MOST_LABEL_BYTES: u64 = 1 << 20;

/// Shards of which the headers have been read.
#[derive(Debug, Default)]
pub(super) struct TarShards {
    shards: Vec<Shard>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    /// Where the entry of each picture begins, long names included.
    entries: Vec<u64>,
}

/// What reading the headers found.
#[derive(Default)]
pub(super) struct ScannedTar {
    pub(super) shards: TarShards,
    /// Pictures in each shard.
    pub(super) counts: Vec<u32>,
    pub(super) labels: LabelGatherer,
    /// Files that are neither pictures nor labels, and labels without a picture.
    pub(super) ignored: usize,
}

impl TarShards {
    /// Reads the headers of all shards.
    pub(super) fn scan(paths: &[PathBuf], labels: ShardLabels) -> Result<ScannedTar> {
        if paths.is_empty() {
            return Err(DataError::argument("shards", "at least one", 0));
        }
        let mut scanned = ScannedTar::default();
        for path in paths {
            let shard = Scan::new(path, labels, &mut scanned).run()?;
            scanned.counts.push(shard.entries.len() as u32);
            scanned.shards.shards.push(shard);
        }
        if scanned.counts.iter().all(|&count| count == 0) {
            let place = paths.first().map_or_else(String::new, |path| path.display().to_string());
            let place =
                if paths.len() > 1 { format!("{} shards from {place} on", paths.len()) } else { place };
            return Err(DataError::NoPictures { place, ignored: scanned.ignored });
        }
        Ok(scanned)
    }
}

/// Files of one sample, as far as they have been met.
#[derive(Default)]
struct Sample {
    key: String,
    picture: Option<(String, u64)>,
    /// The label and how far down the list of files that may hold it stands.
    label: Option<(StoredLabel, u8)>,
    other_files: usize,
}

/// Reads the headers of one shard.
struct Scan<'a> {
    place: String,
    path: PathBuf,
    labels: ShardLabels,
    found: &'a mut ScannedTar,
    entries: Vec<u64>,
}

impl<'a> Scan<'a> {
    fn new(path: &Path, labels: ShardLabels, found: &'a mut ScannedTar) -> Self {
        Self { place: path.display().to_string(), path: path.to_owned(), labels, found, entries: vec![] }
    }

    fn run(mut self) -> Result<Shard> {
        let mut reader = BlockReader::open(&self.path)?;
        if reader.starts_with_gzip() {
            return Err(DataError::format(
                self.place,
                "is compressed; shards are read in place: unpack it to .tar",
            ));
        }
        let len = reader.len();
        let mut archive = Archive::new(reader);
        let mut sample = Sample::default();
        let mut end = 0;
        for entry in archive.entries_with_seek().map_err(|error| self.damaged(0, &error))? {
            let mut entry = entry.map_err(|error| self.damaged(end, &error))?;
            let (begin, extent) = (end, Extent::of(&entry));
            end = extent.end;
            if extent.data.end > len {
                return Err(self.cut_off(begin, extent.data.end, len));
            }
            if matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
                self.visit(&mut entry, begin, &mut sample)?;
            }
        }
        self.close(sample)?;
        check_end(&mut archive.into_inner(), end, &self.place)?;
        Ok(Shard { path: self.path, entries: self.entries })
    }

    fn visit(&mut self, entry: &mut Entry<'_, BlockReader>, begin: u64, sample: &mut Sample) -> Result<()> {
        let path = path_of(entry);
        let name = path.rsplit('/').next().unwrap_or_default();
        if path.split('/').any(is_hidden) {
            return Ok(());
        }
        let folder = &path[..path.len() - name.len()];
        let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
        let key = format!("{folder}{stem}");
        if key != sample.key {
            let closed = std::mem::replace(sample, Sample { key, ..Sample::default() });
            self.close(closed)?;
        }
        if is_picture_name(name) {
            if let Some((first, _)) = &sample.picture {
                let problem = format!(
                    "{first} and {path} at byte {begin} are two pictures of one sample (names up to the first dot); \
                     give each sample one"
                );
                return Err(DataError::format(&self.place, problem));
            }
            sample.picture = Some((path, begin));
            return Ok(());
        }
        let rank = match extension.rsplit('.').next().unwrap_or_default() {
            "cls" => 0,
            "json" => 1,
            "txt" => 2,
            _ => {
                sample.other_files += 1;
                return Ok(());
            }
        };
        if self.labels == ShardLabels::Auto && sample.label.as_ref().is_none_or(|(_, other)| rank < *other) {
            let text = self.text(entry, &path, begin)?;
            if rank == 0 && text.is_empty() {
                return Err(DataError::format(
                    format!("{path} in {}", self.place),
                    "is empty, expected a label",
                ));
            }
            let label = match rank {
                0 => Some(label_of_text(&text)),
                1 => self.label_of_json(&text, &path)?,
                _ => text.parse().ok().map(StoredLabel::Number),
            };
            if let Some(label) = label {
                sample.label = Some((label, rank));
            }
        }
        Ok(())
    }

    /// Ends a sample, of which no file may follow.
    fn close(&mut self, sample: Sample) -> Result<()> {
        self.found.ignored += sample.other_files;
        let Some((path, begin)) = sample.picture else {
            self.found.ignored += usize::from(sample.label.is_some());
            return Ok(());
        };
        if self.entries.len() == u32::MAX as usize {
            return Err(DataError::format(&self.place, "more than 4294967295 pictures"));
        }
        self.entries.push(begin);
        let place = &self.place;
        self.found.labels.push(sample.label.map(|(label, _)| label), || format!("{path} in {place}"))
    }

    fn text(&self, entry: &mut Entry<'_, BlockReader>, path: &str, begin: u64) -> Result<String> {
        if entry.size() > MOST_LABEL_BYTES {
            let (unit, limit, actual) = ("bytes", MOST_LABEL_BYTES, entry.size());
            return Err(DataError::Limit { place: format!("{path} in {}", self.place), unit, limit, actual });
        }
        let mut bytes = Vec::with_capacity(entry.size() as usize);
        entry.read_to_end(&mut bytes).map_err(|error| self.damaged(begin, &error))?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    fn label_of_json(&self, text: &str, path: &str) -> Result<Option<StoredLabel>> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            DataError::format(format!("{path} in {}", self.place), format!("is no JSON: {error}"))
        })?;
        let label = match &value {
            Value::Object(fields) => fields.get("label").or_else(|| fields.get("cls")),
            other => Some(other),
        };
        Ok(match label {
            Some(Value::Number(number)) => {
                number.as_u64().and_then(|label| u32::try_from(label).ok()).map(StoredLabel::Number)
            }
            Some(Value::String(name)) => Some(StoredLabel::Name(name.clone())),
            _ => None,
        })
    }

    fn cut_off(&self, begin: u64, expected: u64, len: u64) -> DataError {
        let problem = format!(
            "is cut off: the entry at byte {begin} ends at byte {expected}, the file has {len} bytes; fetch it again"
        );
        DataError::format(&self.place, problem)
    }

    fn damaged(&self, begin: u64, error: &io::Error) -> DataError {
        damaged(&self.place, begin, error)
    }
}

fn damaged(place: &str, begin: u64, error: &io::Error) -> DataError {
    DataError::format(place, format!("cannot be read as a .tar archive at byte {begin}: {error}"))
}

/// A number where it is one, else a name.
fn label_of_text(text: &str) -> StoredLabel {
    text.parse().map_or_else(|_| StoredLabel::Name(text.to_owned()), StoredLabel::Number)
}

impl Pieces for TarShards {
    fn open(self: Arc<Self>, piece: usize) -> Result<Box<dyn PieceReader>> {
        let reader = BlockReader::open(&self.shards[piece].path)?;
        Ok(Box::new(TarReader { reader: Some(reader), shards: self, piece }))
    }

    fn name(&self, piece: usize, within: u32) -> String {
        let shard = &self.shards[piece];
        let file = shard.path.file_name().unwrap_or_default().to_string_lossy();
        // Names are not kept: they would be most of what is held of a picture.
        let path = BlockReader::open(&shard.path).ok().and_then(|mut reader| {
            reader.go_to(shard.entries[within as usize]);
            let mut archive = Archive::new(reader);
            let entry = archive.entries().ok()?.next()?.ok()?;
            Some(path_of(&entry))
        });
        path.map_or_else(|| format!("{file}[{within}]"), |path| format!("{file}/{path}"))
    }
}

struct TarReader {
    reader: Option<BlockReader>,
    shards: Arc<TarShards>,
    piece: usize,
}

impl PieceReader for TarReader {
    /// Every entry's place is known, so none is out of reach.
    fn next(&self) -> u32 {
        0
    }

    fn read(&mut self, within: u32, limits: &Limits) -> Result<Vec<u8>> {
        let Shard { path, entries } = &self.shards.shards[self.piece];
        let begin = entries[within as usize];
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => BlockReader::open(path)?,
        };
        reader.go_to(begin);
        let failed = |error| DataError::io(format!("{} at byte {begin}", path.display()), error);
        let mut archive = Archive::new(reader);
        let mut entries = archive.entries().map_err(failed)?;
        let mut entry =
            entries.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into())).map_err(failed)?;
        limits.check_bytes(entry.size())?;
        let mut bytes = Vec::with_capacity(entry.size() as usize);
        entry.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 != entry.size() {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        drop(entry);
        self.reader = Some(archive.into_inner());
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
