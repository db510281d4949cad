//! The legacy form: five pickles one after another (magic number, protocol, the writer's machine, the object, the keys
//! of the storages), then each storage as its length and its raw numbers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::MAX_PICKLE_BYTES;
use crate::pickle::{Object, Pickle, PickleError, Storage, parse};
use crate::{FilesError, Result};

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const PROTOCOL: i128 = 1001;
/// Bytes of the length before each storage.
const LENGTH_BYTES: u64 = 8;

/// The storages after the pickles.
pub(super) struct Blocks {
    file: BufReader<File>,
    file_len: u64,
    /// Order of the storages in the file.
    keys: Vec<String>,
    /// Where the first one begins.
    start: u64,
    /// Where each one begins, once something has been read: (place of the numbers, number of values).
    places: Option<HashMap<String, (u64, u64)>>,
    /// Bytes of a value for each key, from the object's pickle.
    sizes: HashMap<String, u64>,
}

/// Reads the five pickles.
pub(super) fn open(mut file: BufReader<File>, file_len: u64) -> Result<(Pickle, Blocks)> {
    let mut bytes = vec![];
    file.by_ref().take(MAX_PICKLE_BYTES).read_to_end(&mut bytes)?;
    let mut at = 0;
    let mut next = || -> Result<Pickle> {
        let (pickle, end) = parse(&bytes, at).map_err(|error| match error {
            PickleError::Truncated { .. } if file_len > MAX_PICKLE_BYTES => {
                FilesError::malformed(format!("its pickles take more than {MAX_PICKLE_BYTES} bytes"))
            }
            error => error.into(),
        })?;
        at = end;
        Ok(pickle)
    };
    let magic = next()?;
    if magic.get(magic.root()) != &Object::Int(MAGIC) {
        return Err(FilesError::malformed(
            "a pickle, but not one of torch.save: its magic number is missing",
        ));
    }
    let protocol = next()?;
    if protocol.get(protocol.root()) != &Object::Int(PROTOCOL) {
        return Err(FilesError::malformed(format!("a legacy file of another protocol than {PROTOCOL}")));
    }
    let machine = next()?;
    let little = machine.entry(machine.root(), "little_endian").map(|id| machine.get(id));
    if little != Some(&Object::Bool(true)) {
        return Err(FilesError::malformed(
            "it was not written on a little-endian machine, which alone is read",
        ));
    }
    let object = next()?;
    let keys = texts(&next()?)?;
    let sizes = object.storages().map(|s| (s.key.clone(), s.element.size() as u64)).collect();
    let blocks = Blocks { file, file_len, keys, start: at as u64, places: None, sizes };
    Ok((object, blocks))
}

fn texts(pickle: &Pickle) -> Result<Vec<String>> {
    let refused = || FilesError::malformed("the list of its storages is no list of texts");
    let Object::List(items) = pickle.get(pickle.root()) else { return Err(refused()) };
    let text = |&item| match pickle.get(item) {
        Object::Text(text) => Ok(text.clone()),
        _ => Err(refused()),
    };
    items.iter().map(text).collect()
}

impl Blocks {
    /// The bytes of a storage.
    pub(super) fn read(&mut self, storage: &Storage) -> Result<Vec<u8>> {
        let places = match self.places.take() {
            Some(places) => places,
            None => self.walk()?,
        };
        let place = places.get(&storage.key).copied();
        self.places = Some(places);
        let Storage { key, element, len } = storage;
        let (start, values) =
            place.ok_or_else(|| FilesError::malformed(format!("storage {key} is missing")))?;
        if values != *len as u64 {
            return Err(FilesError::malformed(format!(
                "storage {key}: {len} values expected, {values} found"
            )));
        }
        self.file.seek(SeekFrom::Start(start))?;
        // The walk has seen that the file is long enough.
        let mut bytes = vec![0; len * element.size()];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Finds the storages from length to length.
    fn walk(&mut self) -> Result<HashMap<String, (u64, u64)>> {
        let mut places = HashMap::new();
        let mut at = self.start;
        for key in &self.keys {
            let truncated = || {
                FilesError::malformed(format!(
                    "it ends before the numbers of storage {key}; it may be truncated"
                ))
            };
            let size = self
                .sizes
                .get(key)
                .ok_or_else(|| FilesError::malformed(format!("nothing uses storage {key}")))?;
            let start = at + LENGTH_BYTES;
            if start > self.file_len {
                return Err(truncated());
            }
            self.file.seek(SeekFrom::Start(at))?;
            let mut length = [0; LENGTH_BYTES as usize];
            self.file.read_exact(&mut length)?;
            let values = u64::from_le_bytes(length);
            let end = values.checked_mul(*size).and_then(|bytes| bytes.checked_add(start));
            at = end.filter(|&end| end <= self.file_len).ok_or_else(truncated)?;
            places.insert(key.clone(), (start, values));
        }
        Ok(places)
    }
}
