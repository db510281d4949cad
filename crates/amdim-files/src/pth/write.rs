//! Writing the zip form.

use std::io::{Seek, Write};

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, result::ZipError};

use crate::tensor::Tensor;
use crate::{FilesError, Result};

/// Storages begin on multiples of this, as PyTorch's own do, so that they can be mapped into memory.
const ALIGNMENT: u16 = 64;
/// An entry of more bytes needs the 64-bit fields of zip.
const LARGE: usize = u32::MAX as usize;

/// Writes a file that `torch.load` reads, with `weights_only` too.
///
/// `pickle` names the storages by their places in `storages`, from 0. Nothing depends on the clock: the same model gives
/// the same bytes.
///
/// # Errors
/// [`FilesError::Io`].
pub fn write(out: impl Write + Seek, pickle: &[u8], storages: &[Tensor]) -> Result<()> {
    let mut zip = ZipWriter::new(out);
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(ALIGNMENT);
    let mut entry = |name: &str, bytes: &[u8]| -> std::result::Result<(), ZipError> {
        zip.start_file(format!("amdim/{name}"), options.large_file(bytes.len() >= LARGE))?;
        Ok(zip.write_all(bytes)?)
    };
    let mut write = || {
        entry("data.pkl", pickle)?;
        entry("byteorder", b"little")?;
        for (key, storage) in storages.iter().enumerate() {
            entry(&format!("data/{key}"), &storage.bytes)?;
        }
        entry("version", b"3\n")
    };
    write().map_err(io)?;
    zip.finish().map_err(io)?.flush()?;
    Ok(())
}

fn io(error: ZipError) -> FilesError {
    match error {
        ZipError::Io(error) => FilesError::Io(error),
        other => FilesError::Io(std::io::Error::other(other)),
    }
}
