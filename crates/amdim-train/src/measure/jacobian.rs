//! How an encoder's vector follows its picture: singular values of its Jacobian.

use std::sync::atomic::{AtomicBool, Ordering};

use amdim_core::executor::ExecutorKind;
use amdim_core::model::{Model, Placement};
use amdim_eval::{Stop, singular_values};
use candle_core::Device;

use super::report::JacobianReport;
use crate::{Result, RunError};

/// Half the distance of two pixels between which a slope is taken, in units of normalised pixels.
const STEP: f64 = 1e-4;
/// Changed pictures that are encoded at once.
const BATCH: usize = 128;

/// The Jacobian of the global vector by the normalised pixels, at each of `pictures` (`[count, channels, height, width]`),
/// by central differences in f64, with the running statistics. Values are geometric means over the pictures.
///
/// # Errors
/// `AMDIM_CANCELLED` once `cancel` is set.
pub(super) fn jacobian(
    model: &Model,
    pictures: &[f32],
    stop: Stop<'_>,
    cancel: &AtomicBool,
) -> Result<JacobianReport> {
    let placement = Placement::exact(ExecutorKind::Cpu, model.placement().threads);
    let mut exact = Model::new(model.config().clone(), 0, placement)?;
    exact.load_encoder(&model.encoder_state()?)?;
    let inputs = exact.encoder().input.len();
    let outputs = exact.config().encoder.embedding_dim();
    let count = pictures.len() / inputs;
    let mut logarithms = vec![0.0; inputs.min(outputs)];
    let mut condition = 0.0;
    for picture in pictures.chunks_exact(inputs) {
        let matrix = matrix(&mut exact, picture, outputs, cancel)?;
        let values = singular_values(&matrix, inputs, outputs, stop)?;
        let largest = values[0].max(f64::MIN_POSITIVE);
        // What lies below is rounding.
        let floor = largest * f64::EPSILON.sqrt();
        for (sum, value) in logarithms.iter_mut().zip(&values) {
            *sum += value.max(floor).ln() / count as f64;
        }
        condition += (largest / values[values.len() - 1].max(floor)).ln() / count as f64;
    }
    Ok(JacobianReport {
        condition_number: condition.exp(),
        singular_values: logarithms.into_iter().map(f64::exp).collect(),
        pictures: count,
    })
}

/// `[inputs, outputs]`: the slope of every component of the vector by every pixel.
fn matrix(exact: &mut Model, picture: &[f32], outputs: usize, cancel: &AtomicBool) -> Result<Vec<f64>> {
    let inputs = picture.len();
    let input = exact.encoder().input;
    let mut matrix = Vec::with_capacity(inputs * outputs);
    let pixels: Vec<usize> = (0..inputs).collect();
    for pixels in pixels.chunks(BATCH / 2) {
        if cancel.load(Ordering::Relaxed) {
            return Err(RunError::Cancelled);
        }
        let changed = pixels.iter().flat_map(|&pixel| [(pixel, STEP), (pixel, -STEP)]);
        let values: Vec<f64> = changed
            .flat_map(|(pixel, by)| {
                let moved =
                    move |(at, &value): (usize, &f32)| f64::from(value) + if at == pixel { by } else { 0.0 };
                picture.iter().enumerate().map(moved)
            })
            .collect();
        let dims = (2 * pixels.len(), input.channels, input.height, input.width);
        let error = amdim_core::Error::from;
        let images = candle_core::Tensor::from_vec(values, dims, &Device::Cpu).map_err(error)?;
        let vectors = exact.embed_global(&images)?.to_vec2::<f64>().map_err(error)?;
        for pair in vectors.chunks_exact(2) {
            matrix.extend(pair[0].iter().zip(&pair[1]).map(|(up, down)| (up - down) / (2.0 * STEP)));
        }
    }
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    use amdim_core::encoder::{Activation, MlpEncoder};
    use amdim_core::model::ModelConfig;
    use amdim_core::tensors;
    use amdim_eval::never;

    use super::*;

    fn model() -> Model {
        let encoder = MlpEncoder {
            encoder_size: 28,
            input_channels: 1,
            hidden_units: 5,
            hidden_layers: 1,
            embedding_dim: 3,
            activation: Activation::Tanh,
        };
        let config = ModelConfig::encoder_alone(encoder.into());
        Model::new(config, 3, Placement::cpu(2)).unwrap()
    }

    /// By the chain rule: `second * diag(1 - tanh^2) * first`.
    #[test]
    fn a_perceptron_has_the_jacobian_of_the_chain_rule() {
        let model = model();
        let picture: Vec<f32> = (0..784).map(|i| (i as f32 * 0.37).sin()).collect();
        let report =
            jacobian(&model, &[picture.clone(), picture.clone()].concat(), never(), &AtomicBool::new(false));
        let report = report.unwrap();
        assert_eq!((report.pictures, report.singular_values.len()), (2, 3));
        let values = tensors::to_vec(&model.parameters).unwrap();
        let (first, rest) = values.split_at(5 * 784);
        let (first_bias, rest) = rest.split_at(5);
        let second = &rest[..15];
        let slopes: Vec<f64> = (0..5)
            .map(|unit| {
                let sum: f32 = first[unit * 784..][..784].iter().zip(&picture).map(|(w, x)| w * x).sum();
                1.0 - f64::from(sum + first_bias[unit]).tanh().powi(2)
            })
            .collect();
        let mut expected = vec![];
        for pixel in 0..784 {
            for out in 0..3 {
                let along = |unit: usize| {
                    f64::from(second[out * 5 + unit]) * slopes[unit] * f64::from(first[unit * 784 + pixel])
                };
                expected.push((0..5).map(along).sum::<f64>());
            }
        }
        let expected = singular_values(&expected, 784, 3, never()).unwrap();
        for (found, expected) in report.singular_values.iter().zip(&expected) {
            assert!((found / expected - 1.0).abs() < 1e-4, "{found} {expected}");
        }
        assert!((report.condition_number - expected[0] / expected[2]).abs() < 1e-3 * report.condition_number);
    }
}
