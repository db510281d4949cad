//! Features of a data set, batch after batch; pictures are decoded ahead while the encoder works.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use amdim_core::model::Model;
use amdim_data::{AugmentConfig, BadImagePolicy, Dataset, EvalBatch, load_eval_batch};
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::event::Skipped;
use crate::layer::Layer;
use crate::{Result, RunError};

/// Batches decoded ahead.
const AHEAD: usize = 2;

/// Which pictures are read, and how.
pub(crate) struct Pictures<'a> {
    pub(crate) dataset: &'a dyn Dataset,
    /// Which of them, in this order.
    pub(crate) indices: &'a [u32],
    /// The test-time transform.
    pub(crate) augment: &'a AugmentConfig,
    pub(crate) batch: usize,
    pub(crate) threads: usize,
    pub(crate) on_bad_image: BadImagePolicy,
}

/// What turns pictures into features.
pub(crate) enum Reader<'a> {
    /// A layer of an encoder with its running statistics; no posterior.
    Encoder(&'a mut Model, Layer),
    /// The normalised pixels themselves.
    Pixels,
}

/// Features of some pictures.
pub(crate) struct Encoded {
    /// `[pictures, dim]`
    pub(crate) values: Vec<f32>,
    /// Values a picture.
    pub(crate) dim: usize,
    /// `[pictures]`, indices in the data set.
    pub(crate) indices: Vec<u32>,
    /// Pictures left out.
    pub(crate) skipped: Vec<Skipped>,
}

impl<'a> Reader<'a> {
    /// A layer of the encoder, or the pixels where there is no model.
    pub(crate) fn of(model: Option<&'a mut Model>, layer: Layer) -> Self {
        model.map_or(Self::Pixels, |model| Self::Encoder(model, layer))
    }

    /// Values that one picture of `augment` becomes.
    ///
    /// # Errors
    /// `AMDIM_INVALID_ARGUMENT` for a layer that the model does not have.
    pub(crate) fn dim(&self, augment: &AugmentConfig) -> Result<usize> {
        Ok(match self {
            Self::Encoder(model, layer) => layer.shape(model)?.iter().product(),
            Self::Pixels => usize::from(augment.channels) * (augment.pixels as usize).pow(2),
        })
    }

    /// Features of a batch of normalised pixels, `[pictures, dim]`; maps as `[embedding, side, side]`.
    pub(crate) fn read(&mut self, pixels: Vec<f32>, pictures: usize) -> Result<Vec<f32>> {
        match self {
            Self::Encoder(model, layer) => {
                let images = model.images(&pixels, pictures)?;
                layer.read(model, &images, None)
            }
            Self::Pixels => Ok(pixels),
        }
    }
}

/// Features of the pictures; `progress` hears the number of pictures done after every batch.
///
/// # Errors
/// Those of the pictures and of the encoder; [`RunError::Cancelled`] once `cancel` is set.
pub(crate) fn encode(
    mut reader: Reader,
    pictures: &Pictures,
    progress: &mut (dyn FnMut(usize) + Send),
    cancel: &AtomicBool,
) -> Result<Encoded> {
    let dim = reader.dim(pictures.augment)?;
    let mut encoded = Encoded {
        values: Vec::with_capacity(pictures.indices.len() * dim),
        dim,
        indices: Vec::with_capacity(pictures.indices.len()),
        skipped: vec![],
    };
    let mut done = 0;
    each_batch(pictures, cancel, |mut batch, asked| {
        encoded.skipped.extend(batch.skipped.drain(..).map(Skipped::from));
        encoded.indices.extend_from_slice(&batch.indices);
        if !batch.indices.is_empty() {
            encoded.values.extend(reader.read(batch.pixels, batch.indices.len())?);
        }
        done += asked;
        progress(done);
        Ok(())
    })?;
    Ok(encoded)
}

/// Hands each batch of test views to `use_batch`, with the number of pictures asked for.
pub(crate) fn each_batch(
    pictures: &Pictures,
    cancel: &AtomicBool,
    mut use_batch: impl FnMut(EvalBatch, usize) -> Result<()>,
) -> Result<()> {
    let (sender, receiver): (Sender<_>, Receiver<_>) = bounded(AHEAD);
    thread::scope(|scope| {
        scope.spawn(move || decode_ahead(pictures, &sender));
        // The receiver is dropped at the end of this closure, which ends the other thread's work too.
        let receiver = receiver;
        for (batch, asked) in &receiver {
            if cancel.load(Ordering::Relaxed) {
                return Err(RunError::Cancelled);
            }
            use_batch(batch?, asked)?;
        }
        Ok(())
    })
}

fn decode_ahead(pictures: &Pictures, sender: &Sender<(amdim_data::error::Result<EvalBatch>, usize)>) {
    let Pictures { dataset, augment, threads, on_bad_image, .. } = *pictures;
    for indices in pictures.indices.chunks(pictures.batch) {
        let batch = load_eval_batch(dataset, indices, augment, threads, on_bad_image, None);
        let failed = batch.is_err();
        // A closed channel means that nobody wants more.
        if sender.send((batch, indices.len())).is_err() || failed {
            return;
        }
    }
}
