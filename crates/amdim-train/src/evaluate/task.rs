//! The classifier task of the reference: a linear head and an MLP trained together on a frozen encoder.
//!
//! Source: reference `task_classifiers.py` (training) and `utils.py` (`test_model`, `_warmup_batchnorm`,
//! `weight_init`).
//!
//! | | corrected | reference |
//! | --- | --- | --- |
//! | encoder while heads learn from augmented pictures | running statistics | statistics of each batch, which move the running ones |
//! | statistics at test time | from training | both networks in train mode on 50 shuffled test batches first |
//! | test pictures | all | shuffled, without the incomplete last batch |
//! | milestones | at the epoch | one epoch later |
//!
//! The original tests after every epoch. Here it is done once, after the last: of the statistics that earlier tests
//! leave behind, 0.9^50 (half a percent) survives the warm-up of the next.

use std::sync::Arc;

use amdim_core::model::Model;
use amdim_core::nn::{Classifiers, Mode};
use amdim_core::optim::Adam;
use amdim_core::{check_finite, tensors};
use amdim_data::dataset::Subset;
use amdim_data::{AugmentConfig, Loader, LoaderOptions, load_eval_batch};
use amdim_random::{Purpose, Stream};
use candle_core::{DType, Device, Tensor};

use super::{EvaluateEvent, Evaluation, HeadReport, Split};
use crate::config::{ClassifierTask, Protocol};
use crate::{Result, RunError};

/// Test batches that the reference warms its statistics on.
const WARM_UP_BATCHES: usize = 50;
/// Name of the progress of this task.
const STAGE: &str = "classifier task";
/// The MLP's batch norm weight, which the reference draws anew from 0..1.
const NORM_WEIGHT: &str = "block_glb_mlp.block_forward.3.weight";

/// Keys of the streams that order pictures; 0 is the choice of `maxTrain`.
const TRAIN_ORDERS: u64 = 1 << 32;
const WARM_UP_ORDER: u64 = 1;
const TEST_ORDER: u64 = 2;

/// Trains both heads and tests them: the linear one's report, then the MLP's.
pub(super) fn run(
    evaluation: &mut Evaluation,
    train: &Split,
    test: &Split,
) -> Result<(HeadReport, HeadReport)> {
    let settings = &evaluation.request.classifier_task;
    check_batch("classifierTask.batchSize", settings.batch_size, "training", train.labels.len())?;
    if settings.protocol == Protocol::Reference {
        check_batch("classifierTask.batchSize", settings.batch_size, "test", test.labels.len())?;
    }
    let before = evaluation.model.as_ref().map(|model| (model.running.clone(), model.passes.clone()));
    let result = train_and_test(evaluation, train, test);
    // The reference's habits move the encoder's running statistics; the caller's model keeps its own.
    if let (Some(model), Some((running, passes))) = (&mut evaluation.model, before) {
        model.running = running;
        model.passes = passes;
    }
    result
}

fn check_batch(name: &str, batch: usize, set: &str, pictures: usize) -> Result<()> {
    if batch <= pictures {
        return Ok(());
    }
    Err(RunError::argument(name, format!("at most the number of {set} pictures ({pictures})"), batch))
}

fn train_and_test(
    evaluation: &mut Evaluation,
    train: &Split,
    test: &Split,
) -> Result<(HeadReport, HeadReport)> {
    let mut heads = Heads::new(evaluation, train.encoded.dim)?;
    if evaluation.request.classifier_task.augment_train {
        learn_from_pictures(evaluation, &mut heads, train)?;
    } else {
        learn_from_features(evaluation, &mut heads, train)?;
    }
    match evaluation.request.classifier_task.protocol {
        Protocol::Corrected => test_features(evaluation, &heads, test, &test.rows()),
        Protocol::Reference => test_as_reference(evaluation, &mut heads, test),
    }
}

/// Both heads with their optimiser.
struct Heads {
    classifiers: Classifiers,
    adam: Adam,
    settings: ClassifierTask,
    seed: u64,
    updates: u64,
}

impl Heads {
    fn new(evaluation: &Evaluation, dim: usize) -> Result<Self> {
        let settings = evaluation.request.classifier_task.clone();
        let seed = evaluation.request.seed;
        let (dtype, device) = match &evaluation.model {
            Some(model) => (model.placement().dtype, model.placement().device.clone()),
            None => (DType::F32, Device::Cpu),
        };
        let classes = evaluation.classes.len();
        let mut classifiers = Classifiers::new(settings.classifiers(), dim, classes, seed, dtype, &device)?;
        draw_norm_weight(&mut classifiers, seed)?;
        let adam = Adam::new(&classifiers.values)?;
        Ok(Self { classifiers, adam, settings, seed, updates: 0 })
    }

