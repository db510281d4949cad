//! Parquet files with a column of encoded pictures, as Hugging Face's `datasets` keeps them.
//!
//! Row groups are the pieces: they are read in any order, each from its start to its end, one page in memory. Opening
//! reads the files' metadata and the column of labels; of each row group it keeps where its pictures are.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::SerializedPageReader;

use super::labels::{LabelGatherer, StoredLabel};
use super::parquet_columns::Columns;
pub(crate) use super::parquet_columns::ParquetOptions;
use super::{PieceReader, Pieces};
use crate::decode::Limits;
use crate::error::{DataError, Result, panic_message};

/// Files of which the metadata have been read.
#[derive(Debug, Default)]
pub(super) struct ParquetFiles {
    paths: Vec<PathBuf>,
    groups: Vec<RowGroup>,
}

/// A row group's pictures.
#[derive(Debug)]
struct RowGroup {
    file: usize,
    /// The number of its first row in the file.
    first_row: u64,
    rows: usize,
    pictures: ColumnChunkMetaData,
}

/// What reading the metadata found.
#[derive(Default)]
pub(super) struct ScannedParquet {
    pub(super) files: ParquetFiles,
    /// Pictures in each row group.
    pub(super) counts: Vec<u32>,
    pub(super) labels: LabelGatherer,
    pub(super) class_names: Option<Vec<String>>,
}

impl ParquetFiles {
    /// Reads the metadata and labels of all files.
    pub(super) fn scan(paths: &[PathBuf], options: &ParquetOptions) -> Result<ScannedParquet> {
        if paths.is_empty() {
            return Err(DataError::argument("files", "at least one", 0));
        }
        let mut scanned = ScannedParquet::default();
        let mut names_of: Option<&PathBuf> = None;
        for path in paths {
            let class_names = guarded(
                || scan_file(path, options, &mut scanned),
                |panic| DataError::format(path.display(), format!("is damaged: {panic}")),
            )?;
            if names_of.is_some() && class_names != scanned.class_names {
                let problem = format!(
                    "its class names differ from those of {}; files of one data set have the same",
                    names_of.unwrap_or(path).display()
                );
                return Err(DataError::format(path.display(), problem));
            }
            (names_of, scanned.class_names) = (Some(path), class_names);
        }
        if scanned.counts.is_empty() {
            let place = paths.first().map_or_else(String::new, |path| path.display().to_string());
            return Err(DataError::format(place, "has no rows, and so no pictures"));
        }
        Ok(scanned)
    }
}

/// The crate's own defect (it indexes by lengths that it reads) must not end the caller's process over one file.
fn guarded<T>(work: impl FnOnce() -> Result<T>, failed: impl FnOnce(String) -> DataError) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(failed(panic_message(&*panic))))
}

/// Adds a file; returns its class names.
fn scan_file(
    path: &Path,
    options: &ParquetOptions,
    scanned: &mut ScannedParquet,
) -> Result<Option<Vec<String>>> {
    let place = path.display().to_string();
    let unreadable = |error: ParquetError| match error {
        ParquetError::External(cause) if cause.is::<std::io::Error>() => {
            DataError::format(&place, format!("cannot be read: {cause}"))
        }
        other => {
            DataError::format(&place, format!("cannot be read as a Parquet file, or is cut off: {other}"))
        }
    };
    let file = File::open(path).map_err(|error| DataError::io(&place, error))?;
    let len = file.metadata().map_err(|error| DataError::io(&place, error))?.len();
    let reader = SerializedFileReader::new(file).map_err(unreadable)?;
    let metadata = reader.metadata();
    let columns = Columns::choose(&place, metadata.file_metadata(), options)?;
    let at_file = scanned.files.paths.len();
    scanned.files.paths.push(path.to_owned());
    let mut first_row = 0;
    for (at, group) in metadata.row_groups().iter().enumerate() {
        let rows = u32::try_from(group.num_rows()).map_err(|_| {
            DataError::format(&place, format!("row group {at} has {} rows", group.num_rows()))
        })?;
        if rows == 0 {
            continue;
        }
        check_extent(&place, at, group, len)?;
        if let Some(label) = columns.label {
            let column = reader.get_row_group(at).and_then(|group| group.get_column_reader(label));
            let labels =
                read_labels(column.map_err(unreadable)?, rows as usize).map_err(unreadable)?.ok_or_else(
                    || DataError::format(&place, format!("row group {at} has fewer labels than rows")),
                )?;
            for (row, label) in labels.into_iter().enumerate() {
                scanned.labels.push(label, || row_name(path, first_row + row as u64))?;
            }
        } else {
            for _ in 0..rows {
                scanned.labels.push(None, || place.clone())?;
            }
        }
        let pictures = group.column(columns.image).clone().into_builder().clear_statistics().build();
        let pictures = pictures.map_err(unreadable)?;
        scanned.files.groups.push(RowGroup { file: at_file, first_row, rows: rows as usize, pictures });
        scanned.counts.push(rows);
        first_row += u64::from(rows);
    }
    Ok(columns.class_names)
}

