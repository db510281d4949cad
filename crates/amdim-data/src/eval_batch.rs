//! Batches of test views, in the order asked for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::augment::{AugmentConfig, Pipeline, Scratch};
use crate::dataset::{Dataset, check_index};
use crate::decode::ChoosePart;
use crate::error::{DataError, Result, panic_message};
use crate::loader::{BadImagePolicy, SkippedPicture, Transform, read};

/// Test views of some pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalBatch {
    /// `[pictures, channels, pixels, pixels]`, normalised; pictures left out take no place.
    pub pixels: Vec<f32>,
    /// `[pictures]`, classes; -1 where there is no label.
    pub labels: Vec<i64>,
    /// `[pictures]`, indices in the data set, in the order asked for.
    pub indices: Vec<u32>,
    /// The pictures left out.
    pub skipped: Vec<SkippedPicture>,
}

/// Makes the test views of the pictures `indices` of `dataset` on `threads` threads.
///
/// The result does not depend on `threads` (0 is taken as 1).
///
/// # Errors
/// [`DataError::InvalidArgument`] for a configuration out of its range or an index beyond the end; the error of the
/// first bad picture under [`BadImagePolicy::Error`].
pub fn load_eval_batch(
    dataset: &dyn Dataset,
    indices: &[u32],
    augment: &AugmentConfig,
    threads: usize,
    on_bad_image: BadImagePolicy,
    transform: Option<&Transform>,
) -> Result<EvalBatch> {
    let pipeline = Pipeline::new(augment)?;
    for &index in indices {
        check_index(index as usize, dataset.len())?;
    }
    let values = pipeline.view_values();
    let mut pixels = vec![0.0; indices.len() * values];
    let load = |indices: &[u32], pixels: &mut [f32]| -> Vec<Result<()>> {
        let mut scratch = Scratch::default();
        let views = pixels.chunks_exact_mut(values);
        indices
            .iter()
            .zip(views)
            .map(|(&index, view)| load_one(dataset, index, &pipeline, transform, &mut scratch, view))
            .collect()
    };
    let share = indices.len().div_ceil(threads.max(1)).max(1);
    let outcomes: Vec<Result<()>> = if indices.len() <= share {
        load(indices, &mut pixels)
    } else {
        thread::scope(|scope| {
            let parts = indices.chunks(share).zip(pixels.chunks_mut(share * values));
            let workers: Vec<_> =
                parts.map(|(indices, pixels)| scope.spawn(|| load(indices, pixels))).collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap_or_else(|panic| vec![Err(caught(&*panic))]))
                .collect()
        })
    };
    gather(dataset, indices, pixels, values, outcomes, on_bad_image)
}

fn load_one(
    dataset: &dyn Dataset,
    index: u32,
    pipeline: &Pipeline,
    transform: Option<&Transform>,
    scratch: &mut Scratch,
    view: &mut [f32],
) -> Result<()> {
    let name = || dataset.name(index as usize);
    catch_unwind(AssertUnwindSafe(|| {
        let part = &mut |choose: &mut ChoosePart<'_>| dataset.part(index as usize, choose);
        read(part, transform, &mut |width, height| pipeline.wanted_for_test(width, height))?
            .and_then(|part| pipeline.test_view(part, scratch, view))
            .map_err(|error| error.with_picture(&name()))
    }))
    .unwrap_or_else(|panic| Err(caught(&*panic)))
}

fn caught(panic: &(dyn std::any::Any + Send)) -> DataError {
    DataError::Internal { message: panic_message(panic) }
}

/// Moves the views of good pictures together and lists the bad ones.
fn gather(
    dataset: &dyn Dataset,
    asked: &[u32],
    mut pixels: Vec<f32>,
    values: usize,
    outcomes: Vec<Result<()>>,
    on_bad_image: BadImagePolicy,
) -> Result<EvalBatch> {
    let mut indices = Vec::with_capacity(asked.len());
    let mut skipped = Vec::new();
    for (slot, (&index, outcome)) in asked.iter().zip(outcomes).enumerate() {
        match outcome {
            Ok(()) => {
                pixels.copy_within(slot * values..(slot + 1) * values, indices.len() * values);
                indices.push(index);
            }
            Err(error) if error.is_bad_picture() && on_bad_image == BadImagePolicy::Skip => {
                skipped.push(SkippedPicture::new(dataset.name(index as usize), &error));
            }
            Err(error) => return Err(error),
        }
    }
    pixels.truncate(indices.len() * values);
    let labels = indices.iter().map(|&index| dataset.label(index as usize).map_or(-1, i64::from)).collect();
    Ok(EvalBatch { pixels, labels, indices, skipped })
}
