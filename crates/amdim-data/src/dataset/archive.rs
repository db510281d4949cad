//! Tar archives, plain or gzip, gone through from start to end once.

use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entries, EntryType};

use super::block_reader::BlockReader;
use crate::error::{DataError, Result};

/// Bytes of a header; files begin at multiples.
const BLOCK: u64 = 512;

/// One entry of an archive: its path with `/` between folders and without a leading `./`.
pub(crate) struct Entry<'a> {
    pub(crate) path: String,
    pub(crate) is_directory: bool,
    /// Bytes the archive says the file has.
    pub(crate) size: u64,
    /// Where the file's bytes lie in the archive, all of them there; none in a compressed one.
    pub(crate) position: Option<u64>,
    reader: &'a mut dyn Read,
    place: &'a str,
}

impl Entry<'_> {
    /// Appends the file's bytes to `buffer`.
    pub(crate) fn read_to(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        let read = self.reader.read_to_end(buffer).map_err(|error| damaged(self.place, &error))?;
        if read as u64 == self.size {
            return Ok(());
        }
        Err(self.cut_off(read as u64))
    }

    fn cut_off(&self, actual_bytes: u64) -> DataError {
        let place = format!("{} in {}", self.path, self.place);
        DataError::WrongLength { place, expected_bytes: self.size, actual_bytes }
    }
}

/// Calls `visit` with every file and directory of the archive, in its order. What it does not read of a plain archive
/// is passed over.
pub(crate) fn for_each_entry(path: &Path, mut visit: impl FnMut(&mut Entry) -> Result<()>) -> Result<()> {
    let place = path.display().to_string();
    let mut reader = BlockReader::open(path)?;
    if reader.starts_with_gzip() {
        let mut archive = Archive::new(MultiGzDecoder::new(reader));
        return go_through(archive.entries(), &place, None, &mut visit).map(drop);
    }
    let len = reader.len();
    let mut archive = Archive::new(reader);
    let end = go_through(archive.entries_with_seek(), &place, Some(len), &mut visit)?;
    check_end(&mut archive.into_inner(), end, &place)
}

/// Returns where the last entry of a plain archive ends.
fn go_through<R: Read>(
    entries: io::Result<Entries<'_, R>>,
    place: &str,
    file_bytes: Option<u64>,
    visit: &mut dyn FnMut(&mut Entry) -> Result<()>,
) -> Result<u64> {
    let mut end = 0;
    for entry in entries.map_err(|error| damaged(place, &error))? {
        let mut entry = entry.map_err(|error| damaged(place, &error))?;
        let (kind, size, extent) = (entry.header().entry_type(), entry.size(), Extent::of(&entry));
        let path = path_of(&entry);
        let is_directory = kind == EntryType::Directory;
        let position = file_bytes.map(|_| extent.data.start);
        let mut entry = Entry { path, is_directory, size, position, reader: &mut entry, place };
        // Passing over the bytes of a plain archive does not tell whether they are there.
        if let Some(file_bytes) = file_bytes.filter(|&bytes| extent.data.end > bytes) {
            return Err(entry.cut_off(file_bytes.saturating_sub(extent.data.start)));
        }
        end = extent.end;
        if matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::Directory) {
            visit(&mut entry)?;
        }
    }
    Ok(end)
}

/// Where an entry lies in a plain archive.
pub(crate) struct Extent {
    /// The file's bytes.
    pub(crate) data: Range<u64>,
    /// Where the next entry begins.
    pub(crate) end: u64,
}

impl Extent {
    pub(crate) fn of<R: Read>(entry: &tar::Entry<'_, R>) -> Self {
        let start = entry.raw_file_position();
        // A damaged header may name more than 64 bits of bytes.
        let data = start..start.saturating_add(entry.size());
        Self { end: data.end.div_ceil(BLOCK).saturating_mul(BLOCK), data }
    }
}

/// An entry's path with `/` between folders and without a leading `./`.
pub(crate) fn path_of<R: Read>(entry: &tar::Entry<'_, R>) -> String {
    let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    raw.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

/// The end of an archive is a block of zeros, expected at byte `end`; without one, files may be missing.
pub(crate) fn check_end(reader: &mut BlockReader, end: u64, place: &str) -> Result<()> {
    let mut block = [0; BLOCK as usize];
    reader.go_to(end);
    match reader.read_exact(&mut block) {
        Ok(()) if block.iter().all(|&byte| byte == 0) => Ok(()),
        _ => Err(DataError::format(
            place,
            format!(
                "is cut off: expected the mark of the end at byte {end}, the file has {} bytes; fetch it again",
                reader.len()
            ),
        )),
    }
}

fn damaged(place: &str, error: &io::Error) -> DataError {
    // The reader's message may quote bytes of the file, which are no text for a terminal.
    let error = error.to_string().escape_debug().to_string();
    DataError::format(place, format!("cannot be read as a .tar or .tar.gz archive, or is cut off: {error}"))
}