    /// One update on features `[rows, dim]`.
    fn update(&mut self, features: &Tensor, labels: &[i64], rate: f64) -> Result<()> {
        let mode = Mode::Train { seed: self.seed, update: self.updates };
        let pass = self.classifiers.pass(features, labels, mode)?;
        check_finite("the loss of the heads", pass.linear.loss + pass.mlp.loss, self.updates)?;
        let optimizer = self.settings.optimizer();
        self.adam.update(&mut self.classifiers.values, &pass.gradient, None, rate, &optimizer)?;
        self.updates += 1;
        Ok(())
    }

    fn tensor(&self, values: &[f32], dim: usize) -> Result<Tensor> {
        let like = &self.classifiers.values;
        Ok(tensors::from_slice(values, &[values.len() / dim, dim], like.dtype(), like.device())?)
    }
}

/// The reference's `weight_init` draws the weights of batch norms uniformly from 0..1; the other initial values are
/// those of [`Classifiers::new`].
fn draw_norm_weight(classifiers: &mut Classifiers, seed: u64) -> Result<()> {
    let mut values = tensors::to_vec(&classifiers.values)?;
    let mut stream = Stream::new(seed, Purpose::InitClassifiers, 1);
    for parameter in classifiers.parameters.iter().filter(|parameter| parameter.name == NORM_WEIGHT) {
        values[parameter.range()].iter_mut().for_each(|value| *value = stream.unit() as f32);
    }
    let like = &classifiers.values;
    classifiers.values = tensors::from_slice(&values, like.dims(), like.dtype(), like.device())?;
    Ok(())
}

/// Epochs over the stored features, each in its own order, the incomplete last batch dropped.
fn learn_from_features(evaluation: &mut Evaluation, heads: &mut Heads, train: &Split) -> Result<()> {
    let ClassifierTask { epochs, batch_size, .. } = heads.settings;
    let dim = train.encoded.dim;
    let total = epochs as usize * (train.labels.len() / batch_size);
    for epoch in 0..epochs {
        let order =
            Stream::new(heads.seed, Purpose::HeadOrder, TRAIN_ORDERS + epoch).permutation(train.labels.len());
        for rows in order.chunks_exact(batch_size) {
            evaluation.check_cancelled()?;
            let features = heads.tensor(&gather(&train.encoded.values, dim, rows), dim)?;
            let labels: Vec<i64> = rows.iter().map(|&row| i64::from(train.labels[row as usize])).collect();
            heads.update(&features, &labels, heads.settings.rate(epoch))?;
        }
        (evaluation.events)(&EvaluateEvent { stage: STAGE, done: heads.updates as usize, total });
    }
    Ok(())
}

/// Epochs over the training pictures, augmented anew each time; one view a picture and epoch.
fn learn_from_pictures(evaluation: &mut Evaluation, heads: &mut Heads, train: &Split) -> Result<()> {
    let request = evaluation.request;
    let ClassifierTask { epochs, batch_size, protocol, .. } = heads.settings;
    let subset = Subset::new(Arc::clone(&evaluation.data.train), train.encoded.indices.clone());
    let options = LoaderOptions {
        batch: batch_size,
        seed: heads.seed,
        threads: request.threads,
        prefetch: request.threads + 1,
        on_bad_image: request.on_bad_image.into(),
        // A subset is shuffled as a whole.
        shuffle_buffer: 1,
        epoch: 0,
        position: 0,
    };
    let mut loader = Loader::new(Arc::new(subset), &request.augment, options, None)?;
    let total = epochs as usize * loader.batches_per_epoch();
    while (heads.updates as usize) < total {
        evaluation.check_cancelled()?;
        let batch = loader.next_batch()?;
        let pixels = &batch.views[0];
        let features = match &mut evaluation.model {
            Some(model) => encode_batch(model, pixels, batch_size, protocol == Protocol::Reference)?,
            None => heads.tensor(pixels, train.encoded.dim)?,
        };
        let labels: Vec<i64> =
            batch.indices.iter().map(|&index| i64::from(train.labels[index as usize])).collect();
        heads.update(&features, &labels, heads.settings.rate(batch.epoch))?;
        (evaluation.events)(&EvaluateEvent { stage: STAGE, done: heads.updates as usize, total });
    }
    Ok(())
}

