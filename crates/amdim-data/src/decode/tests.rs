use std::io::Cursor;

use image::{ImageBuffer, Luma, Rgb, Rgba};

use super::*;

/// Encodes any image buffer of the `image` crate.
macro_rules! encoded {
    ($picture:expr, $format:ident) => {{
        let mut bytes = Cursor::new(Vec::new());
        $picture.write_to(&mut bytes, ImageFormat::$format).unwrap();
        bytes.into_inner()
    }};
}

fn decoded(bytes: &[u8]) -> Image {
    decode(bytes, &Limits::default()).unwrap()
}

/// Two pixels beside each other.
fn pair() -> ImageBuffer<Rgb<u8>, Vec<u8>> {
    ImageBuffer::from_vec(2, 1, vec![1, 2, 3, 250, 251, 252]).unwrap()
}

#[test]
fn lossless_formats_are_exact() {
    for bytes in [encoded!(pair(), Png), encoded!(pair(), Bmp), encoded!(pair(), WebP)] {
        let image = decoded(&bytes);
        assert_eq!((image.width, image.height, image.channels), (2, 1, 3));
        assert_eq!(image.pixels, [1, 2, 3, 250, 251, 252]);
    }
}

#[test]
fn alpha_is_dropped_not_blended() {
    let picture: ImageBuffer<Rgba<u8>, _> = ImageBuffer::from_vec(1, 1, vec![10, 20, 30, 0]).unwrap();
    assert_eq!(decoded(&encoded!(picture, Png)).pixels, [10, 20, 30]);
}

#[test]
fn sixteen_bits_keep_the_high_byte() {
    let gray: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_vec(2, 1, vec![0x12FF, 0xFF00]).unwrap();
    assert_eq!(decoded(&encoded!(gray, Png)).pixels, [0x12, 0x12, 0x12, 0xFF, 0xFF, 0xFF]);
    let rgba: ImageBuffer<Rgba<u16>, _> =
        ImageBuffer::from_vec(1, 1, vec![0x01FF, 0x0200, 0x0380, 7]).unwrap();
    assert_eq!(decoded(&encoded!(rgba, Png)).pixels, [1, 2, 3]);
}

#[test]
fn gray_is_repeated() {
    let gray: ImageBuffer<Luma<u8>, _> = ImageBuffer::from_vec(2, 1, vec![7, 200]).unwrap();
    assert_eq!(decoded(&encoded!(gray, Png)).pixels, [7, 7, 7, 200, 200, 200]);
}

#[test]
fn the_first_frame_of_an_animation() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for level in [255, 0] {
        let frame = ImageBuffer::from_pixel(2, 2, Rgba([level, 0, 0, 255]));
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
    drop(encoder);
    assert_eq!(decoded(&bytes).pixels[..3], [255, 0, 0]);
}

#[test]
fn anything_else_is_an_error() {
    for bytes in
        [&b"a text file called picture.png"[..], b"", b"\x89PNG\r\n\x1a\n", &[0xFF, 0xD8, 0xFF, 0xE0]]
    {
        let error = decode(bytes, &Limits::default()).unwrap_err();
        assert_eq!(error.code(), "AMDIM_DECODE", "{error}");
    }
}

#[test]
fn limits_hold_before_anything_is_allocated() {
    let bytes = encoded!(pair(), Png);
    let limits = Limits { max_pixels: 1, ..Limits::default() };
    let error = decode(&bytes, &limits).unwrap_err();
    assert!(matches!(error, DataError::Limit { unit: "pixels", limit: 1, actual: 2, .. }), "{error}");
    let limits = Limits { max_bytes: 5, ..Limits::default() };
    assert!(matches!(decode(&bytes, &limits).unwrap_err(), DataError::Limit { unit: "bytes", .. }));
    // A header of 2^31 x 2^31 pixels, with its check sum.
    let mut hostile = encoded!(pair(), Png);
    hostile[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
    let sum = {
        let mut sum = flate2::Crc::new();
        sum.update(&hostile[12..29]);
        sum.sum()
    };
    hostile[29..33].copy_from_slice(&sum.to_be_bytes());
    let error = decode(&hostile, &Limits::default()).unwrap_err();
    assert!(matches!(error, DataError::Limit { unit: "pixels", .. } | DataError::Decode { .. }), "{error}");
}

#[test]
fn a_picture_of_8000_by_8000_decodes() {
    let picture: ImageBuffer<Luma<u8>, _> = ImageBuffer::from_pixel(8000, 8000, Luma([9]));
    let image = decoded(&encoded!(picture, Png));
    assert_eq!((image.width, image.height, image.pixels.len()), (8000, 8000, 192_000_000));
}

#[test]
fn orientations_turn_the_picture() {
    // a b c
    // d e f
    let pixel = |level: u8| [level; 3];
    let image = Image::new(3, 2, 3, (1..=6).flat_map(pixel).collect()).unwrap();
    let expected: [(u8, u32, [u8; 6]); 8] = [
        (1, 3, [1, 2, 3, 4, 5, 6]),
        (2, 3, [3, 2, 1, 6, 5, 4]),
        (3, 3, [6, 5, 4, 3, 2, 1]),
        (4, 3, [4, 5, 6, 1, 2, 3]),
        (5, 2, [1, 4, 2, 5, 3, 6]),
        (6, 2, [4, 1, 5, 2, 6, 3]),
        (7, 2, [6, 3, 5, 2, 4, 1]),
        (8, 2, [3, 6, 2, 5, 1, 4]),
    ];
    for (exif, width, levels) in expected {
        let turned = oriented(image.clone(), Orientation::from_exif(exif).unwrap());
        assert_eq!(turned.width, width, "{exif}");
        assert_eq!(turned.pixels, levels.into_iter().flat_map(pixel).collect::<Vec<u8>>(), "{exif}");
    }
}
