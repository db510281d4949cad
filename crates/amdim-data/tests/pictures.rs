//! Decoding of the files in tests/pictures against Pillow's pixels, and of the same files damaged.

use std::fs;
use std::path::PathBuf;

use amdim_data::{Limits, decode};
use quickcheck::quickcheck;

/// Every picture of the folder: name and bytes.
fn pictures() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    let mut pictures: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| !name.ends_with(".expected.png") && extension(name) != "py")
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    pictures.sort();
    assert!(pictures.len() >= 16, "{}", pictures.len());
    pictures
}

fn extension(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

fn is_jpeg(name: &str) -> bool {
    extension(name) == "jpg"
}

fn expected(name: &str) -> amdim_data::Image {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/pictures/{name}.expected.png"));
    decode::decode(&fs::read(path).unwrap(), &Limits::default()).unwrap()
}

/// Levels a lossy decoder may differ from Pillow's; inks multiply two such differences.
fn tolerance(name: &str) -> u8 {
    match name {
        name if name.ends_with("cmyk.jpg") => 4,
        name if is_jpeg(name) => 3,
        "lossy.webp" => 3,
        _ => 0,
    }
}

#[test]
fn pictures_equal_pillow() {
    for (name, bytes) in pictures() {
        let image =
            decode::decode(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = expected(&name);
        assert_eq!(
            (image.width, image.height, image.channels),
            (expected.width, expected.height, 3),
            "{name}"
        );
        let difference =
            image.pixels.iter().zip(&expected.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(difference <= tolerance(&name), "{name}: {difference}");
    }
}

#[test]
fn cut_off_pictures_are_errors() {
    for (name, bytes) in pictures() {
        for kept in [1, bytes.len() / 4, bytes.len() / 2, bytes.len() * 3 / 4] {
            match decode::decode(&bytes[..kept], &Limits::default()) {
                Err(error) => assert_eq!(error.code(), "AMDIM_DECODE", "{name} {kept}: {error}"),
                Ok(_) => panic!("{name}: {kept} of {} bytes decoded", bytes.len()),
            }
        }
    }
}

#[test]
fn a_missing_last_byte_of_a_jpeg_is_an_error() {
    for (name, bytes) in pictures().into_iter().filter(|(name, _)| is_jpeg(name)) {
        assert!(decode::decode(&bytes[..bytes.len() - 1], &Limits::default()).is_err(), "{name}");
    }
}

quickcheck! {
    /// Any damage gives a picture or a typed error, never a panic or a picture larger than allowed.
    fn damaged_pictures_never_panic(which: usize, changes: Vec<(usize, u8)>) -> bool {
        let mut pictures = pictures();
        let count = pictures.len();
        let (_, bytes) = &mut pictures[which % count];
        for (position, value) in changes {
            let len = bytes.len();
            bytes[position % len] = value;
        }
        match decode::decode(bytes, &Limits { max_pixels: 1_000_000, max_bytes: 1 << 20 }) {
            Ok(image) => image.pixels.len() == image.width as usize * image.height as usize * 3,
            Err(error) => matches!(error.code(), "AMDIM_DECODE" | "AMDIM_LIMIT"),
        }
    }
}
