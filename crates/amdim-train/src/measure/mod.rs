//! What features are like: measures without labels, and with labels but without a head.

mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use amdim_core::encoder::Scale;
use amdim_core::model::Model;
use amdim_data::dataset::Subset;
use amdim_data::{Dataset, Loader, LoaderOptions};
use amdim_eval::{
    Agreement, Features, KMeans, KMeansConfig, Labels, Scatter, Spectrum, Stop, alignment, rank_me,
    retrieval, uniformity,
};
use amdim_random::{Purpose, Stream};

use crate::config::{Measure, MeasureRequest};
use crate::embed::some_indices;
use crate::evaluate::{EvaluateEvent, check_input};
use crate::features::{Encoded, Pictures, Reader, encode};
use crate::labels::LabelMap;
use crate::place::on_threads;
use crate::{Result, RunError};

pub use report::{ClusteringReport, MeasureResult, RecallReport, RetrievalReport, SpectrumReport};

/// Measures the features of the pictures of one data set; without a model those are the normalised pixels.
///
/// The two views of the alignment are the training views of the request's `augment`; all other measures see test views.
/// Pictures of the last, incomplete batch have no part in the alignment.
///
/// # Errors
/// - `AMDIM_INVALID_ARGUMENT`: an option out of range, more clusters than pictures
/// - `AMDIM_DATA`: fewer than two pictures; with measures that need labels: a picture without one, fewer than two
///   classes, no two pictures of one class
/// - the errors of the pictures; `AMDIM_CANCELLED` once `cancel` is set
pub fn measure(
    model: Option<&mut Model>,
    request: &MeasureRequest,
    dataset: &Arc<dyn Dataset>,
    events: &mut (dyn FnMut(&EvaluateEvent) + Send),
    cancel: &AtomicBool,
) -> Result<MeasureResult> {
    request.validate()?;
    if let Some(model) = &model {
        check_input(model, &request.augment)?;
    }
    let measuring = Measuring { model, request, dataset, events, cancel, seconds: BTreeMap::new() };
    on_threads(request.threads, || measuring.run())
}

struct Measuring<'a> {
    model: Option<&'a mut Model>,
    request: &'a MeasureRequest,
    dataset: &'a Arc<dyn Dataset>,
    events: &'a mut (dyn FnMut(&EvaluateEvent) + Send),
    cancel: &'a AtomicBool,
    seconds: BTreeMap<&'static str, f64>,
}

