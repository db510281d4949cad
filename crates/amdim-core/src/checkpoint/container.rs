//! The container of a file, safetensors, read and written tensor by tensor: the whole file is never held as bytes, which
//! would be a second copy of all weights.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};

use safetensors::Dtype;
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
    named.sort_by_key(|(_, tensor)| Reverse(dtype(tensor)));
    let mut end = 0;
    let place = |&(name, tensor): &(&String, &Stored)| {
        let start = end;
        end += tensor.byte_len();
        let info =
            TensorInfo { dtype: dtype(tensor), shape: tensor.shape().to_vec(), data_offsets: (start, end) };
        (name.clone(), info)
    };
    let infos = named.iter().map(place).collect();
    let mut header = serde_json::to_vec(&Metadata::new(Some(metadata), infos).map_err(io::Error::other)?)?;
    header.resize(header.len().next_multiple_of(LENGTH as usize), b' ');
    let mut out = BufWriter::with_capacity(PIECE, out);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (_, tensor) in named {
        match tensor {
            Stored::Float { values, .. } => write_values(&mut out, values, f32::to_le_bytes)?,
            Stored::Integer { values, .. } => write_values(&mut out, values, i64::to_le_bytes)?,
        }
    }
    out.flush()
}

fn dtype(tensor: &Stored) -> Dtype {
    match tensor {
        Stored::Float { .. } => Dtype::F32,
        Stored::Integer { .. } => Dtype::I64,
    }
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
        let mut infos: Vec<_> = self.header.tensors().into_iter().collect();
        infos.sort_by_key(|(_, info)| info.data_offsets);
        infos
            .into_iter()
            .map(|(name, info)| {
                let stored = read_tensor(&name, info, &mut self.file)?;
                Ok((name, stored))
            })
            .collect()
    }
}

fn read_tensor(name: &str, info: &TensorInfo, from: &mut impl Read) -> Result<Stored, ReadError> {
    let shape = info.shape.clone();
    let bytes = info.data_offsets.1 - info.data_offsets.0;
    match info.dtype {
        Dtype::F32 => Ok(Stored::Float { shape, values: read_values(from, bytes, f32::from_le_bytes)? }),
        Dtype::I64 => Ok(Stored::Integer { shape, values: read_values(from, bytes, i64::from_le_bytes)? }),
        other => Err(ReadError::Broken(format!("{name}: tensors of f32 or i64 expected, {other:?} found"))),
    }
}

/// Values that are turned into bytes, or back, at once.
const VALUES: usize = 1 << 12;

fn write_values<T: Copy, const BYTES: usize>(
    out: &mut impl Write,
    values: &[T],
    to_bytes: impl Fn(T) -> [u8; BYTES],
) -> io::Result<()> {
    let mut bytes = vec![0; VALUES * BYTES];
    for values in values.chunks(VALUES) {
        let bytes = &mut bytes[..values.len() * BYTES];
        for (to, &value) in bytes.chunks_exact_mut(BYTES).zip(values) {
            to.copy_from_slice(&to_bytes(value));
        }
        out.write_all(bytes)?;
    }
    Ok(())
}

fn read_values<T, const BYTES: usize>(
    from: &mut impl Read,
    length: usize,
    from_bytes: impl Fn([u8; BYTES]) -> T,
) -> io::Result<Vec<T>> {
    let count = length / BYTES;
    let mut values = Vec::with_capacity(count);
    let mut bytes = vec![0; VALUES * BYTES];
    while values.len() < count {
        let bytes = &mut bytes[..(count - values.len()).min(VALUES) * BYTES];
        from.read_exact(bytes)?;
        values.extend(bytes.as_chunks().0.iter().map(|&value| from_bytes(value)));
    }
    Ok(values)
}