/// Checks that the columns of a row group lie within the file.
fn check_extent(place: &str, at: usize, group: &RowGroupMetaData, len: u64) -> Result<()> {
    for column in group.columns() {
        let (start, size) = (column.data_page_offset(), column.compressed_size());
        let end = u64::try_from(start).ok().zip(u64::try_from(size).ok()).and_then(|(a, b)| a.checked_add(b));
        if end.is_none_or(|_| start as u64 > len || size as u64 > len) {
            let problem = format!(
                "row group {at}: column {} has {size} bytes from byte {start} on, the file has {len}",
                column.column_path().string()
            );
            return Err(DataError::format(place, problem));
        }
    }
    Ok(())
}

/// The labels of a row group; none if there are fewer than rows.
fn read_labels(
    column: ColumnReader,
    rows: usize,
) -> parquet::errors::Result<Option<Vec<Option<StoredLabel>>>> {
    // -1 is how `datasets` writes that there is no label.
    let number = |number: i64| u32::try_from(number).ok().map(StoredLabel::Number);
    match column {
        ColumnReader::Int32ColumnReader(mut reader) => {
            read_column(&mut reader, rows, |&value| number(value.into()))
        }
        ColumnReader::Int64ColumnReader(mut reader) => read_column(&mut reader, rows, |&value| number(value)),
        ColumnReader::ByteArrayColumnReader(mut reader) => {
            read_column(&mut reader, rows, |value: &ByteArray| {
                Some(StoredLabel::Name(String::from_utf8_lossy(value.data()).into_owned()))
            })
        }
        _ => Ok(None),
    }
}

fn read_column<T: parquet::data_type::DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    label: impl Fn(&T::T) -> Option<StoredLabel>,
) -> parquet::errors::Result<Option<Vec<Option<StoredLabel>>>> {
    let (mut levels, mut values) = (vec![], vec![]);
    let (records, _, _) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if records != rows {
        return Ok(None);
    }
    let mut values = values.iter();
    if levels.is_empty() {
        return Ok(Some(values.map(label).collect()));
    }
    // A label is a column of its own, so that its only level says whether there is a value.
    Ok(Some(
        levels.iter().map(|&level| if level == 0 { None } else { values.next().and_then(&label) }).collect(),
    ))
}

fn row_name(path: &Path, row: u64) -> String {
    format!("{}[{row}]", path.file_name().unwrap_or_default().to_string_lossy())
}

impl Pieces for ParquetFiles {
    fn open(self: Arc<Self>, piece: usize) -> Result<Box<dyn PieceReader>> {
        let group = &self.groups[piece];
        let path = &self.paths[group.file];
        let file = File::open(path).map_err(|error| DataError::io(path.display(), error))?;
        let pages = SerializedPageReader::new(Arc::new(file), &group.pictures, group.rows, None)
            .map_err(|error| unreadable_picture(&error))?;
        let column = get_column_reader(group.pictures.column_descr_ptr(), Box::new(pages));
        match (column, group.pictures.column_type()) {
            (ColumnReader::ByteArrayColumnReader(column), Type::BYTE_ARRAY) => {
                Ok(Box::new(RowGroupReader { column, next: 0 }))
            }
            _ => Err(DataError::Internal { message: "a column of pictures that has no bytes".to_owned() }),
        }
    }

    fn name(&self, piece: usize, within: u32) -> String {
        let group = &self.groups[piece];
        row_name(&self.paths[group.file], group.first_row + u64::from(within))
    }
}

struct RowGroupReader {
    column: ColumnReaderImpl<ByteArrayType>,
    next: u32,
}

impl PieceReader for RowGroupReader {
    fn next(&self) -> u32 {
        self.next
    }

    fn read(&mut self, within: u32, limits: &Limits) -> Result<Vec<u8>> {
        guarded(|| self.read_row(within, limits), |panic| problem(&format!("its page is damaged: {panic}")))
    }
}

impl RowGroupReader {
    fn read_row(&mut self, within: u32, limits: &Limits) -> Result<Vec<u8>> {
        let skip = (within - self.next) as usize;
        let unreadable = |error: ParquetError| unreadable_picture(&error);
        if self.column.skip_records(skip).map_err(unreadable)? != skip {
            return Err(problem("the row group ends before it"));
        }
        let (mut levels, mut values) = (vec![], vec![]);
        let read = self.column.read_records(1, Some(&mut levels), None, &mut values);
        let (records, _, _) = read.map_err(unreadable)?;
        self.next = within + 1;
        if records != 1 {
            return Err(problem("the row group ends before it"));
        }
        let Some(bytes) = values.first() else {
            return Err(problem("the row holds no picture (its bytes are null)"));
        };
        limits.check_bytes(bytes.len() as u64)?;
        Ok(bytes.data().to_vec())
    }
}

fn unreadable_picture(error: &ParquetError) -> DataError {
    problem(&format!("its page cannot be read: {error}"))
}

fn problem(text: &str) -> DataError {
    DataError::Decode { picture: "the picture".to_owned(), problem: text.to_owned() }
}

#[cfg(test)]
mod tests;
