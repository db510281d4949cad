//! Binary files of records of one length, in memory or read from disk when asked.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::Path;

use super::archive::for_each_entry;
use crate::error::{DataError, Result};

/// The first bytes of a gzip file.
pub(super) const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Bytes that can be read at any position by any thread.
#[derive(Debug)]
pub(crate) enum Bytes {
    Memory(Vec<u8>),
    /// Those of a file in this range.
    File(File, Range<u64>),
}

impl Bytes {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let io_error = |error| DataError::io(path.display(), error);
        let file = File::open(path).map_err(io_error)?;
        let len = file.metadata().map_err(io_error)?.len();
        Ok(Self::File(file, 0..len))
    }

    /// Those of the file at `path` in a range within it.
    fn open_range(path: &Path, range: Range<u64>) -> Result<Self> {
        let file = File::open(path).map_err(|error| DataError::io(path.display(), error))?;
        Ok(Self::File(file, range))
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, range) => range.end - range.start,
        }
    }

    /// Whether the first bytes are those of a gzip file.
    pub(crate) fn starts_with_gzip(&self) -> bool {
        let mut start = [0; 2];
        self.read_at(0, &mut start).is_ok() && start == GZIP
    }

    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset.saturating_add(buffer.len() as u64) > self.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match self {
            Self::Memory(bytes) => {
                buffer.copy_from_slice(&bytes[offset as usize..][..buffer.len()]);
                Ok(())
            }
            Self::File(file, range) => read_file_at(file, range.start + offset, buffer),
        }
    }

    /// A range of them, which is within them.
    pub(crate) fn range(&self, range: &Range<u64>) -> io::Result<Cow<'_, [u8]>> {
        if let Self::Memory(bytes) = self {
            return Ok(Cow::Borrowed(&bytes[range.start as usize..range.end as usize]));
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.read_at(range.start, &mut bytes)?;
        Ok(Cow::Owned(bytes))
    }

    /// All of it.
    pub(crate) fn read_all(&self, place: &str) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.len() as usize];
        self.read_at(0, &mut bytes).map_err(|error| DataError::io(place, error))?;
        Ok(bytes)
    }
}

#[cfg(unix)]
pub(super) fn read_file_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
pub(super) fn read_file_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += read as u64;
        buffer = &mut buffer[read..];
    }
    Ok(())
}

/// A header, then records of equal length.
#[derive(Debug)]
pub(crate) struct Records {
    place: String,
    bytes: Bytes,
    header_bytes: u64,
    record_bytes: usize,
    count: usize,
}

impl Records {
    /// Takes `bytes` as whole records after a header.
    ///
    /// # Errors
    /// [`DataError::WrongLength`] when there is no record or the last one is cut off; expected is then the length with
    /// the last record whole.
    pub(crate) fn whole(place: &str, bytes: Bytes, record_bytes: usize) -> Result<Self> {
        let actual_bytes = bytes.len();
        let count = actual_bytes.div_ceil(record_bytes as u64).max(1);
        let expected_bytes = count * record_bytes as u64;
        if actual_bytes != expected_bytes {
            return Err(DataError::WrongLength { place: place.to_owned(), expected_bytes, actual_bytes });
        }
        Ok(Self { place: place.to_owned(), bytes, header_bytes: 0, record_bytes, count: count as usize })
    }