/// Global features `[pictures, embedding]`, in train mode (statistics of the batch) or eval mode.
fn encode_batch(model: &mut Model, pixels: &[f32], pictures: usize, train_mode: bool) -> Result<Tensor> {
    let images = model.images(pixels, pictures)?;
    Ok(if train_mode {
        model.embed_with_batch_statistics(&images)?.global()?
    } else {
        model.embed_global(&images)?
    })
}

/// Both reports on rows of stored test features, heads in eval mode.
fn test_features(
    evaluation: &Evaluation,
    heads: &Heads,
    test: &Split,
    rows: &[u32],
) -> Result<(HeadReport, HeadReport)> {
    let dim = test.encoded.dim;
    let mut logits = Logits::default();
    for rows in rows.chunks(evaluation.request.batch_size) {
        evaluation.check_cancelled()?;
        logits.add(heads, &heads.tensor(&gather(&test.encoded.values, dim, rows), dim)?)?;
    }
    logits.reports(evaluation, test, rows)
}

/// The reference's `test_model`: warm-up in train mode on shuffled test batches, then whole batches of another order.
fn test_as_reference(
    evaluation: &mut Evaluation,
    heads: &mut Heads,
    test: &Split,
) -> Result<(HeadReport, HeadReport)> {
    let batch = heads.settings.batch_size;
    let dim = test.encoded.dim;
    let shuffled = |order| Stream::new(heads.seed, Purpose::HeadOrder, order).permutation(test.labels.len());
    let (warm_up, counted) = (shuffled(WARM_UP_ORDER), shuffled(TEST_ORDER));
    for rows in warm_up.chunks_exact(batch).take(WARM_UP_BATCHES) {
        evaluation.check_cancelled()?;
        let features = match &mut evaluation.model {
            Some(_) => test_batch(evaluation, test, rows, true)?,
            None => heads.tensor(&gather(&test.encoded.values, dim, rows), dim)?,
        };
        // Without labels, for the statistics alone: dropout is on, parameters stay.
        let mode = Mode::Train { seed: heads.seed, update: heads.updates };
        heads.classifiers.pass(&features, &vec![-1; rows.len()], mode)?;
        heads.updates += 1;
    }
    let whole = &counted[..counted.len() / batch * batch];
    if evaluation.model.is_none() {
        return test_features(evaluation, heads, test, whole);
    }
    // The encoder's statistics have moved, so the stored features do not hold any more.
    let mut logits = Logits::default();
    for rows in whole.chunks_exact(batch) {
        evaluation.check_cancelled()?;
        let features = test_batch(evaluation, test, rows, false)?;
        logits.add(heads, &features)?;
    }
    logits.reports(evaluation, test, whole)
}

/// Global features of some rows of the test split, from the pictures.
fn test_batch(evaluation: &mut Evaluation, test: &Split, rows: &[u32], train_mode: bool) -> Result<Tensor> {
    let request = evaluation.request;
    let indices: Vec<u32> = rows.iter().map(|&row| test.encoded.indices[row as usize]).collect();
    let augment: &AugmentConfig = &request.augment;
    let policy = request.on_bad_image.into();
    let dataset = evaluation.data.test.as_ref();
    let batch = load_eval_batch(dataset, &indices, augment, request.threads, policy, None)?;
    if batch.indices.len() != indices.len() {
        return Err(RunError::internal("a test picture that could be read before can't be any more"));
    }
    let model = evaluation.model.as_mut().ok_or_else(|| RunError::internal("raw pixels have no encoder"))?;
    encode_batch(model, &batch.pixels, indices.len(), train_mode)
}

/// Logits of both heads, `[rows, classes]` each.
#[derive(Default)]
struct Logits {
    linear: Vec<f32>,
    mlp: Vec<f32>,
}

impl Logits {
    fn add(&mut self, heads: &Heads, features: &Tensor) -> Result<()> {
        let (mlp, linear) = heads.classifiers.logits(features)?;
        self.mlp.extend(tensors::to_vec(&mlp)?);
        self.linear.extend(tensors::to_vec(&linear)?);
        Ok(())
    }

    /// Of logits of some rows of the test split.
    fn reports(
        &self,
        evaluation: &Evaluation,
        test: &Split,
        rows: &[u32],
    ) -> Result<(HeadReport, HeadReport)> {
        Ok((evaluation.report(&self.linear, test, rows)?, evaluation.report(&self.mlp, test, rows)?))
    }
}

/// Rows of `[rows, dim]`, in the order asked for.
fn gather(values: &[f32], dim: usize, rows: &[u32]) -> Vec<f32> {
    rows.iter().flat_map(|&row| &values[row as usize * dim..][..dim]).copied().collect()
}
