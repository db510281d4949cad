//! The container of a file, safetensors, read and written tensor by tensor: the whole file is never held as bytes, which
//! would be a second copy of all weights.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};

use safetensors::tensor::{Metadata, TensorInfo};

use super::Stored;

/// Bytes of the header's length, before it.
const LENGTH: u64 = 8;
/// Bytes that are read or written at once.
const PIECE: usize = 1 << 20;

/// Why a file could not be read.
pub(super) enum ReadError {
    /// The disk.
    Io(io::Error),
    /// What is wrong with the file.
    Broken(String),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::UnexpectedEof { incomplete(error) } else { Self::Io(error) }
    }
}

fn incomplete(problem: impl Display) -> ReadError {
    ReadError::Broken(format!("not a whole safetensors file ({problem}); it may be truncated"))
}

/// Writes what `safetensors::serialize` would return.
pub(super) fn write(
    out: &mut impl Write,
    metadata: HashMap<String, String>,
    tensors: &BTreeMap<String, Stored>,
) -> io::Result<()> {
    // Wider types first, so that all values are aligned; those of a type by name, as the map has them.
    let mut named: Vec<_> = tensors.iter().collect();
    named.sort_by_key(|(_, tensor)| Reverse(tensor.dtype()));
    let mut end = 0;
    let place = |&(name, tensor): &(&String, &Stored)| {
        let start = end;
        end += tensor.byte_len();
        let info =
            TensorInfo { dtype: tensor.dtype(), shape: tensor.shape().to_vec(), data_offsets: (start, end) };
        (name.clone(), info)
    };
    let infos = named.iter().map(place).collect();
    let mut header = serde_json::to_vec(&Metadata::new(Some(metadata), infos).map_err(io::Error::other)?)?;
    header.resize(header.len().next_multiple_of(LENGTH as usize), b' ');
    let mut out = BufWriter::with_capacity(PIECE, out);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (_, tensor) in named {
        tensor.write(&mut out)?;
    }
    out.flush()
}

/// A file whose header was read and fits its length.
pub(super) struct Container {
    file: BufReader<File>,
    header: Metadata,
}

impl Container {
    pub(super) fn open(file: File) -> Result<Self, ReadError> {
        let length = file.metadata()?.len();
        let mut file = BufReader::with_capacity(PIECE, file);
        let mut bytes = [0; LENGTH as usize];
        file.read_exact(&mut bytes)?;
        let header_length = u64::from_le_bytes(bytes);
        if header_length > length - LENGTH {
            return Err(incomplete(format!("its header has {header_length} bytes, the file {length}")));
        }
        let mut header = vec![0; header_length as usize];
        file.read_exact(&mut header)?;
        let header: Metadata = serde_json::from_slice(&header).map_err(incomplete)?;
        let expected = LENGTH + header_length + header.data_len() as u64;
        if expected != length {
            return Err(incomplete(format!("{expected} bytes expected, {length} found")));
        }
        Ok(Self { file, header })
    }

    /// A text of the metadata.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.header.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// All tensors; they lie one after the other, without gaps.
    pub(super) fn tensors(mut self) -> Result<BTreeMap<String, Stored>, ReadError> {
        let mut tensors = BTreeMap::new();
        for name in self.header.offset_keys() {
            let Some(info) = self.header.info(&name) else { continue };
            let stored = Stored::read(&name, info, &mut self.file)?;
            tensors.insert(name, stored);
        }
        Ok(tensors)
    }
}
