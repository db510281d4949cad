//! A file read in blocks at any position.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::records::{GZIP, read_file_at};
use crate::error::{DataError, Result};

/// Bytes of a block: eight headers of an archive of small pictures.
const BLOCK: u64 = 4096;

/// A file with one block in memory. Seeking inside the block costs nothing, and large reads go past it.
pub(crate) struct BlockReader {
    file: File,
    len: u64,
    position: u64,
    block: Vec<u8>,
    block_start: u64,
}

impl BlockReader {
    /// Opens the file at `path`, at its start.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let io_error = |error| DataError::io(path.display(), error);
        let file = File::open(path).map_err(io_error)?;
        let metadata = file.metadata().map_err(io_error)?;
        if metadata.is_dir() {
            return Err(io_error(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self { file, len: metadata.len(), position: 0, block: vec![], block_start: 0 })
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether the first bytes are those of a gzip file; goes to the start.
    pub(crate) fn starts_with_gzip(&mut self) -> bool {
        let mut start = [0; 2];
        self.go_to(0);
        let is_gzip = self.read_exact(&mut start).is_ok() && start == GZIP;
        self.go_to(0);
        is_gzip
    }

    /// Goes to a position.
    pub(crate) fn go_to(&mut self, position: u64) {
        self.position = position;
    }
}

impl Read for BlockReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.position);
        let within = self.position.wrapping_sub(self.block_start);
        if within >= self.block.len() as u64 {
            if buffer.len() as u64 >= BLOCK || left == 0 {
                let count = left.min(buffer.len() as u64) as usize;
                read_file_at(&self.file, self.position, &mut buffer[..count])?;
                self.position += count as u64;
                return Ok(count);
            }
            let mut block = std::mem::take(&mut self.block);
            block.resize(left.min(BLOCK) as usize, 0);
            read_file_at(&self.file, self.position, &mut block)?;
            (self.block, self.block_start) = (block, self.position);
        }
        let start = (self.position - self.block_start) as usize;
        let count = buffer.len().min(self.block.len() - start);
        buffer[..count].copy_from_slice(&self.block[start..start + count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for BlockReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_file_wherever_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..20_000_u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mut reader = BlockReader::open(&path).unwrap();
        assert_eq!(reader.len(), 20_000);
        for (position, count) in [(0, 10), (5, 3), (4090, 20), (100, 9000), (19_990, 10), (3, 1)] {
            reader.seek(SeekFrom::Start(position)).unwrap();
            let mut read = vec![0; count];
            reader.read_exact(&mut read).unwrap();
            assert_eq!(read, bytes[position as usize..][..count], "{count} at {position}");
        }
        for position in [19_999, 20_000, 30_000, u64::MAX] {
            reader.go_to(position);
            assert!(reader.read_exact(&mut [0; 2]).is_err());
        }
        assert_eq!(BlockReader::open(folder.path()).err().unwrap().code(), "AMDIM_IO");
    }
}
