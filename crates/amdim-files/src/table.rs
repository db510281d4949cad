//! Features with names and labels as a Parquet table.
//!
//! | column | type |
//! | --- | --- |
//! | `name` | text: the picture's path, or its place in the data set |
//! | `label` | 32-bit integer; null where there is none |
//! | `embedding` | list of f32 |
//!
//! The shape of an embedding (`[256]`, `[256, 5, 5]`) is in the file's metadata under `amdim.shape`.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::{FilesError, Result};

/// The three-level form of lists, which every reader knows as one.
const SCHEMA: &str = "message features {
    required binary name (STRING);
    optional int32 label;
    required group embedding (LIST) { repeated group list { required float element; } }
}";
/// Values of a group of rows, which a reader holds at once: 64 MiB.
const GROUP_VALUES: usize = 16 << 20;

/// Features of pictures.
#[derive(Debug, Clone, Copy)]
pub struct Features<'a> {
    /// `[pictures, dimensions]`, row-major.
    pub values: &'a [f32],
    /// The shape of one picture's features; its product is `dimensions`.
    pub shape: &'a [usize],
    /// `[pictures]`.
    pub names: &'a [String],
    /// `[pictures]`; negative for none.
    pub labels: &'a [i32],
}

impl Features<'_> {
    /// Checks that the lengths fit each other.
    ///
    /// # Errors
    /// [`FilesError::InvalidArgument`].
    pub fn check(&self) -> Result<()> {
        let Self { values, shape, names, labels } = *self;
        let dimensions = self.dimensions();
        if dimensions > 0
            && names.len().checked_mul(dimensions) == Some(values.len())
            && names.len() == labels.len()
        {
            return Ok(());
        }
        let expected = format!("a label and a row of shape {shape:?} for each of {} names", names.len());
        let actual = format!("{} labels and {} values", labels.len(), values.len());
        Err(FilesError::InvalidArgument { name: "features", expected, actual })
    }

    /// Values a picture; 0 for a shape whose product is beyond any memory.
    fn dimensions(&self) -> usize {
        self.shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n)).unwrap_or(0)
    }
}

/// Writes the table.
///
/// # Errors
/// [`FilesError::InvalidArgument`] for lengths that don't fit each other; [`FilesError::Io`].
pub fn write(features: &Features, out: impl Write + Send) -> Result<()> {
    features.check()?;
    write_table(features, out).map_err(|error| match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => FilesError::Io(*error),
            Err(other) => FilesError::Io(std::io::Error::other(other)),
        },
        other => FilesError::Io(std::io::Error::other(other)),
    })
}

fn write_table(features: &Features, out: impl Write + Send) -> std::result::Result<(), ParquetError> {
    let Features { values, shape, names, labels } = *features;
    let dimensions = features.dimensions();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        // Features hardly repeat.
        .set_dictionary_enabled(false)
        .set_key_value_metadata(Some(vec![KeyValue::new("amdim.shape".into(), format!("{shape:?}"))]))
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
    let rows = (GROUP_VALUES / dimensions).max(1);
    for ((names, labels), values) in
        names.chunks(rows).zip(labels.chunks(rows)).zip(values.chunks(rows * dimensions))
    {
        let mut group = file.next_row_group()?;
        write_names(&mut group, names)?;
        write_labels(&mut group, labels)?;
        write_embeddings(&mut group, values, dimensions)?;
        group.close()?;
    }
    file.close()?;
    Ok(())
}

fn write_names<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    names: &[String],
) -> std::result::Result<(), ParquetError> {
    let names: Vec<ByteArray> = names.iter().map(|name| name.as_str().into()).collect();
    let mut column = group.next_column()?.ok_or_else(missing_column)?;
    column.typed::<ByteArrayType>().write_batch(&names, None, None)?;
    column.close()
}

fn write_labels<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    labels: &[i32],
) -> std::result::Result<(), ParquetError> {
    let present: Vec<i32> = labels.iter().copied().filter(|&label| label >= 0).collect();
    let definition: Vec<i16> = labels.iter().map(|&label| i16::from(label >= 0)).collect();
    let mut column = group.next_column()?.ok_or_else(missing_column)?;
    column.typed::<Int32Type>().write_batch(&present, Some(&definition), None)?;
    column.close()
}

fn write_embeddings<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[f32],
    dimensions: usize,
) -> std::result::Result<(), ParquetError> {
    // Every list has elements (definition 1); one begins where the repetition is 0.
    let definition = vec![1; values.len()];
    let repetition: Vec<i16> = (0..values.len()).map(|i| i16::from(i % dimensions != 0)).collect();
    let mut column = group.next_column()?.ok_or_else(missing_column)?;
    column.typed::<FloatType>().write_batch(values, Some(&definition), Some(&repetition))?;
    column.close()
}

fn missing_column() -> ParquetError {
    ParquetError::General("the schema has three columns".into())
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let values: Vec<f32> = (0..12).map(|i| i as f32 / 4.0).collect();
        let names = ["a.png", "b/c.png", "ä"].map(String::from);
        let features = Features { values: &values, shape: &[1, 2, 2], names: &names, labels: &[3, -1, 0] };
        let mut file = tempfile::tempfile().unwrap();
        write(&features, &mut file).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap();
        assert_eq!(metadata[0].value.as_deref(), Some("[1, 2, 2]"));
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 3);
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(row.get_string(0).unwrap(), &names[i]);
            assert_eq!(row.get_int(1).ok(), [Some(3), None, Some(0)][i]);
            let list = row.get_list(2).unwrap();
            let read: Vec<f32> =
                (0..list.len()).map(|j| parquet::record::ListAccessor::get_float(list, j).unwrap()).collect();
            assert_eq!(read, values[4 * i..4 * i + 4]);
        }
    }

    #[test]
    fn lengths_must_fit() {
        let features =
            Features { values: &[1.0; 5], shape: &[2], names: &["a".into(), "b".into()], labels: &[0, 1] };
        assert!(matches!(write(&features, Vec::new()), Err(FilesError::InvalidArgument { .. })));
    }
}
