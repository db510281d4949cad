//! Pictures out: a view back to 8 bits, and PNG files.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::augment::AugmentConfig;
use crate::error::{DataError, Result};
use crate::image::Image;

/// The bytes of a PNG file.
///
/// # Errors
/// [`DataError::Internal`] if the encoder refuses the picture.
pub fn encode_png(picture: &Image) -> Result<Vec<u8>> {
    let kind = if picture.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut bytes = vec![];
    PngEncoder::new(&mut bytes)
        .write_image(&picture.pixels, picture.width, picture.height, kind)
        .map_err(|error| DataError::Internal { message: format!("a PNG file can't be made: {error}") })?;
    Ok(bytes)
}

impl AugmentConfig {
    /// The picture that a view shows: its values before they were normalised.
    ///
    /// # Shapes
    /// - view: `[channels, pixels, pixels]`, normalised
    ///
    /// # Errors
    /// [`DataError::InvalidArgument`] for a view of another size.
    pub fn picture_of(&self, view: &[f32]) -> Result<Image> {
        let (side, channels) = (self.pixels as usize, usize::from(self.channels));
        let locations = side * side;
        if view.len() != channels * locations {
            return Err(DataError::argument("view", format!("{} values", channels * locations), view.len()));
        }
        let level = |channel: usize, at: usize| {
            let value = f64::from(view[channel * locations + at]);
            ((value * self.std[channel] + self.mean[channel]) * 255.0).round().clamp(0.0, 255.0) as u8
        };
        let pixels = (0..locations).flat_map(|at| (0..channels).map(move |channel| level(channel, at)));
        Image::new(self.pixels, self.pixels, self.channels, pixels.collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::augment::normalize::{Normalizer, Params};

    use super::*;

    #[test]
    fn a_picture_survives_normalisation_and_its_file() {
        let pixels: Vec<u8> = (0..32 * 32 * 3).map(|i| (i * 7 % 256) as u8).collect();
        let picture = Image::new(32, 32, 3, pixels).unwrap();
        let augment = AugmentConfig {
            flip_probability: 0.0,
            crop: None,
            translate: None,
            color_jitter: None,
            grayscale_probability: 0.0,
            mean: vec![0.5, 0.4, 0.3],
            std: vec![0.2, 0.25, 0.3],
            eval_resize: None,
            pixels: 32,
            channels: 3,
            decode: crate::DecodeMode::Exact,
            policy: None,
            views: crate::augment::Views::Augmented,
        };
        let mut view = vec![0.0; 32 * 32 * 3];
        Normalizer::new(&Params { mean: augment.mean.clone(), std: augment.std.clone() })
            .apply(&picture, &mut view);
        assert_eq!(augment.picture_of(&view).unwrap(), picture);
        assert!(augment.picture_of(&view[1..]).is_err());
        let file = encode_png(&picture).unwrap();
        let read = image::load_from_memory(&file).unwrap().into_rgb8();
        assert_eq!((read.dimensions(), read.into_raw()), ((32, 32), picture.pixels));
    }
}