impl Measuring<'_> {
    fn run(mut self) -> Result<MeasureResult> {
        let request = self.request;
        let picked = self.pick()?;
        let labels = if request.needs_labels() { self.labels(&picked)? } else { BTreeMap::new() };
        let encoded = self.timed("encode", |run, _| run.encode(&picked))?;
        let features = Features::new("features", &encoded.values, encoded.dim)?;
        let mut result = MeasureResult {
            pictures: encoded.indices.len(),
            feature_dim: encoded.dim,
            skipped: encoded.skipped.clone(),
            ..MeasureResult::default()
        };
        if request.has(Measure::RankMe) || request.has(Measure::Spectrum) {
            let scatter = self.timed("covariance", |_, stop| Ok(Scatter::new(features, stop)?))?;
            if request.has(Measure::RankMe) {
                result.rank_me = Some(self.timed("rankMe", |_, stop| Ok(rank_me(&scatter, stop)?))?);
            }
            if request.has(Measure::Spectrum) {
                let spectrum = self.timed("spectrum", |_, stop| Ok(Spectrum::new(&scatter, stop)?))?;
                result.spectrum = Some(spectrum.into());
            }
        }
        if request.has(Measure::Uniformity) {
            result.uniformity = Some(self.timed("uniformity", |_, stop| Ok(uniformity(features, stop)?))?);
        }
        if request.has(Measure::Alignment) {
            result.alignment = Some(self.timed("alignment", |run, _| run.align(&encoded.indices))?);
        }
        if request.needs_labels() {
            let kept: Vec<u32> = encoded.indices.iter().map(|index| labels[index]).collect();
            let labels = Labels::new(&kept, self.dataset.classes().len())?;
            if request.has(Measure::Retrieval) {
                let ranks = &request.recall_at;
                let found =
                    self.timed("retrieval", |_, stop| Ok(retrieval(features, labels, ranks, stop)?))?;
                result.retrieval = Some(RetrievalReport::new(found, ranks));
            }
            if request.has(Measure::Clustering) {
                let config = self.clusters(labels);
                let found = self.timed("clustering", |_, stop| Ok(KMeans::fit(&config, features, stop)?))?;
                let agreement = Agreement::new(&found.clusters, labels)?;
                result.clustering = Some(ClusteringReport::new(config.clusters, &found, agreement));
            }
        }
        result.seconds = self.seconds;
        Ok(result)
    }

    /// All pictures, or the first `maxPictures` of a permutation that the seed fixes.
    fn pick(&self) -> Result<Vec<u32>> {
        let stream = Stream::new(self.request.seed, Purpose::Measured, 0);
        some_indices(self.dataset.as_ref(), self.request.max_pictures, stream)
    }

    /// The label of each picture.
    fn labels(&self, indices: &[u32]) -> Result<BTreeMap<u32, u32>> {
        let map = LabelMap::new("data", self.dataset.as_ref(), self.dataset.classes());
        indices.iter().map(|&index| Ok((index, map.require(index)?))).collect()
    }

    fn clusters(&self, labels: Labels<'_>) -> KMeansConfig {
        let settings = self.request.clustering;
        KMeansConfig {
            clusters: settings.clusters.unwrap_or(labels.classes()),
            restarts: settings.restarts,
            max_iterations: settings.max_iterations,
            seed: self.request.seed,
        }
    }

    fn encode(&mut self, indices: &[u32]) -> Result<Encoded> {
        let request = self.request;
        let pictures = Pictures {
            dataset: self.dataset.as_ref(),
            indices,
            augment: &request.augment,
            batch: request.batch_size,
            threads: request.threads,
            on_bad_image: request.on_bad_image.into(),
        };
        let events = &mut self.events;
        let total = indices.len();
        let mut progress = |done| events(&EvaluateEvent { stage: "encode", done, total });
        let reader = Reader::of(self.model.as_deref_mut(), Scale::GLOBAL.into());
        encode(reader, &pictures, &mut progress, self.cancel)
    }

    /// Mean squared distance of two training views of the pictures.
    fn align(&mut self, indices: &[u32]) -> Result<f64> {
        let request = self.request;
        let batch = request.batch_size.min(indices.len());
        let pictures = Subset::new(Arc::clone(self.dataset), indices.to_vec());
        let options = LoaderOptions {
            batch,
            seed: request.seed,
            threads: request.threads,
            prefetch: request.threads + 1,
            on_bad_image: request.on_bad_image.into(),
            shuffle_buffer: 1,
            epoch: 0,
            position: 0,
        };
        let mut loader = Loader::new(Arc::new(pictures), &request.augment, options, None)?;
        let mut reader = Reader::of(self.model.as_deref_mut(), Scale::GLOBAL.into());
        let dim = reader.dim(&request.augment)?;
        let batches = loader.batches_per_epoch();
        let mut sum = 0.0;
        for position in 0..batches {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(RunError::Cancelled);
            }
            let [one, other] = loader.next_batch()?.views;
            let (one, other) = (reader.read(one, batch)?, reader.read(other, batch)?);
            sum += alignment(
                Features::new("features of first views", &one, dim)?,
                Features::new("features of second views", &other, dim)?,
            )?;
            let (done, total) = ((position + 1) * batch, batches * batch);
            (self.events)(&EvaluateEvent { stage: "alignment", done, total });
        }
        Ok(sum / batches as f64)
    }

    /// Does a stage, tells of its beginning and notes its seconds; it gets what asks for its end.
    fn timed<R>(
        &mut self,
        stage: &'static str,
        work: impl FnOnce(&mut Self, Stop<'_>) -> Result<R>,
    ) -> Result<R> {
        let cancel = self.cancel;
        let stop = || cancel.load(Ordering::Relaxed);
        if stop() {
            return Err(RunError::Cancelled);
        }
        (self.events)(&EvaluateEvent { stage, done: 0, total: 1 });
        let began = Instant::now();
        let result = work(self, &stop);
        self.seconds.insert(stage, began.elapsed().as_secs_f64());
        result
    }
}
