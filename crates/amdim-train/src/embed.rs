//! Features of a data set for its user.

use std::sync::atomic::AtomicBool;

use amdim_data::Dataset;

use crate::config::EmbedRequest;
use crate::event::Skipped;
use crate::features::{Encoded, Pictures, Reader, encode};
use crate::model::TrainedModel;
use crate::place::on_threads;
use crate::{Result, RunError};

/// Features of pictures, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// `[pictures, embedding, side, side]`, row-major.
    pub data: Vec<f32>,
    /// The shape of `data`.
    pub shape: [usize; 4],
    /// `[pictures]`, classes; -1 for none.
    pub labels: Vec<i32>,
    /// `[pictures]`, names in the data set.
    pub names: Vec<String>,
    /// Pictures that were left out.
    pub skipped: Vec<Skipped>,
}

/// Embeds every picture with the encoder in evaluation mode and the test-time transform of its configuration.
///
/// `progress` hears the number of pictures done after every batch.
///
/// # Errors
/// `AMDIM_INVALID_ARGUMENT` for a bad request; the errors of the pictures; `AMDIM_CANCELLED` once `cancel` is set.
pub fn embed(
    model: &mut TrainedModel,
    dataset: &dyn Dataset,
    request: &EmbedRequest,
    progress: &mut (dyn FnMut(usize) + Send),
    cancel: &AtomicBool,
) -> Result<Embedding> {
    request.validate()?;
    request.layer.place("layer", model.model.scales())?;
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
    let reader = Reader::Encoder(&mut model.model, request.layer);
    let encoded = on_threads(threads, || encode(reader, &pictures, progress, cancel))?;
    let side = request.layer.side();
    Ok(in_order(dataset, encoded, [model.model.config().encoder.embedding_dim(), side, side]))
}

/// Values of a shape for each picture, with the pictures' names and labels.
pub(crate) fn in_order(
    dataset: &dyn Dataset,
    encoded: Encoded,
    [channels, height, width]: [usize; 3],
) -> Embedding {
    let Encoded { values, indices, skipped, .. } = encoded;
    let label = |&index: &u32| dataset.label(index as usize).map_or(-1, |label| label as i32);
    Embedding {
        data: values,
        shape: [indices.len(), channels, height, width],
        labels: indices.iter().map(label).collect(),
        names: indices.iter().map(|&index| dataset.name(index as usize)).collect(),
        skipped,
    }
}

/// The indices of every picture.
pub(crate) fn all_indices(dataset: &dyn Dataset) -> Result<Vec<u32>> {
    let len = u32::try_from(dataset.len())
        .map_err(|_| RunError::argument("data set", "at most 4294967295 pictures", dataset.len()))?;
    Ok((0..len).collect())
}
