//! The zip form: `NAME/data.pkl`, `NAME/byteorder` and one stored entry a storage, `NAME/data/KEY`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::MAX_PICKLE_BYTES;
use crate::pickle::{Pickle, Storage, parse};
use crate::{FilesError, Result};

/// An opened archive.
pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// Name of the folder that all entries lie in.
    root: String,
    file_len: u64,
}

/// Opens the archive and reads its pickle.
pub(super) fn open(file: BufReader<File>, file_len: u64) -> Result<(Pickle, Archive)> {
    let zip = ZipArchive::new(file).map_err(|error| broken("the archive", error))?;
    let root_of = |name: Cow<str>| name.strip_suffix("/data.pkl").map(str::to_owned);
    let roots: Vec<String> = zip.file_names().filter_map(|name| root_of(name.ok()?)).collect();
    let Ok([root]) = <[String; 1]>::try_from(roots) else {
        let message = "a zip archive, but not one of torch.save: it should have one entry NAME/data.pkl";
        return Err(FilesError::malformed(message));
    };
    let mut archive = Archive { zip, root, file_len };
    // Files before PyTorch 2.1 have no such entry and are little-endian.
    if let Some(order) = archive.entry("byteorder", 16)?
        && order.trim_ascii() != b"little"
    {
        return Err(FilesError::malformed("it was written on a big-endian machine; little-endian is read"));
    }
    let pickle = archive
        .entry("data.pkl", MAX_PICKLE_BYTES)?
        .ok_or_else(|| FilesError::malformed("its entry data.pkl is missing"))?;
    Ok((parse(&pickle, 0)?.0, archive))
}

impl Archive {
    /// The bytes of a storage.
    pub(super) fn read(&mut self, storage: &Storage) -> Result<Vec<u8>> {
        let Storage { key, element, len } = storage;
        let bytes = self
            .entry(&format!("data/{key}"), self.file_len)?
            .ok_or_else(|| FilesError::malformed(format!("storage {key} is missing")))?;
        if Some(bytes.len()) == len.checked_mul(element.size()) {
            return Ok(bytes);
        }
        let found = bytes.len();
        Err(FilesError::malformed(format!(
            "storage {key}: {len} values of {element:?} expected, {found} bytes found"
        )))
    }

    /// The bytes of an entry of at most `limit` bytes; none where there is no such entry. The checksum is verified.
    fn entry(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let name = format!("{}/{name}", self.root);
        let mut entry = match self.zip.by_name(&name) {
            Err(ZipError::FileNotFound) => return Ok(None),
            entry => entry.map_err(|error| broken(&name, error))?,
        };
        // The size comes from the file, so nothing is taken that the file could not hold.
        let size = entry.size();
        if size > limit.min(self.file_len) {
            return Err(FilesError::malformed(format!("{name}: its size, {size} bytes, can't be right")));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        entry.read_to_end(&mut bytes).map_err(|error| FilesError::malformed(format!("{name}: {error}")))?;
        Ok(Some(bytes))
    }
}

fn broken(what: &str, error: ZipError) -> FilesError {
    match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => FilesError::Io(error),
        error => FilesError::malformed(format!("{what} can't be read ({error}); the file may be truncated")),
    }
}