    /// Takes `bytes` as a header and `count` records.
    pub(crate) fn counted(
        place: &str,
        bytes: Bytes,
        header_bytes: u64,
        record_bytes: usize,
        count: usize,
    ) -> Result<Self> {
        // A hostile header may name more than 64 bits of bytes.
        let expected = u128::from(header_bytes) + record_bytes as u128 * count as u128;
        let expected_bytes = u64::try_from(expected).unwrap_or(u64::MAX);
        let actual_bytes = bytes.len();
        if actual_bytes != expected_bytes {
            return Err(DataError::WrongLength { place: place.to_owned(), expected_bytes, actual_bytes });
        }
        Ok(Self { place: place.to_owned(), bytes, header_bytes, record_bytes, count })
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Reads the bytes of record `index` from `start` on into `buffer`.
    pub(crate) fn read(&self, index: usize, start: usize, buffer: &mut [u8]) -> Result<()> {
        let offset = self.header_bytes + (index * self.record_bytes + start) as u64;
        self.bytes.read_at(offset, buffer).map_err(|error| DataError::io(&self.place, error))
    }

    /// Byte `start` of every record, read in large pieces.
    pub(crate) fn column(&self, start: usize) -> Result<Vec<u8>> {
        let records_a_piece = ((1 << 22) / self.record_bytes).max(1);
        let mut buffer = vec![0; records_a_piece.min(self.count) * self.record_bytes];
        let mut column = Vec::with_capacity(self.count);
        for first in (0..self.count).step_by(records_a_piece) {
            let records = records_a_piece.min(self.count - first);
            let piece = &mut buffer[..records * self.record_bytes];
            self.read(first, 0, piece)?;
            column.extend(piece.chunks_exact(self.record_bytes).map(|record| record[start]));
        }
        Ok(column)
    }
}

/// Finds the files called `names` in a directory, in a folder just below it, or in an archive (at any depth).
///
/// Files of a directory and of a plain archive are opened, those of a compressed one read into memory. A name that is
/// not found is left out.
pub(crate) fn find_members(path: &Path, names: &[&str]) -> Result<HashMap<String, Bytes>> {
    let metadata = fs::metadata(path).map_err(|error| DataError::io(path.display(), error))?;
    if metadata.is_dir() { find_in_directory(path, names) } else { find_in_archive(path, names) }
}

fn find_in_directory(path: &Path, names: &[&str]) -> Result<HashMap<String, Bytes>> {
    let io_error = |error| DataError::io(path.display(), error);
    let mut folders = vec![path.to_owned()];
    for entry in fs::read_dir(path).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        if entry.path().is_dir() {
            folders.push(entry.path());
        }
    }
    folders[1..].sort();
    let mut found = HashMap::new();
    for name in names {
        if let Some(file) = folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()) {
            found.insert((*name).to_owned(), Bytes::open(&file)?);
        }
    }
    Ok(found)
}

fn find_in_archive(path: &Path, names: &[&str]) -> Result<HashMap<String, Bytes>> {
    let mut found = HashMap::new();
    for_each_entry(path, |entry| {
        let name = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
        if !entry.is_directory && names.contains(&name.as_str()) {
            let bytes = if let Some(position) = entry.position {
                Bytes::open_range(path, position..position + entry.size)?
            } else {
                let mut bytes = Vec::new();
                entry.read_to(&mut bytes)?;
                Bytes::Memory(bytes)
            };
            found.insert(name, bytes);
        }
        Ok(())
    })?;
    Ok(found)
}

/// The member called `name`, or the error that it is missing.
pub(crate) fn take_member(members: &mut HashMap<String, Bytes>, path: &Path, name: &str) -> Result<Bytes> {
    members.remove(name).ok_or_else(|| {
        let error = io::Error::new(io::ErrorKind::NotFound, "no such file there");
        DataError::io(format!("{name} in {}", path.display()), error)
    })
}

/// The lines of a list of class names; none when the file is not there.
pub(crate) fn read_class_names(
    members: &mut HashMap<String, Bytes>,
    name: &str,
) -> Result<Option<Vec<String>>> {
    let Some(bytes) = members.remove(name) else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes.read_all(name)?).into_owned();
    Ok(Some(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()))
}

/// Checks that every label read from `place` is one of `classes` classes.
pub(crate) fn check_class_bytes(place: &str, labels: &[u8], classes: usize) -> Result<()> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        Some(index) => Err(DataError::format(
            place,
            format!("label {} of picture {index}, expected less than {classes}", labels[index]),
        )),
        None => Ok(()),
    }
}
