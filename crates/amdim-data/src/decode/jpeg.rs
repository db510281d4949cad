//! JPEG: baseline and progressive, gray, YCbCr, RGB, CMYK and YCCK. All CMYK is taken as stored inverted, the way of
//! Adobe's programs, by the decoder as by Pillow.

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::{ChoosePart, Limits, Part, baseline, oriented, problem};
use crate::error::Result;
use crate::image::Image;

/// Decodes at least what `choose` wants.
pub(super) fn decode(bytes: &[u8], limits: &Limits, choose: &mut ChoosePart<'_>) -> Result<Part> {
    if !is_whole(bytes) {
        return Err(problem("the JPEG data is cut off"));
    }
    match baseline::decode(bytes, limits, choose)? {
        Some(part) => Ok(part),
        None => decode_any(bytes, limits).map(Part::whole),
    }
}

/// Decodes any JPEG file.
fn decode_any(bytes: &[u8], limits: &Limits) -> Result<Image> {
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
    let pixels = decoder.decode().map_err(|error| problem(error.to_string()))?;
    Ok(oriented(Image { width: width as u32, height: height as u32, channels: 3, pixels }, orientation))
}

/// Whether the end marker follows the last scan of a JPEG file.
///
/// The decoder fills what is missing of a cut-off file with gray and reports success; the end marker tells. One
/// inside a thumbnail does not count, because segments are stepped over by their length.
fn is_whole(bytes: &[u8]) -> bool {
    const END: u8 = 0xD9;
    const SCAN: u8 = 0xDA;
    // After the start marker.
    let mut position = 2;
    while let Some(marker) = next_marker(bytes, &mut position) {
        if marker == END {
            return true;
        }
        let Some([high, low]) = bytes.get(position..position + 2) else { return false };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        position += length.max(2);
        if marker == SCAN {
            skip_scan(bytes, &mut position);
        }
    }
    false
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
    while let Some(offset) = bytes.get(*position..).and_then(|rest| memchr::memchr(0xFF, rest)) {
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
    fn an_end_marker_inside_a_segment_does_not_count() {
        let thumbnail = [0xFF, 0xD8, 0xFF, 0xE1, 0x00, 0x04, 0xFF, 0xD9];
        assert!(!is_whole(&thumbnail));
        let scan = [0xFF, 0xD8, 0xFF, 0xDA, 0x00, 0x02, 1, 0xFF, 0x00, 2, 0xFF, 0xD0, 3, 0xFF, 0xFF, 0xD9];
        assert!(is_whole(&scan));
        assert!(!is_whole(&scan[..15]));
    }
}
