use std::fs;

use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::data_type::Int64Type;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::super::StreamDataset;
use super::*;
use crate::dataset::Dataset;

const SCHEMA: &str = "message schema {
    optional group image { optional binary bytes; optional binary path (UTF8); }
    optional int64 label;
}";

const FEATURES: &str = r#"{"info": {"features": {
    "image": {"_type": "Image"}, "label": {"names": ["ant", "bee"], "_type": "ClassLabel"}}}}"#;

/// A 2x2 gray PNG of `level`.
fn png(level: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::GrayImage::from_pixel(2, 2, image::Luma([level]));
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A picture (none: null) and a label.
type Row = (Option<Vec<u8>>, Option<i64>);

fn write(
    folder: &Path,
    name: &str,
    groups: &[Vec<Row>],
    features: Option<&str>,
    codec: Compression,
) -> PathBuf {
    let path = folder.join(name);
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let noted = features.map(|text| vec![KeyValue::new("huggingface".to_owned(), text.to_owned())]);
    // Two pictures a page, so that skipping passes whole pages over.
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_key_value_metadata(noted)
        .set_data_page_row_count_limit(2)
        .set_write_batch_size(1)
        .set_dictionary_enabled(false)
        .build();
    let mut writer =
        SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::new(properties)).unwrap();
    for rows in groups {
        let mut group = writer.next_row_group().unwrap();
        let levels: Vec<i16> = rows.iter().map(|(bytes, _)| if bytes.is_some() { 2 } else { 1 }).collect();
        let bytes: Vec<ByteArray> =
            rows.iter().filter_map(|(bytes, _)| bytes.clone()).map(ByteArray::from).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&bytes, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[], Some(&vec![1; rows.len()]), None).unwrap();
        column.close().unwrap();
        let levels: Vec<i16> = rows.iter().map(|(_, label)| i16::from(label.is_some())).collect();
        let labels: Vec<i64> = rows.iter().filter_map(|&(_, label)| label).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&labels, Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    path
}

fn rows(levels: std::ops::Range<u8>) -> Vec<Row> {
    levels.map(|level| (Some(png(level)), Some(i64::from(level % 2)))).collect()
}

const AUTO: ParquetOptions<'static> =
    ParquetOptions { image_column: None, label_column: None, has_labels: true };

fn open(files: &[PathBuf], options: &ParquetOptions) -> Result<StreamDataset> {
    StreamDataset::open_parquet(files, options, &Limits::default())
}

#[test]
fn pictures_labels_and_class_names_of_any_row_group_and_codec() {
    let folder = tempfile::tempdir().unwrap();
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
    ] {
        let files = [
            write(folder.path(), "a.parquet", &[rows(0..7), vec![], rows(7..9)], Some(FEATURES), codec),
            write(folder.path(), "b.parquet", &[rows(9..12)], Some(FEATURES), codec),
        ];
        let dataset = open(&files, &AUTO).unwrap();
        assert_eq!((dataset.len(), dataset.classes()), (12, &["ant".to_owned(), "bee".to_owned()][..]));
        for index in [0, 1, 6, 3, 11, 9, 8, 7, 5] {
            assert_eq!(dataset.image(index).unwrap().pixels, [index as u8; 12], "{codec}");
            assert_eq!(dataset.label(index), Some(index as u32 % 2));
        }
        assert_eq!((dataset.name(8).as_str(), dataset.name(9).as_str()), ("a.parquet[8]", "b.parquet[0]"));
        let without = open(&files, &ParquetOptions { has_labels: false, ..AUTO }).unwrap();
        assert!(without.classes().is_empty() && without.label(0).is_none());
    }
}

