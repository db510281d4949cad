//! Classes of pictures, by the classifiers that were trained beside an encoder.

use std::sync::atomic::AtomicBool;

use amdim_core::encoder::Scale;
use amdim_core::loss::soft_clip;
use amdim_core::tensors;
use amdim_data::Dataset;
use candle_core::{D, Tensor};

use crate::config::{ClassifierHead, ClassifyRequest};
use crate::embed::{Embedding, all_indices, in_order};
use crate::features::{Pictures, Reader, encode};
use crate::model::TrainedModel;
use crate::place::on_threads;
use crate::{Result, RunError};

/// Probabilities of the classes for every picture, by one of the model's classifiers: the encoder in evaluation mode,
/// the test-time transform of its configuration, a softmax over the soft-clipped logits as in training.
///
/// Returns them as features of the shape `[pictures, classes, 1, 1]`. `progress` hears the number of pictures done
/// after every batch.
///
/// # Errors
/// `AMDIM_INVALID_ARGUMENT` for a bad request or a model without classifiers; the errors of the pictures;
/// `AMDIM_CANCELLED` once `cancel` is set.
pub fn classify(
    model: &mut TrainedModel,
    dataset: &dyn Dataset,
    request: &ClassifyRequest,
    progress: &mut (dyn FnMut(usize) + Send),
    cancel: &AtomicBool,
) -> Result<Embedding> {
    request.validate()?;
    let Some(heads) = model.model.classifiers.clone() else {
        let expected = "one with classifiers (trained on pictures with labels, or by the classifier task)";
        return Err(RunError::argument("model", expected, "an encoder alone"));
    };
    let indices = all_indices(dataset)?;
    let pictures = Pictures {
        dataset,
        indices: &indices,
        augment: &model.record.config.augment,
        batch: request.batch_size,
        threads: request.threads,
        on_bad_image: request.on_bad_image.into(),
    };
    let threads = model.model.placement().threads;
    let mut encoded = on_threads(threads, || {
        encode(Reader::Encoder(&mut model.model, Scale::GLOBAL.into()), &pictures, progress, cancel)
    })?;
    let clip = heads.config().logit_clip;
    let mut probabilities = Vec::with_capacity(encoded.indices.len() * heads.classes());
    for rows in encoded.values.chunks(encoded.dim * request.batch_size) {
        let shape = [rows.len() / encoded.dim, encoded.dim];
        let features = tensors::from_slice(rows, &shape, heads.values.dtype(), heads.values.device())?;
        let (mlp, linear) = heads.logits(&features)?;
        let logits = if request.head == ClassifierHead::Mlp { mlp } else { linear };
        probabilities.extend(tensors::to_vec(&softmax(&soft_clip(&logits, clip)?)?)?);
    }
    encoded.values = probabilities;
    Ok(in_order(dataset, encoded, &[heads.classes()]))
}

/// Softmax over the classes, `[rows, classes]`.
fn softmax(logits: &Tensor) -> amdim_core::Result<Tensor> {
    let powers = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
    Ok(powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn probabilities_add_up_and_no_logit_is_too_large() {
        let logits = Tensor::new(&[[0.0_f32, 1.0, -1.0], [1e9, -1e9, 0.0]], &Device::Cpu).unwrap();
        let rows: Vec<Vec<f32>> = softmax(&soft_clip(&logits, 10.0).unwrap()).unwrap().to_vec2().unwrap();
        let clipped = |x: f32| 10.0 * (x / 10.0).tanh();
        let sum: f32 = [0.0, 1.0, -1.0].map(|x| clipped(x).exp()).iter().sum();
        assert!((rows[0][1] - clipped(1.0).exp() / sum).abs() < 1e-6);
        for row in rows {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{row:?}");
        }
    }
}
