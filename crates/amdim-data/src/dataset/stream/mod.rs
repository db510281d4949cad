//! Data sets stored in pieces that are read from start to end: tar shards and Parquet files.
//!
//! What is held is a few bytes a picture (where it begins, its label); pictures are read when they are needed. For
//! training they are read in the order in which they are stored and shuffled in a bounded buffer (`window.rs`); for
//! everything else one by one, which costs little as long as they are asked for in order.

mod labels;
mod order;
mod parquet_columns;
mod parquet_files;
mod tar_shards;
mod window;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

pub(crate) use parquet_files::ParquetOptions;
pub(crate) use window::Window;

use super::source::ShardLabels;
use super::{Dataset, check_index};
use crate::decode::{ChoosePart, Limits, Part, Wanted, decode_part};
use crate::error::{DataError, Result};
use crate::image::Image;
use crate::loader::lock;
use labels::Labels;
use parquet_files::ParquetFiles;
use tar_shards::TarShards;

/// Readers that wait for the next picture of their piece; each holds an open file, and a page of a Parquet file.
const MOST_READERS: usize = 8;

/// Pictures in pieces.
trait Pieces: Send + Sync {
    /// A reader that stands at the start of a piece.
    fn open(self: Arc<Self>, piece: usize) -> Result<Box<dyn PieceReader>>;

    /// What a picture is called.
    fn name(&self, piece: usize, within: u32) -> String;
}

/// Reads the pictures of a piece, forward.
trait PieceReader: Send {
    /// The first picture that can still be read.
    fn next(&self) -> u32;

    /// The bytes of picture `within`, at least [`PieceReader::next`].
    fn read(&mut self, within: u32, limits: &Limits) -> Result<Vec<u8>>;
}

/// A data set in pieces.
pub struct StreamDataset {
    stream: Arc<Stream>,
    labels: Labels,
    ignored: usize,
}

/// The pictures of a [`StreamDataset`].
pub struct Stream {
    pieces: Arc<dyn Pieces>,
    /// Pictures in each piece.
    counts: Vec<u32>,
    /// The first picture of each piece, and their number.
    starts: Vec<u32>,
    readers: Mutex<Vec<(usize, Box<dyn PieceReader>)>>,
    limits: Limits,
}

impl StreamDataset {
    /// Reads the headers of tar shards; `class_names` names the classes of numbered labels.
    pub(crate) fn open_tar(
        shards: &[PathBuf],
        labels: ShardLabels,
        class_names: Option<&[String]>,
        limits: &Limits,
    ) -> Result<Self> {
        let scanned = TarShards::scan(shards, labels)?;
        let labels = scanned.labels.finish(class_names, labels::Missing::IsAnError)?;
        Self::new(Arc::new(scanned.shards), scanned.counts, labels, scanned.ignored, limits)
    }

    /// Reads the metadata and labels of Parquet files.
    pub(crate) fn open_parquet(files: &[PathBuf], options: &ParquetOptions, limits: &Limits) -> Result<Self> {
        let scanned = ParquetFiles::scan(files, options)?;
        let labels = scanned.labels.finish(scanned.class_names.as_deref(), labels::Missing::HasNone)?;
        Self::new(Arc::new(scanned.files), scanned.counts, labels, 0, limits)
    }

    fn new(
        pieces: Arc<dyn Pieces>,
        counts: Vec<u32>,
        labels: Labels,
        ignored: usize,
        limits: &Limits,
    ) -> Result<Self> {
        let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        if total > u64::from(u32::MAX) {
            return Err(DataError::argument("data set", "at most 4294967295 pictures", total));
        }
        let starts = order::starts(&counts);
        let readers = Mutex::new(Vec::with_capacity(MOST_READERS));
        let stream = Arc::new(Stream { pieces, counts, starts, readers, limits: *limits });
        Ok(Self { stream, labels, ignored })
    }
}

impl Stream {
    fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or_default() as usize
    }

    /// The order in which an epoch visits the pictures; see [`order::stream_order`].
    pub(crate) fn order(&self, buffer: usize, seed: u64, epoch: u64) -> Vec<u32> {
        order::stream_order(&self.counts, buffer, seed, epoch)
    }

    /// The piece of a picture, and its place there.
    fn locate(&self, index: u32) -> (usize, u32) {
        // The last piece that starts at or before it: pieces without pictures start where the next one does.
        let piece = self.starts.partition_point(|&start| start <= index) - 1;
        (piece, index - self.starts[piece])
    }

    fn name(&self, index: u32) -> String {
        let (piece, within) = self.locate(index);
        self.pieces.name(piece, within)
    }

    /// Reads one picture, by a reader that waits before it or by a new one.
    fn read(&self, index: u32) -> Result<Vec<u8>> {
        let (piece, within) = self.locate(index);
        let mut reader = match self.waiting_reader(piece, within) {
            Some(reader) => reader,
            None => Arc::clone(&self.pieces).open(piece)?,
        };
        let bytes = reader.read(within, &self.limits)?;
        let mut readers = lock(&self.readers);
        if readers.len() == MOST_READERS {
            readers.remove(0);
        }
        readers.push((piece, reader));
        Ok(bytes)
    }

    /// The reader of the piece that has the least to pass over.
    fn waiting_reader(&self, piece: usize, within: u32) -> Option<Box<dyn PieceReader>> {
        let mut readers = lock(&self.readers);
        let best = (0..readers.len())
            .filter(|&at| readers[at].0 == piece && readers[at].1.next() <= within)
            .max_by_key(|&at| readers[at].1.next())?;
        Some(readers.remove(best).1)
    }

    /// Decodes what `choose` wants of a picture's bytes.
    pub(crate) fn decode(&self, bytes: &[u8], choose: &mut ChoosePart<'_>) -> Result<Part> {
        decode_part(bytes, &self.limits, choose)
    }
}

impl Dataset for StreamDataset {
    fn len(&self) -> usize {
        self.stream.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index)
    }

    fn classes(&self) -> &[String] {
        self.labels.classes()
    }

    fn name(&self, index: usize) -> String {
        match u32::try_from(index) {
            Ok(index) if (index as usize) < self.len() => self.stream.name(index),
            _ => index.to_string(),
        }
    }

    fn image(&self, index: usize) -> Result<Image> {
        self.part(index, &mut Wanted::all).map(|part| part.image)
    }

    fn part(&self, index: usize, choose: &mut ChoosePart<'_>) -> Result<Part> {
        check_index(index, self.len())?;
        self.stream
            .read(index as u32)
            .and_then(|bytes| self.stream.decode(&bytes, choose))
            .map_err(|error| error.with_picture(&self.name(index)))
    }

    fn ignored_files(&self) -> usize {
        self.ignored
    }

    fn stream(&self) -> Option<Arc<Stream>> {
        Some(Arc::clone(&self.stream))
    }
}