#[test]
fn labels_may_be_missing_and_classes_without_names() {
    let folder = tempfile::tempdir().unwrap();
    let group = vec![(Some(png(0)), Some(2)), (Some(png(1)), None), (Some(png(2)), Some(-1))];
    let file = write(folder.path(), "a.parquet", &[group], None, Compression::SNAPPY);
    let dataset = open(&[file], &AUTO).unwrap();
    let labels: Vec<_> = (0..3).map(|index| dataset.label(index)).collect();
    assert_eq!((labels, dataset.classes().len()), (vec![Some(2), None, None], 3));
}

#[test]
fn a_row_without_a_picture_is_a_bad_picture() {
    let folder = tempfile::tempdir().unwrap();
    let group =
        vec![(Some(png(0)), None), (None, None), (Some(b"text".to_vec()), None), (Some(png(3)), None)];
    let file = write(folder.path(), "a.parquet", &[group], None, Compression::SNAPPY);
    let dataset = open(&[file], &AUTO).unwrap();
    for (index, text) in [(1, "cannot decode a.parquet[1]: the row holds no picture"), (2, "a.parquet[2]")] {
        let error = dataset.image(index).unwrap_err();
        assert!(error.is_bad_picture() && error.to_string().contains(text), "{error}");
    }
    assert_eq!(dataset.image(3).unwrap().pixels, [3; 12]);
}

#[test]
fn columns_are_asked_for_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let files = [write(folder.path(), "a.parquet", &[rows(0..2)], None, Compression::SNAPPY)];
    let ask = |image, label| {
        open(&files, &ParquetOptions { image_column: image, label_column: label, has_labels: true })
    };
    assert_eq!(ask(Some("image"), Some("label")).unwrap().len(), 2);
    for (error, text) in [
        (ask(Some("photo"), None), "imageColumn must be a column of pictures"),
        (ask(None, Some("fine_label")), "(it has label)"),
    ] {
        let error = error.err().unwrap();
        assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn a_file_without_pictures_names_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.parquet");
    let schema = "message schema { optional binary text (UTF8); optional int64 label; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::default()).unwrap();
    writer.close().unwrap();
    let error = open(&[path], &AUTO).err().unwrap();
    assert!(
        matches!(error, DataError::NoPictureColumn { ref columns, .. } if columns == "text, label"),
        "{error}"
    );
    assert_eq!(error.code(), "AMDIM_DATA");
    let file = write(folder.path(), "empty.parquet", &[], None, Compression::SNAPPY);
    assert!(open(&[file], &AUTO).err().unwrap().to_string().contains("no rows"));
}

#[test]
fn damaged_files_are_errors_and_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "a.parquet", &[rows(0..6)], Some(FEATURES), Compression::SNAPPY);
    let whole = fs::read(&file).unwrap();
    for end in [0, 3, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..end]).unwrap();
        let error = open(std::slice::from_ref(&file), &AUTO).err().unwrap();
        assert_eq!(error.code(), "AMDIM_DATA", "{error}");
        assert!(error.to_string().contains("a.parquet"), "{error}");
    }
    // Any byte of the pictures' pages may be wrong: an error, or pixels, but no end of the process.
    for at in (4..whole.len() - 8).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&file, &bytes).unwrap();
        let Ok(dataset) = open(std::slice::from_ref(&file), &AUTO) else { continue };
        for index in 0..dataset.len().min(6) {
            let _ = dataset.image(index);
        }
    }
}

#[test]
fn class_names_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let other = FEATURES.replace("bee", "cow");
    let files = [
        write(folder.path(), "a.parquet", &[rows(0..2)], Some(FEATURES), Compression::SNAPPY),
        write(folder.path(), "b.parquet", &[rows(0..2)], Some(&other), Compression::SNAPPY),
    ];
    let error = open(&files, &AUTO).err().unwrap();
    assert!(error.to_string().contains("class names differ"), "{error}");
    let few = FEATURES.replace(r#", "bee""#, "");
    let file = write(folder.path(), "c.parquet", &[rows(0..2)], Some(&few), Compression::SNAPPY);
    assert!(open(&[file], &AUTO).err().unwrap().to_string().contains("only 1 class names"));
}
