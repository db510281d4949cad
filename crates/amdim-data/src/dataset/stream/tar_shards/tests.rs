use std::fs;

use super::super::StreamDataset;
use super::*;
use crate::dataset::Dataset;

/// A 2x2 gray PNG of `level`.
fn png(level: u8) -> Vec<u8> {
    let mut bytes = io::Cursor::new(Vec::new());
    let picture = image::GrayImage::from_pixel(2, 2, image::Luma([level]));
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Names and contents of files.
type Files<'a> = &'a [(&'a str, &'a [u8])];

fn shard(folder: &Path, name: &str, files: Files) -> PathBuf {
    let path = folder.join(name);
    let mut archive = tar::Builder::new(fs::File::create(&path).unwrap());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.finish().unwrap();
    path
}

fn open(shards: &[PathBuf]) -> Result<StreamDataset> {
    StreamDataset::open_tar(shards, ShardLabels::Auto, None, &Limits::default())
}

fn labels(dataset: &StreamDataset) -> Vec<Option<u32>> {
    (0..dataset.len()).map(|index| dataset.label(index)).collect()
}

#[test]
fn samples_are_pictures_with_labels_of_three_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{}/{}.png", "deep".repeat(40), "name".repeat(30));
    let shards = [
        shard(
            folder.path(),
            "a-0.tar",
            &[
                ("./x/0001.cls", b"2\n"),
                ("./x/0001.png", &png(1)),
                ("./x/0001.json", br#"{"label": 9}"#),
                ("./x/0002.seg.PNG", &png(2)),
                ("./x/0002.json", br#"{"label": 1, "caption": "two"}"#),
                ("._hidden.png", b"none"),
                ("orphan.cls", b"7"),
            ],
        ),
        shard(
            folder.path(),
            "a-1.tar",
            &[(&long, &png(3)), (&long.replace("png", "txt"), b" 0 "), ("z.md", b"")],
        ),
    ];
    let dataset = open(&shards).unwrap();
    assert_eq!(labels(&dataset), [Some(2), Some(1), Some(0)]);
    assert_eq!(dataset.classes(), ["0", "1", "2"]);
    assert_eq!(dataset.ignored_files(), 2, "the label without a picture, and z.md");
    for index in [2, 0, 1] {
        assert_eq!(dataset.image(index).unwrap().pixels, [index as u8 + 1; 12]);
    }
    assert_eq!(dataset.name(1), "a-0.tar/x/0002.seg.PNG");
    assert_eq!(dataset.name(2), format!("a-1.tar/{long}"));
    assert_eq!(dataset.image(3).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");

    let classes = ["ant", "bee", "cat"].map(str::to_owned);
    let named =
        StreamDataset::open_tar(&shards, ShardLabels::Auto, Some(&classes), &Limits::default()).unwrap();
    assert_eq!(named.classes(), classes);
    let without = StreamDataset::open_tar(&shards, ShardLabels::None, None, &Limits::default()).unwrap();
    assert!(without.classes().is_empty() && without.label(0).is_none());
}

#[test]
fn captions_are_no_labels() {
    let folder = tempfile::tempdir().unwrap();
    let files: [(&str, &[u8]); 4] =
        [("a.png", &png(1)), ("a.txt", b"a red square"), ("b.png", &png(2)), ("b.json", b"{\"width\": 2}")];
    let dataset = open(&[shard(folder.path(), "a.tar", &files)]).unwrap();
    assert_eq!((dataset.len(), labels(&dataset), dataset.classes().len()), (2, vec![None, None], 0));
}

#[test]
fn what_contradicts_the_format_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(Files, &str); 6] = [
        (&[("a.png", b"x"), ("a.seg.png", b"x")], "two pictures of one sample"),
        (&[("a.png", b"x"), ("a.cls", b"1"), ("b.png", b"x")], "b.png in"),
        (&[("a.png", b"x"), ("a.cls", b"1"), ("b.png", b"x"), ("b.cls", b"cat")], "numbers (a.png in"),
        (&[("a.png", b"x"), ("a.json", b"{")], "is no JSON"),
        (&[("a.png", b"x"), ("a.cls", b" ")], "a.cls in"),
        (&[("a.cls", b"1"), ("notes.md", b"x")], "no pictures found"),
    ];
    for (files, text) in cases {
        let error = open(&[shard(folder.path(), "a.tar", files)]).err().unwrap();
        assert_eq!(error.code(), "AMDIM_DATA");
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
}

/// Cut at any byte, a shard is an error that names it; nothing of it is silently left out.
#[test]
fn a_shard_cut_off_anywhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = shard(
        folder.path(),
        "cut.tar",
        &[("a.png", &png(1)), ("a.cls", b"0"), ("b.png", &png(2)), ("b.cls", b"1")],
    );
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len(), 4 * 1024 + 1024);
    for end in (0..=4 * 1024).step_by(128).chain([513, 1023, 1025]) {
        fs::write(&path, &whole[..end]).unwrap();
        let error = open(std::slice::from_ref(&path)).err().unwrap();
        assert_eq!(error.code(), "AMDIM_DATA", "{end}: {error}");
        assert!(
            error.to_string().contains("cut.tar") && error.to_string().contains("byte "),
            "{end}: {error}"
        );
    }
    fs::write(&path, &whole[..4 * 1024 + 512]).unwrap();
    assert_eq!(open(std::slice::from_ref(&path)).unwrap().len(), 2, "one block of zeros is an end");
    fs::write(&path, b"this is a text file, and no archive at all".repeat(40)).unwrap();
    assert_eq!(open(std::slice::from_ref(&path)).err().unwrap().code(), "AMDIM_DATA");
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    io::Write::write_all(&mut gzip, &whole).unwrap();
    fs::write(&path, gzip.finish().unwrap()).unwrap();
    assert!(open(&[path]).err().unwrap().to_string().contains("compressed"));
}

#[test]
fn hostile_sizes_are_refused_before_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = shard(folder.path(), "a.tar", &[("a.png", &png(1))]);
    let mut bytes = fs::read(&path).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_path("a.png").unwrap();
    header.set_size(u64::MAX / 2);
    header.set_cksum();
    bytes[..512].copy_from_slice(header.as_bytes());
    fs::write(&path, bytes).unwrap();
    assert_eq!(open(std::slice::from_ref(&path)).err().unwrap().code(), "AMDIM_DATA");

    let path = shard(folder.path(), "b.tar", &[("a.png", &png(1))]);
    let limits = Limits { max_bytes: 10, ..Limits::default() };
    let dataset = StreamDataset::open_tar(&[path], ShardLabels::Auto, None, &limits).unwrap();
    let error = dataset.image(0).unwrap_err();
    assert!(matches!(error, DataError::Limit { ref place, .. } if place == "b.tar/a.png"), "{error}");
}

#[test]
fn a_picture_that_is_none_is_met_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = shard(folder.path(), "a.tar", &[("a.png", b"text"), ("b.png", &png(2))]);
    let dataset = open(&[path]).unwrap();
    let error = dataset.image(0).unwrap_err();
    assert!(matches!(error, DataError::Decode { ref picture, .. } if picture == "a.tar/a.png"), "{error}");
    assert_eq!(dataset.image(1).unwrap().pixels, [2; 12]);
}
