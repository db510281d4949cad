//! How the online classifiers do on the test pictures.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use amdim_core::model::Model;
use amdim_core::tensors;
use amdim_data::{AugmentConfig, BadImagePolicy, Dataset};

use crate::embed::all_indices;
use crate::features::{Pictures, each_batch};
use crate::labels::LabelMap;
use crate::{Result, RunError};

/// Test pictures encoded at once.
const BATCH: usize = 256;

/// The labelled test pictures of a run.
pub(crate) struct OnlineTest {
    dataset: Arc<dyn Dataset>,
    indices: Vec<u32>,
    /// `[pictures of the data set]`, in the numbering of the training classes; -1 for none
    labels: Vec<i64>,
}

impl OnlineTest {
    /// Finds the labels of the test pictures among the training set's classes; none if no picture has one.
    ///
    /// # Errors
    /// [`RunError::Labels`] for a class that the training set does not have.
    pub(crate) fn new(dataset: Arc<dyn Dataset>, classes: &[String]) -> Result<Option<Self>> {
        let map = LabelMap::new("test", dataset.as_ref(), classes);
        let all = all_indices(dataset.as_ref())?;
        let labels = all
            .iter()
            .map(|&index| Ok(map.get(index)?.map_or(-1, i64::from)))
            .collect::<Result<Vec<i64>>>()?;
        let indices: Vec<u32> = all.into_iter().filter(|&index| labels[index as usize] >= 0).collect();
        Ok((!indices.is_empty()).then_some(Self { dataset, indices, labels }))
    }

    /// Accuracy of the linear classifier and of the MLP in eval mode, 0..1 each.
    pub(crate) fn accuracies(
        &self,
        model: &mut Model,
        augment: &AugmentConfig,
        threads: usize,
        on_bad_image: BadImagePolicy,
        cancel: &AtomicBool,
    ) -> Result<(f64, f64)> {
        let dataset = self.dataset.as_ref();
        let pictures =
            Pictures { dataset, indices: &self.indices, augment, batch: BATCH, threads, on_bad_image };
        let (mut linear_correct, mut mlp_correct, mut count) = (0, 0, 0);
        each_batch(&pictures, cancel, |batch, _| {
            if batch.indices.is_empty() {
                return Ok(());
            }
            let images = model.images(&batch.pixels, batch.indices.len())?;
            let global = model.embed_global(&images)?;
            let heads = model
                .classifiers
                .as_ref()
                .ok_or_else(|| RunError::internal("a run without classifiers is not tested"))?;
            let (mlp, linear) = heads.logits(&global)?;
            let labels: Vec<i64> = batch.indices.iter().map(|&index| self.labels[index as usize]).collect();
            linear_correct += correct(&tensors::to_vec(&linear)?, &labels);
            mlp_correct += correct(&tensors::to_vec(&mlp)?, &labels);
            count += labels.len();
            Ok(())
        })?;
        let share = |correct: usize| correct as f64 / count.max(1) as f64;
        Ok((share(linear_correct), share(mlp_correct)))
    }
}

/// Rows of logits `[rows, classes]` whose largest is their label's; of equal ones the first counts.
fn correct(logits: &[f32], labels: &[i64]) -> usize {
    let classes = logits.len() / labels.len();
    let first_largest =
        |row: &[f32]| (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    logits
        .chunks_exact(classes)
        .zip(labels)
        .filter(|&(row, &label)| first_largest(row) as i64 == label)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_rows_whose_largest_logit_is_their_labels() {
        assert_eq!(correct(&[0.0, 1.0, 5.0, 2.0, 3.0, 3.0], &[1, 1, 0]), 2);
    }
}
