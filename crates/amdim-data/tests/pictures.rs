//! Decoding of the files in tests/pictures against Pillow's pixels, and of the same files damaged.

use std::fs;
use std::path::PathBuf;

use amdim_data::augment::Region;
use amdim_data::decode::Wanted;
use amdim_data::{Image, Limits, decode};
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

fn expected(name: &str) -> Image {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/pictures/{name}.expected.png"));
    decode::decode(&fs::read(path).unwrap(), &Limits::default()).unwrap()
}

/// Levels a lossy decoder may differ from Pillow's; inks multiply two such differences.
fn tolerance(name: &str) -> u8 {
    match name {
        name if name.ends_with("cmyk.jpg") => 4,
        // Another decoder than Pillow's; the common JPEG files equal its levels.
        "progressive.jpg" | "lossy.webp" => 3,
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
fn a_part_equals_the_same_part_of_the_whole() {
    for (name, bytes) in pictures().into_iter().filter(|(name, _)| is_jpeg(name)) {
        let whole = decode::decode(&bytes, &Limits::default()).unwrap();
        let (width, height) = (whole.width, whole.height);
        let mut parts = 0;
        let corners =
            (0..width).step_by(7).flat_map(|left| (0..height).step_by(5).map(move |top| (left, top)));
        for (left, top) in corners {
            let region = Region {
                left,
                top,
                width: (left % 5 * 9 + 1).min(width - left),
                height: (top % 7 * 6 + 1).min(height - top),
            };
            let choose = &mut |_, _| Wanted { region, reduction: 1 };
            let part = decode::decode_part(&bytes, &Limits::default(), choose).unwrap();
            assert_eq!((part.whole, part.reduction), ([width, height], 1), "{name}");
            parts += usize::from(part.image.width < width);
            let [x, y] = part.origin.map(|pixel| pixel as u32);
            for row in region.top..region.top + region.height {
                let values = |image: &Image, x: u32, y: u32| {
                    let start = (y * image.width + x) as usize * 3;
                    image.pixels[start..start + region.width as usize * 3].to_vec()
                };
                let expected = values(&whole, region.left, row);
                assert_eq!(values(&part.image, region.left - x, row - y), expected, "{name} {region:?}");
            }
        }
        let common = ["baseline", "gray", "half-width", "odd-size", "restart", "subsampled"];
        let is_common = common.iter().any(|common| name == format!("{common}.jpg"));
        assert_eq!(parts > 0, is_common, "{name}");
    }
}

#[test]
fn a_reduced_picture_is_near_the_means_of_squares() {
    for (name, bytes) in pictures().into_iter().filter(|(name, _)| is_jpeg(name)) {
        let whole = decode::decode(&bytes, &Limits::default()).unwrap();
        for reduction in [2, 4, 8] {
            let choose = &mut |width, height| Wanted { reduction, ..Wanted::all(width, height) };
            let part = decode::decode_part(&bytes, &Limits::default(), choose).unwrap();
            if part.reduction == 1 {
                assert_eq!(part.image, whole, "{name}");
                continue;
            }
            let size = (part.image.width, part.image.height);
            assert_eq!(size, (whole.width.div_ceil(reduction), whole.height.div_ceil(reduction)), "{name}");
            let at = |image: &Image, x: u32, y: u32, channel: u32| {
                i64::from(image.pixels[((y * image.width + x) * 3 + channel) as usize])
            };
            let columns = 0..whole.width / reduction;
            for (x, y) in columns.flat_map(|x| (0..whole.height / reduction).map(move |y| (x, y))) {
                for channel in 0..3 {
                    let places = (0..reduction * reduction).map(|i| (i % reduction, i / reduction));
                    let sum: i64 = places
                        .map(|(right, down)| at(&whole, x * reduction + right, y * reduction + down, channel))
                        .sum();
                    let mean = sum / i64::from(reduction * reduction);
                    let actual = at(&part.image, x, y, channel);
                    assert!((actual - mean).abs() <= 8, "{name} 1/{reduction} {x} {y}: {actual} {mean}");
                }
            }
        }
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
