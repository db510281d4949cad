//! Normalisation: 8-bit levels to floats, each channel less its mean, by its standard deviation.

use crate::image::Image;

/// What is subtracted and divided by, per channel, on the 0..=1 scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Mean of each channel.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, above 0.
    pub std: Vec<f64>,
}

/// The 256 normalised values of each channel.
#[derive(Debug, Clone)]
pub struct Normalizer {
    tables: Vec<[f32; 256]>,
}

impl Normalizer {
    /// Computes `(level / 255 - mean) / std` for every level in single precision, as `torchvision`'s `ToTensor`
    /// and `Normalize` do.
    pub fn new(params: &Params) -> Self {
        let table = |(&mean, &std): (&f64, &f64)| -> [f32; 256] {
            std::array::from_fn(|level| (level as f32 / 255.0 - mean as f32) / std as f32)
        };
        Self { tables: params.mean.iter().zip(&params.std).map(table).collect() }
    }

    /// Writes the normalised planes of `image` into `planes`.
    ///
    /// # Shapes
    /// `planes: [channels, height, width]`; the image has as many channels as the parameters.
    pub fn apply(&self, image: &Image, planes: &mut [f32]) {
        let plane_values = image.width as usize * image.height as usize;
        if let ([red, green, blue], 3) = (self.tables.as_slice(), image.channels) {
            let (reds, rest) = planes.split_at_mut(plane_values);
            let (greens, blues) = rest.split_at_mut(plane_values);
            let outputs = reds.iter_mut().zip(greens).zip(blues);
            for (&[r, g, b], ((to_r, to_g), to_b)) in image.pixels.as_chunks::<3>().0.iter().zip(outputs) {
                *to_r = red[usize::from(r)];
                *to_g = green[usize::from(g)];
                *to_b = blue[usize::from(b)];
            }
        } else {
            for (value, output) in image.pixels.iter().zip(planes) {
                *output = self.tables[0][usize::from(*value)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_in_channel_order() {
        let image = Image::new(2, 1, 3, vec![0, 255, 51, 255, 0, 102]).unwrap();
        let normalizer = Normalizer::new(&Params { mean: vec![0.5, 0.0, 0.2], std: vec![0.5, 1.0, 0.1] });
        let mut planes = [0.0; 6];
        normalizer.apply(&image, &mut planes);
        for (value, expected) in planes.iter().zip([-1.0, 1.0, 1.0, 0.0, 0.0, 2.0]) {
            assert!((value - expected).abs() < 1e-6, "{planes:?}");
        }
    }

    #[test]
    fn gray_has_one_plane() {
        let image = Image::new(2, 1, 1, vec![0, 255]).unwrap();
        let mut planes = [0.0; 2];
        Normalizer::new(&Params { mean: vec![0.5], std: vec![0.25] }).apply(&image, &mut planes);
        assert_eq!(planes, [-2.0, 2.0]);
    }
}
