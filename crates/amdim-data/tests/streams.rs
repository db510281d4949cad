//! Files as Hugging Face's `datasets` and `webdataset` write them; tests/streams/make.py made them.

use std::path::Path;

use amdim_data::dataset::ShardLabels;
use amdim_data::{Dataset, DatasetSource, Limits, open};

/// Levels, labels and class names of a data set of gray pictures of one level each.
fn contents(dataset: &dyn Dataset) -> (Vec<u8>, Vec<Option<u32>>, Vec<String>) {
    let indices = 0..dataset.len();
    let levels = indices.clone().map(|index| dataset.image(index).unwrap().pixels[0]).collect();
    (levels, indices.map(|index| dataset.label(index)).collect(), dataset.classes().to_vec())
}

#[test]
fn a_parquet_file_of_hugging_face_datasets() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/streams/datasets.parquet");
    let source = DatasetSource::Parquet {
        files: vec![file],
        image_column: None,
        label_column: None,
        labels: ShardLabels::Auto,
    };
    let (levels, labels, classes) = contents(&*open(&source, &Limits::default()).unwrap());
    assert_eq!(levels, [0, 10, 20, 30]);
    assert_eq!(labels, [Some(0), Some(1), Some(0), Some(1)]);
    assert_eq!(classes, ["ant", "bee"]);
}

#[test]
fn a_shard_of_webdataset() {
    let shard = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/streams/webdataset.tar");
    let source = DatasetSource::WebDataset { shards: vec![shard], labels: ShardLabels::Auto, classes: None };
    let (levels, labels, classes) = contents(&*open(&source, &Limits::default()).unwrap());
    assert_eq!(levels, [0, 10, 20]);
    assert_eq!(labels, [Some(0), Some(1), Some(0)]);
    assert_eq!(classes, ["0", "1"]);
}
