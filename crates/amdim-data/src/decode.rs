//! Bytes of a picture file to an RGB [`Image`].
//!
//! JPEG goes through `zune-jpeg`, the other formats through the `image` crate; docs/design/decoding.md has the
//! measurements behind the choice. The result is what Pillow's `convert('RGB')` gives: gray is repeated, palettes are
//! looked up, alpha is dropped without blending, of 16 bits the high 8 are kept, of an animation the first frame. An
//! EXIF orientation is applied, which Pillow does only when asked.

mod baseline;
mod jpeg;
pub mod part;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

pub use part::{ChoosePart, Part, Wanted};

use crate::error::{DataError, Result, panic_message};
use crate::image::Image;

/// What a picture may cost; checked before anything is allocated for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels of a picture; 100,000,000 by default.
    pub max_pixels: u64,
    /// Most bytes of an encoded picture; 256 MiB by default.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: 100_000_000, max_bytes: 256 << 20 }
    }
}

impl Limits {
    /// Checks the size of an encoded picture.
    pub(crate) fn check_bytes(&self, bytes: u64) -> Result<()> {
        check("bytes", bytes, self.max_bytes)
    }

    /// Checks the size of a picture known from its header.
    pub(crate) fn check_pixels(&self, width: u32, height: u32) -> Result<()> {
        check("pixels", u64::from(width) * u64::from(height), self.max_pixels)
    }
}

fn check(unit: &'static str, actual: u64, limit: u64) -> Result<()> {
    if actual <= limit {
        return Ok(());
    }
    Err(DataError::Limit { place: "the picture".to_owned(), unit, limit, actual })
}

/// Decodes a JPEG, PNG, GIF, BMP or WebP picture; the format is told from the bytes, not from a name.
///
/// # Errors
/// [`DataError::Limit`] for a picture above `limits`, [`DataError::Decode`] for anything that is not a whole picture
/// of these formats: other content, damaged or cut off.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image> {
    decode_part(bytes, limits, &mut |width, height| Wanted::all(width, height)).map(|part| part.image)
}

/// As [`decode`], of as little as needed: `choose` is told the picture's width and height and says what it wants.
///
/// The result may be more than that: larger, or of full size. It never depends on more than the wanted pixels.
///
/// # Errors
/// As [`decode`].
pub fn decode_part(bytes: &[u8], limits: &Limits, choose: &mut ChoosePart<'_>) -> Result<Part> {
    limits.check_bytes(bytes.len() as u64)?;
    // A decoder's own defect must not end the caller's process over one file.
    catch_unwind(AssertUnwindSafe(|| decode_format(bytes, limits, choose)))
        .unwrap_or_else(|panic| Err(problem(format!("decoder failed: {}", panic_message(&*panic)))))
}

/// Takes back a picture that is no longer needed, so that this thread's next one need not fetch memory anew.
pub(crate) fn recycle(image: Image) {
    baseline::recycle(image.pixels);
}

fn decode_format(bytes: &[u8], limits: &Limits, choose: &mut ChoosePart<'_>) -> Result<Part> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg::decode(bytes, limits, choose),
        Ok(format @ (ImageFormat::Png | ImageFormat::Gif | ImageFormat::Bmp | ImageFormat::WebP)) => {
            decode_other(bytes, format, limits).map(Part::whole)
        }
        _ => Err(problem("not a JPEG, PNG, GIF, BMP or WebP picture")),
    }
}

fn problem(text: impl Into<String>) -> DataError {
    DataError::Decode { picture: "the picture".to_owned(), problem: text.into() }
}

fn decode_other(bytes: &[u8], format: ImageFormat, limits: &Limits) -> Result<Image> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // Room for 16-bit RGBA and the decoder's own buffers.
    let mut decoder_limits = image::Limits::no_limits();
    decoder_limits.max_alloc = Some(limits.max_pixels.saturating_mul(16));
    reader.limits(decoder_limits);
    let mut decoder = reader.into_decoder().map_err(|error| image_problem(&error))?;
    let (width, height) = decoder.dimensions();
    limits.check_pixels(width, height)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(|error| image_problem(&error))?;
    Ok(oriented(to_rgb(decoded), orientation))
}

fn image_problem(error: &ImageError) -> DataError {
    problem(error.to_string())
}

/// The colour channels in 8 bits; alpha is left out and 16 bits are cut to their high byte.
fn to_rgb(decoded: DynamicImage) -> Image {
    let (width, height) = (decoded.width(), decoded.height());
    let pixels = match decoded {
        DynamicImage::ImageRgb8(rgb) => rgb.into_raw(),
        DynamicImage::ImageLuma8(gray) => gray.into_raw().iter().flat_map(|&value| [value; 3]).collect(),
        DynamicImage::ImageLumaA8(gray) => gray.pixels().flat_map(|pixel| [pixel.0[0]; 3]).collect(),
        DynamicImage::ImageRgba8(rgba) => {
            rgba.pixels().flat_map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2]]).collect()
        }
        DynamicImage::ImageLuma16(gray) => {
            gray.pixels().flat_map(|pixel| [high_byte(pixel.0[0]); 3]).collect()
        }
        DynamicImage::ImageLumaA16(gray) => {
            gray.pixels().flat_map(|pixel| [high_byte(pixel.0[0]); 3]).collect()
        }
        DynamicImage::ImageRgb16(rgb) => rgb.into_raw().into_iter().map(high_byte).collect(),
        DynamicImage::ImageRgba16(rgba) => {
            rgba.pixels().flat_map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2]].map(high_byte)).collect()
        }
        other => other.into_rgb8().into_raw(),
    };
    Image { width, height, channels: 3, pixels }
}

fn high_byte(value: u16) -> u8 {
    (value >> 8) as u8
}

/// Turns and mirrors an RGB image as its EXIF orientation says.
fn oriented(image: Image, orientation: Orientation) -> Image {
    if orientation == Orientation::NoTransforms {
        return image;
    }
    let (width, height) = (image.width as usize, image.height as usize);
    let swaps_sides = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (new_width, new_height) = if swaps_sides { (height, width) } else { (width, height) };
    let source = image.pixels.as_chunks::<3>().0;
    let mut pixels = Vec::with_capacity(image.pixels.len());
    for (y, x) in (0..new_height).flat_map(|y| (0..new_width).map(move |x| (y, x))) {
        let (source_x, source_y) = match orientation {
            Orientation::FlipHorizontal => (width - 1 - x, y),
            Orientation::Rotate180 => (width - 1 - x, height - 1 - y),
            Orientation::FlipVertical => (x, height - 1 - y),
            Orientation::Rotate90FlipH => (y, x),
            Orientation::Rotate90 => (y, height - 1 - x),
            Orientation::Rotate270FlipH => (width - 1 - y, height - 1 - x),
            Orientation::Rotate270 => (width - 1 - y, x),
            Orientation::NoTransforms => (x, y),
        };
        pixels.extend_from_slice(&source[source_y * width + source_x]);
    }
    Image { width: new_width as u32, height: new_height as u32, channels: 3, pixels }
}

#[cfg(test)]
mod tests;
