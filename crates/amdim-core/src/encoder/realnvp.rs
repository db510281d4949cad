//! Invertible encoders as descriptions.

use amdim_network::{Builder, DescribeError, MapShape, Network, Parity, Source};

use super::{check_counts, check_size};
use crate::{Error, Result};

/// Sides of the pictures that these encoders take, in pixels.
pub const REAL_NVP_SIZES: [usize; 3] = [28, 32, 64];

/// An encoder that loses nothing: `couplings` affine couplings one after another, each of which scales and moves every
/// other value of the picture by a perceptron's answer to the rest; even and odd values take turns. The vector has as many
/// dimensions as the picture has values, and the picture can be told from it, so that the mutual information of two vectors
/// is that of their pictures, whatever the parameters.
///
/// At first it is the identity: the vector is the picture itself. There is no local map and no batch norm.
///
/// # Source
/// Dinh, Sohl-Dickstein, Bengio 2017, arXiv 1605.08803; as an encoder Tschannen et al. 2020, arXiv 1907.13625, section 3.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealNvpEncoder {
    /// Side of the pictures in pixels: 28, 32 or 64.
    pub encoder_size: usize,
    /// Channels of the pictures; 3 for colour, 1 for grey.
    pub input_channels: usize,
    /// Units of a perceptron's two hidden layers, at least 1.
    pub hidden_units: usize,
    /// Number of couplings, at least 2: one alone leaves half of the picture as it is.
    pub couplings: usize,
}

impl RealNvpEncoder {
    /// The network, whose one output is the vector.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a size that does not exist or a count out of range.
    pub fn describe(&self) -> Result<Network> {
        check_size(self.encoder_size, &REAL_NVP_SIZES, " with kind realnvp")?;
        check_counts(&[
            ("inputChannels", self.input_channels),
            ("baseWidth", self.hidden_units),
            ("blockDepth", self.couplings),
        ])?;
        if self.couplings < 2 {
            let expected = "at least 2 with kind realnvp, so that every value has its turn";
            return Err(Error::argument("blockDepth", expected, self.couplings));
        }
        Ok(self.build()?)
    }

    /// Values of a picture.
    pub fn embedding_dim(&self) -> usize {
        self.input_channels * self.encoder_size * self.encoder_size
    }

    fn build(&self) -> std::result::Result<Network, DescribeError> {
        let side = self.encoder_size;
        let mut builder = Builder::new(MapShape { channels: self.input_channels, height: side, width: side });
        let mut top = builder.flatten("values", Source::Picture);
        for number in 1..=self.couplings {
            let kept = if number % 2 == 1 { Parity::Even } else { Parity::Odd };
            top = builder.coupling(&format!("coupling{number}"), top, kept, self.hidden_units)?;
        }
        Ok(builder.finish(vec![top]))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::executor::ExecutorKind;
    use crate::model::{Model, ModelConfig, Placement};
    use crate::tensors;

    fn encoder() -> RealNvpEncoder {
        RealNvpEncoder { encoder_size: 28, input_channels: 1, hidden_units: 6, couplings: 3 }
    }

    fn pictures() -> Vec<f64> {
        (0..2 * 784).map(|i| (f64::from(i) * 0.37).sin()).collect()
    }

    fn vectors(model: &mut Model) -> Vec<f64> {
        let images = Tensor::from_vec(pictures(), (2, 1, 28, 28), &Device::Cpu).unwrap();
        model.embed(&images).unwrap().global().unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
    }

    #[test]
    fn it_starts_as_the_identity() {
        for kind in [ExecutorKind::Cpu, ExecutorKind::Candle] {
            let config = ModelConfig::encoder_alone(encoder().into());
            let mut model = Model::new(config, 3, Placement::exact(kind, 2)).unwrap();
            assert_eq!(vectors(&mut model), pictures());
        }
    }

    /// Couplings are undone from the last to the first, each by the perceptron that made it.
    #[test]
    fn pictures_can_be_told_from_vectors() {
        let config = ModelConfig::encoder_alone(encoder().into());
        let mut model = Model::new(config, 3, Placement::exact(ExecutorKind::Cpu, 2)).unwrap();
        let count = model.parameters.elem_count();
        let moved: Vec<f64> = (0..count).map(|i| (i as f64 * 1.7).sin() * 0.3).collect();
        model.parameters = tensors::from_slice(
            &moved.iter().map(|&value| value as f32).collect::<Vec<_>>(),
            &[count],
            model.parameters.dtype(),
            model.parameters.device(),
        )
        .unwrap();
        let values: Vec<f64> = model.parameters.to_vec1().unwrap();
        let network = encoder().describe().unwrap();
        let parameter = |name: &str| {
            let found = network.parameters.iter().find(|parameter| parameter.name == name).unwrap();
            &values[found.range()]
        };
        let linear = |name: &str, x: &[f64], relu: bool| -> Vec<f64> {
            let weight = parameter(&format!("{name}.weight"));
            let bias = parameter(&format!("{name}.bias"));
            let rows = weight.chunks_exact(x.len()).zip(bias);
            let sums = rows.map(|(row, bias)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias);
            sums.map(|sum| if relu { sum.max(0.0) } else { sum }).collect()
        };
        let encoded = vectors(&mut model);
        assert!(encoded.iter().zip(pictures()).any(|(a, b)| (a - b).abs() > 0.1));
        let decoded = encoded.chunks_exact(784).flat_map(|vector| {
            let mut vector = vector.to_vec();
            for number in (1..=3).rev() {
                let kept = 1 - number % 2;
                let input: Vec<f64> = vector.iter().skip(kept).step_by(2).copied().collect();
                let layer =
                    |name: &str, x: &[f64], relu| linear(&format!("coupling{number}.{name}"), x, relu);
                let told = layer("output", &layer("hidden2", &layer("hidden1", &input, true), true), false);
                for k in 0..392 {
                    let value = &mut vector[2 * k + 1 - kept];
                    *value = (*value - told[392 + k]) / told[k].tanh().exp();
                }
            }
            vector
        });
        for (found, expected) in decoded.zip(pictures()) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn impossible_encoders_are_typed_errors() {
        for bad in [
            RealNvpEncoder { encoder_size: 128, ..encoder() },
            RealNvpEncoder { hidden_units: 0, ..encoder() },
            RealNvpEncoder { couplings: 1, ..encoder() },
            RealNvpEncoder { input_channels: 0, ..encoder() },
        ] {
            assert_eq!(bad.describe().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
    }
}
