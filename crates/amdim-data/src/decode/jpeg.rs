//! JPEG: baseline and progressive, gray, YCbCr, RGB, CMYK and YCCK.

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::{Limits, oriented, problem};
use crate::error::Result;
use crate::image::Image;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Image> {
    let markers = scan_markers(bytes);
    if !markers.ends {
        return Err(problem("the JPEG data is cut off"));
    }
    let options = DecoderOptions::new_fast()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| problem(error.to_string()))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| problem("no size in the JPEG header"))?;
    limits.check_pixels(width as u32, height as u32)?;
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    // Adobe's programs store CMYK inverted, and the decoder takes all CMYK to be so.
    let plain_cmyk = decoder.input_colorspace() == Some(ColorSpace::CMYK) && !markers.adobe;
    if plain_cmyk {
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::CMYK));
    }
    let values = decoder.decode().map_err(|error| problem(error.to_string()))?;
    let pixels = if plain_cmyk { cmyk_to_rgb(&values) } else { values };
    Ok(oriented(Image { width: width as u32, height: height as u32, channels: 3, pixels }, orientation))
}

/// Pillow's conversion: each ink's complement times black's complement.
fn cmyk_to_rgb(values: &[u8]) -> Vec<u8> {
    let inks = values.as_chunks::<4>().0;
    inks.iter()
        .flat_map(|&[cyan, magenta, yellow, black]| {
            let light = 255 - u32::from(black);
            [cyan, magenta, yellow].map(|ink| (light - divided_by_255(u32::from(ink) * light)) as u8)
        })
        .collect()
}

/// Rounded division of a product of two levels.
fn divided_by_255(product: u32) -> u32 {
    let biased = product + 128;
    ((biased >> 8) + biased) >> 8
}

struct Markers {
    /// The end marker follows the last scan.
    ends: bool,
    /// There is an Adobe segment.
    adobe: bool,
}

/// Walks the segments and scans of a JPEG file.
///
/// The decoder fills what is missing of a cut-off file with gray and reports success; the end marker tells. One
/// inside a thumbnail does not count, because segments are stepped over by their length.
fn scan_markers(bytes: &[u8]) -> Markers {
    const END: u8 = 0xD9;
    const SCAN: u8 = 0xDA;
    const ADOBE: u8 = 0xEE;
    let mut markers = Markers { ends: false, adobe: false };
    // After the start marker.
    let mut position = 2;
    while let Some(marker) = next_marker(bytes, &mut position) {
        if marker == END {
            markers.ends = true;
            return markers;
        }
        let Some(length) =
            bytes.get(position..position + 2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])))
        else {
            return markers;
        };
        let segment = bytes.get(position + 2..position + length.max(2)).unwrap_or_default();
        markers.adobe |= marker == ADOBE && segment.starts_with(b"Adobe");
        position += length.max(2);
        if marker == SCAN {
            skip_scan(bytes, &mut position);
        }
    }
    markers
}

/// The marker at or after `position`, which is left behind it; markers without a segment are passed over.
fn next_marker(bytes: &[u8], position: &mut usize) -> Option<u8> {
    loop {
        let pair = bytes.get(*position..*position + 2)?;
        match pair {
            [0xFF, 0x00 | 0x01 | 0xD0..=0xD8] => *position += 2,
            [0xFF, marker] if *marker != 0xFF => {
                *position += 2;
                return Some(*marker);
            }
            _ => *position += 1,
        }
    }
}

/// Moves `position` over entropy-coded data to the marker that ends it.
fn skip_scan(bytes: &[u8], position: &mut usize) {
    while let Some(offset) =
        bytes.get(*position..).and_then(|rest| rest.iter().position(|&byte| byte == 0xFF))
    {
        *position += offset;
        match bytes.get(*position + 1) {
            // A stuffed byte, a restart marker, a fill byte.
            Some(0x00 | 0xD0..=0xD7) => *position += 2,
            Some(0xFF) => *position += 1,
            _ => return,
        }
    }
    *position = bytes.len();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inks_without_and_with_black() {
        assert_eq!(cmyk_to_rgb(&[0, 255, 128, 0, 0, 255, 128, 255]), [255, 0, 127, 0, 0, 0]);
    }

    #[test]
    fn an_end_marker_inside_a_segment_does_not_count() {
        let thumbnail = [0xFF, 0xD8, 0xFF, 0xE1, 0x00, 0x04, 0xFF, 0xD9];
        assert!(!scan_markers(&thumbnail).ends);
        let scan = [0xFF, 0xD8, 0xFF, 0xDA, 0x00, 0x02, 1, 0xFF, 0x00, 2, 0xFF, 0xD0, 3, 0xFF, 0xFF, 0xD9];
        assert!(scan_markers(&scan).ends);
        assert!(!scan_markers(&scan[..15]).ends);
    }
}
