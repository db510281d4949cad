//! Files of `torch.save`: the zip form (PyTorch 1.6 and newer) and the legacy form before it.
//!
//! Both hold a pickle that names storages, and the storages as raw numbers. [`PthFile`] reads either,
//! [`reference`](mod@reference) finds the authors' checkpoint in it, [`write()`] writes the zip form.

mod legacy;
pub mod reference;
mod write;
mod zipped;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::pickle::{Object, Pickle, Storage, StoredTensor};
use crate::tensor::Tensor;
use crate::{FilesError, Result};

pub use write::write;

/// Largest pickle that is read, in bytes; that of a checkpoint has some 200 bytes a tensor.
const MAX_PICKLE_BYTES: u64 = 16 << 20;

/// An opened file: the pickle is read, the numbers are not yet.
pub struct PthFile {
    pickle: Pickle,
    storages: Storages,
    /// Length of the file in bytes, which bounds what it can hold.
    len: u64,
}

/// Where the numbers of the storages are.
enum Storages {
    Zipped(zipped::Archive),
    Legacy(legacy::Blocks),
}

impl PthFile {
    /// Opens a file and reads its pickle.
    ///
    /// # Errors
    /// [`FilesError::Io`] if it can't be read, [`FilesError::Malformed`] if it is neither form or cut off,
    /// [`FilesError::Pickle`] if its pickle is refused.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let len = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let mut start = [0; 4];
        let read = read_up_to(&mut file, &mut start)?;
        file.rewind()?;
        let (pickle, storages) = match &start[..read] {
            b"PK\x03\x04" => {
                let (pickle, archive) = zipped::open(file, len)?;
                (pickle, Storages::Zipped(archive))
            }
            [0x80, ..] => {
                let (pickle, blocks) = legacy::open(file, len)?;
                (pickle, Storages::Legacy(blocks))
            }
            _ => {
                return Err(FilesError::malformed(
                    "no file of torch.save: it begins neither as a zip archive nor as a pickle",
                ));
            }
        };
        Ok(Self { pickle, storages, len })
    }

    /// The objects of the file.
    pub fn pickle(&self) -> &Pickle {
        &self.pickle
    }

    /// Reads tensors; `wanted` are names with tensors of [`pickle`](Self::pickle).
    ///
    /// # Errors
    /// [`FilesError::Malformed`] for a storage that is missing or of another length than the pickle says, and a tensor
    /// that does not lie in its storage.
    pub fn tensors(&mut self, wanted: &[(String, StoredTensor)]) -> Result<BTreeMap<String, Tensor>> {
        self.check_sizes(wanted)?;
        let mut by_storage: HashMap<&str, Vec<&(String, StoredTensor)>> = HashMap::new();
        for named in wanted {
            by_storage.entry(&named.1.storage.key).or_default().push(named);
        }
        let mut tensors = BTreeMap::new();
        // A storage at a time, so that no more than one lies in memory beside the tensors.
        for named in by_storage.into_values() {
            let storage = &named[0].1.storage;
            let bytes = match &mut self.storages {
                Storages::Zipped(archive) => archive.read(storage)?,
                Storages::Legacy(blocks) => blocks.read(storage)?,
            };
            for (name, tensor) in named {
                if tensor.storage != *storage {
                    return Err(FilesError::malformed(format!(
                        "storage {} has two descriptions",
                        storage.key
                    )));
                }
                tensors.insert(name.clone(), tensor.view.gather(&bytes, storage.element)?);
            }
        }
        Ok(tensors)
    }

    /// Bounds what the tensors take by the length of the file: views may share numbers, but a file that asks for many
    /// times its length is no `state_dict`.
    fn check_sizes(&self, wanted: &[(String, StoredTensor)]) -> Result<()> {
        let mut bytes = 0_u64;
        for (name, tensor) in wanted {
            let Storage { len, element, .. } = tensor.storage;
            let problem = |error| FilesError::malformed(format!("{name}: {error}"));
            let values = tensor.view.len_within(len).map_err(problem)?;
            bytes = bytes.saturating_add((values as u64).saturating_mul(element.size() as u64));
        }
        if bytes <= self.len.saturating_mul(2) {
            return Ok(());
        }
        Err(FilesError::malformed(format!(
            "its tensors would take {bytes} bytes, but the file has {}; it may be truncated",
            self.len
        )))
    }
}

/// The tensors of a dictionary, with their names.
///
/// # Errors
/// [`FilesError::Malformed`] if it is none or holds something else.
pub(crate) fn dictionary_of_tensors(
    pickle: &Pickle,
    dict: crate::pickle::Id,
    what: &str,
) -> Result<Vec<(String, StoredTensor)>> {
    let Object::Dict(entries) = pickle.get(dict) else {
        return Err(FilesError::malformed(format!(
            "`{what}` should be a dictionary of tensors, and is none"
        )));
    };
    entries
        .iter()
        .map(|&(key, value)| match (pickle.get(key), pickle.get(value)) {
            (Object::Text(name), Object::Tensor(tensor)) => Ok((name.clone(), tensor.clone())),
            (Object::Text(name), _) => Err(FilesError::malformed(format!("`{what}.{name}` is no tensor"))),
            _ => Err(FilesError::malformed(format!("`{what}` has a key that is no text"))),
        })
        .collect()
}

/// Fills as much of `buffer` as there is.
fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut taken = Vec::with_capacity(buffer.len());
    let count = reader.take(buffer.len() as u64).read_to_end(&mut taken)?;
    buffer[..count].copy_from_slice(&taken);
    Ok(count)
}
