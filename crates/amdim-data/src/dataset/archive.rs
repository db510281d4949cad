//! Tar archives, plain or gzip, read from start to end once.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use crate::error::{DataError, Result};

/// A file, unpacked on the way when it is gzip; told from its first bytes, not its name.
pub(crate) fn open_maybe_gzip(path: &Path) -> Result<Box<dyn Read>> {
    let io_error = |error| DataError::io(path.display(), error);
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(io_error)?);
    let start = io::BufRead::fill_buf(&mut file).map_err(io_error)?;
    Ok(if start.starts_with(&[0x1F, 0x8B]) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// One entry of an archive: its path with `/` between folders and without a leading `./`.
pub(crate) struct Entry<'a> {
    pub(crate) path: String,
    pub(crate) is_directory: bool,
    /// Bytes the archive says the file has.
    pub(crate) size: u64,
    reader: &'a mut dyn Read,
    place: &'a str,
}

impl Entry<'_> {
    /// Appends the file's bytes to `buffer`.
    pub(crate) fn read_to(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        let place = format!("{} in {}", self.path, self.place);
        let read = self.reader.read_to_end(buffer).map_err(|error| damaged(self.place, &error))?;
        if read as u64 == self.size {
            return Ok(());
        }
        Err(DataError::WrongLength { place, expected_bytes: self.size, actual_bytes: read as u64 })
    }
}

/// Calls `visit` with every file and directory of the archive, in its order.
pub(crate) fn for_each_entry(path: &Path, mut visit: impl FnMut(&mut Entry) -> Result<()>) -> Result<()> {
    let place = path.display().to_string();
    let mut archive = Archive::new(open_maybe_gzip(path)?);
    for entry in archive.entries().map_err(|error| damaged(&place, &error))? {
        let mut entry = entry.map_err(|error| damaged(&place, &error))?;
        let kind = entry.header().entry_type();
        if !matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::Directory) {
            continue;
        }
        let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let size = entry.size();
        let path =
            raw.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/");
        let is_directory = kind == EntryType::Directory;
        visit(&mut Entry { path, is_directory, size, reader: &mut entry, place: &place })?;
    }
    Ok(())
}

fn damaged(place: &str, error: &io::Error) -> DataError {
    // The reader's message may quote bytes of the file, which are no text for a terminal.
    let error = error.to_string().escape_debug().to_string();
    DataError::format(place, format!("cannot be read as a .tar or .tar.gz archive, or is cut off: {error}"))
}
