//! Features of a data set for its user.

use std::sync::atomic::AtomicBool;

use amdim_data::Dataset;
use amdim_random::Stream;

use crate::config::EmbedRequest;
use crate::event::Skipped;
use crate::features::{Encoded, Pictures, each_batch};
use crate::layer::Layer;
use crate::model::TrainedModel;
use crate::place::on_threads;
use crate::posterior_maps::PosteriorMaps;
use crate::{Result, RunError};

/// Features of pictures, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// `[pictures, ...]`, the layer of one picture after another, row-major.
    pub data: Vec<f32>,
    /// The shape of `data`: `[pictures, embedding]` for the global layer, `[pictures, embedding, side, side]` for a
    /// local one, `[pictures, components, embedding]` for mixture features, `[pictures, components, side, side]` for
    /// posteriors.
    pub shape: Vec<usize>,
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
/// `AMDIM_INVALID_ARGUMENT` for a bad request or a layer that the model does not have; the errors of the pictures;
/// `AMDIM_IO` if a picture of a posterior can't be written; `AMDIM_CANCELLED` once `cancel` is set.
pub fn embed(
    model: &mut TrainedModel,
    dataset: &dyn Dataset,
    request: &EmbedRequest,
    progress: &mut (dyn FnMut(usize) + Send),
    cancel: &AtomicBool,
) -> Result<Embedding> {
    request.validate()?;
    let of_picture = request.layer.shape(&model.model)?;
    let indices = all_indices(dataset)?;
    let config = &model.record.config;
    let pictures = Pictures {
        dataset,
        indices: &indices,
        augment: &config.augment,
        batch: request.batch_size,
        threads: request.threads,
        on_bad_image: request.on_bad_image.into(),
    };
    let threads = model.model.placement().threads;
    let maps = match (&request.posterior_maps, request.layer) {
        (Some(folder), Layer::Posterior(scale)) => {
            Some(PosteriorMaps::new(folder, dataset, &config.augment, scale)?)
        }
        _ => None,
    };
    let dim = of_picture.iter().product();
    let mut encoded =
        Encoded { values: Vec::with_capacity(indices.len() * dim), dim, indices: vec![], skipped: vec![] };
    let (encoder, mut done) = (&mut model.model, 0);
    let work = || {
        each_batch(&pictures, cancel, |mut batch, asked| {
            encoded.skipped.extend(batch.skipped.drain(..).map(Skipped::from));
            if !batch.indices.is_empty() {
                let images = encoder.images(&batch.pixels, batch.indices.len())?;
                let values = request.layer.read(encoder, &images, Some(&config.objective))?;
                if let Some(maps) = &maps {
                    maps.write(&batch, &values)?;
                }
                encoded.values.extend(values);
            }
            encoded.indices.extend_from_slice(&batch.indices);
            done += asked;
            progress(done);
            Ok(())
        })
    };
    on_threads(threads, work)?;
    Ok(in_order(dataset, encoded, &of_picture))
}

/// Values of a shape for each picture, with the pictures' names and labels.
pub(crate) fn in_order(dataset: &dyn Dataset, encoded: Encoded, of_picture: &[usize]) -> Embedding {
    let Encoded { values, indices, skipped, .. } = encoded;
    let label = |&index: &u32| dataset.label(index as usize).map_or(-1, |label| label as i32);
    Embedding {
        data: values,
        shape: [&[indices.len()], of_picture].concat(),
        labels: indices.iter().map(label).collect(),
        names: indices.iter().map(|&index| dataset.name(index as usize)).collect(),
        skipped,
    }
}

/// The indices of every picture, or of the first `most` of a permutation that `stream` draws; ascending.
pub(crate) fn some_indices(
    dataset: &dyn Dataset,
    most: Option<usize>,
    mut stream: Stream,
) -> Result<Vec<u32>> {
    let all = all_indices(dataset)?;
    match most {
        Some(most) if most < all.len() => {
            let mut order = stream.permutation(all.len());
            order.truncate(most);
            order.sort_unstable();
            Ok(order)
        }
        _ => Ok(all),
    }
}

/// The indices of every picture.
pub(crate) fn all_indices(dataset: &dyn Dataset) -> Result<Vec<u32>> {
    let len = u32::try_from(dataset.len())
        .map_err(|_| RunError::argument("data set", "at most 4294967295 pictures", dataset.len()))?;
    Ok((0..len).collect())
}
