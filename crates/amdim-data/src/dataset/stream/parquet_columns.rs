//! Which columns of a Parquet file hold pictures and labels.
//!
//! Hugging Face's `datasets` writes the types of its features as JSON into the file's metadata (key `huggingface`);
//! without them columns are told by their types and names.

use parquet::basic::{ConvertedType, Type};
use parquet::file::metadata::FileMetaData;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use crate::error::{DataError, Result};

/// Names that a column of pictures usually has, the likeliest first.
const IMAGE_NAMES: [&str; 6] = ["image", "img", "picture", "jpg", "png", "webp"];

/// Names that a column of labels usually has, the likeliest first.
const LABEL_NAMES: [&str; 6] = ["label", "labels", "fine_label", "cls", "class", "target"];

/// How the columns are chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ParquetOptions<'a> {
    /// The column of pictures; none: found.
    pub(crate) image_column: Option<&'a str>,
    /// The column of labels; none: found.
    pub(crate) label_column: Option<&'a str>,
    /// Whether labels are wanted.
    pub(crate) has_labels: bool,
}

/// The columns chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// Index of the leaf with the bytes of pictures.
    pub(super) image: usize,
    /// Index of the leaf with labels.
    pub(super) label: Option<usize>,
    /// The names of the classes, where the file has them.
    pub(super) class_names: Option<Vec<String>>,
}

impl Columns {
    /// Chooses the columns of a file.
    ///
    /// # Errors
    /// [`DataError::NoPictureColumn`] when there are no pictures, [`DataError::InvalidArgument`] for a column that was
    /// asked for and is not there.
    pub(super) fn choose(place: &str, metadata: &FileMetaData, options: &ParquetOptions) -> Result<Self> {
        let features = features(metadata);
        let leaves: Vec<Leaf> =
            metadata.schema_descr().columns().iter().map(|leaf| Leaf::new(leaf)).collect();
        let image = choose_image(place, &leaves, &features, options)?;
        let label = if options.has_labels { choose_label(place, &leaves, &features, options)? } else { None };
        let class_names = label.and_then(|label| class_names(features.get(&leaves[label].name)?));
        Ok(Self { image, label, class_names })
    }
}

/// A column as it is stored.
struct Leaf {
    /// The column's name, and that of the field inside it.
    name: String,
    field: Option<String>,
    has_bytes: bool,
    has_labels: bool,
}

impl Leaf {
    fn new(leaf: &ColumnDescriptor) -> Self {
        let parts = leaf.path().parts();
        let is_single = leaf.max_rep_level() == 0 && parts.len() <= 2;
        let is_text = leaf.converted_type() == ConvertedType::UTF8;
        let is_bytes = leaf.physical_type() == Type::BYTE_ARRAY;
        let is_integer = matches!(leaf.physical_type(), Type::INT32 | Type::INT64);
        Self {
            name: parts.first().cloned().unwrap_or_default(),
            field: (parts.len() > 1).then(|| parts[1..].join(".")),
            has_bytes: is_single
                && is_bytes
                && !is_text
                && matches!(parts.get(1).map(String::as_str), None | Some("bytes")),
            has_labels: is_single && parts.len() == 1 && (is_integer || (is_bytes && is_text)),
        }
    }
}

/// The features that `datasets` notes; an empty object without them.
fn features(metadata: &FileMetaData) -> Value {
    let noted = metadata.key_value_metadata().into_iter().flatten().find(|pair| pair.key == "huggingface");
    noted
        .and_then(|pair| serde_json::from_str::<Value>(pair.value.as_deref()?).ok())
        .and_then(|value| value.get("info")?.get("features").cloned())
        .unwrap_or_default()
}

fn is_feature(features: &Value, name: &str, kind: &str) -> bool {
    features.get(name).and_then(|feature| feature.get("_type")).is_some_and(|found| found == kind)
}

fn class_names(feature: &Value) -> Option<Vec<String>> {
    feature.get("names")?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

fn choose_image(place: &str, leaves: &[Leaf], features: &Value, options: &ParquetOptions) -> Result<usize> {
    let candidates: Vec<usize> = (0..leaves.len()).filter(|&at| leaves[at].has_bytes).collect();
    if let Some(name) = options.image_column {
        let found = candidates.iter().find(|&&at| leaves[at].name == name);
        return found
            .copied()
            .ok_or_else(|| missing("imageColumn", "of pictures", place, leaves, &candidates, name));
    }
    let noted = candidates.iter().find(|&&at| is_feature(features, &leaves[at].name, "Image"));
    let named = || best_named(leaves, &candidates, &IMAGE_NAMES);
    let only = || if let [only] = candidates[..] { Some(only) } else { None };
    noted
        .copied()
        .or_else(named)
        .or_else(only)
        .ok_or_else(|| DataError::NoPictureColumn { place: place.to_owned(), columns: all_names(leaves) })
}

fn choose_label(
    place: &str,
    leaves: &[Leaf],
    features: &Value,
    options: &ParquetOptions,
) -> Result<Option<usize>> {
    let candidates: Vec<usize> = (0..leaves.len()).filter(|&at| leaves[at].has_labels).collect();
    if let Some(name) = options.label_column {
        let found = candidates.iter().find(|&&at| leaves[at].name == name).copied();
        return match found {
            Some(at) => Ok(Some(at)),
            None => Err(missing("labelColumn", "of integers or texts", place, leaves, &candidates, name)),
        };
    }
    let noted: Vec<usize> = candidates
        .iter()
        .copied()
        .filter(|&at| is_feature(features, &leaves[at].name, "ClassLabel"))
        .collect();
    let among = if noted.is_empty() { &candidates } else { &noted };
    Ok(best_named(leaves, among, &LABEL_NAMES).or(noted.first().copied()))
}

/// The candidate whose name stands first in `names`.
fn best_named(leaves: &[Leaf], candidates: &[usize], names: &[&str]) -> Option<usize> {
    names
        .iter()
        .find_map(|name| candidates.iter().copied().find(|&at| leaves[at].name.eq_ignore_ascii_case(name)))
}

fn missing(
    option: &str,
    what: &str,
    place: &str,
    leaves: &[Leaf],
    candidates: &[usize],
    name: &str,
) -> DataError {
    let names: Vec<&str> = candidates.iter().map(|&at| leaves[at].name.as_str()).collect();
    let expected = if names.is_empty() {
        format!("a column {what} of {place}, which has none; its columns are {}", all_names(leaves))
    } else {
        format!("a column {what} of {place} (it has {})", names.join(", "))
    };
    DataError::argument(option, expected, name)
}

/// The columns of the file, for messages.
fn all_names(leaves: &[Leaf]) -> String {
    let names = leaves.iter().map(|leaf| match &leaf.field {
        Some(field) => format!("{}.{field}", leaf.name),
        None => leaf.name.clone(),
    });
    names.collect::<Vec<_>>().join(", ")
}
