//! What features are like: measures without labels, and with labels but without a head.

mod jacobian;
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
    Agreement, Features, KMeans, KMeansConfig, LabelledFeatures, Labels, Scatter, Spectrum, Stop, alignment,
    gallery_retrieval, rank_me, retrieval, uniformity,
};
use amdim_random::{Purpose, Stream};

use crate::config::{Measure, MeasureRequest};
use crate::embed::some_indices;
use crate::evaluate::{EvaluateEvent, check_input};
use crate::event::Skipped;
use crate::features::{Encoded, Pictures, Reader, each_batch, encode};
use crate::labels::LabelMap;
use crate::place::on_threads;
use crate::{Result, RunError};

pub use report::{
    ClusteringReport, JacobianReport, MeasureResult, RecallReport, RetrievalReport, SpectrumReport,
};

/// Measures the features of the pictures of one data set; without a model those are the normalised pixels.
///
/// The retrieval searches the other pictures of the data set, or those of `gallery`, of which `maxPictures` holds too.
/// The two views of the alignment are the training views of the request's `augment`; all other measures see test views.
/// Pictures of the last, incomplete batch have no part in the alignment.
///
/// # Errors
/// - `AMDIM_INVALID_ARGUMENT`: an option out of range, more clusters than pictures, a gallery without the retrieval
/// - `AMDIM_DATA`: fewer than two pictures; with measures that need labels: a picture without one, fewer than two
///   classes, no two pictures of one class, or none of a picture's class in the gallery
/// - the errors of the pictures; `AMDIM_CANCELLED` once `cancel` is set
pub fn measure(
    model: Option<&mut Model>,
    request: &MeasureRequest,
    dataset: &Arc<dyn Dataset>,
    gallery: Option<&Arc<dyn Dataset>>,
    events: &mut (dyn FnMut(&EvaluateEvent) + Send),
    cancel: &AtomicBool,
) -> Result<MeasureResult> {
    request.validate()?;
    if gallery.is_some() && !request.has(Measure::Retrieval) {
        return Err(RunError::argument("gallery", "none without the measure retrieval", "a data set"));
    }
    if let Some(model) = &model {
        check_input(model, &request.augment)?;
    }
    let measuring = Measuring { model, request, dataset, gallery, events, cancel, seconds: BTreeMap::new() };
    on_threads(request.threads, || measuring.run())
}

struct Measuring<'a> {
    model: Option<&'a mut Model>,
    request: &'a MeasureRequest,
    dataset: &'a Arc<dyn Dataset>,
    gallery: Option<&'a Arc<dyn Dataset>>,
    events: &'a mut (dyn FnMut(&EvaluateEvent) + Send),
    cancel: &'a AtomicBool,
    seconds: BTreeMap<&'static str, f64>,
}

impl Measuring<'_> {
    fn run(mut self) -> Result<MeasureResult> {
        let request = self.request;
        let dataset = self.dataset.as_ref();
        let picked = self.pick(dataset, 0)?;
        let labels = if request.needs_labels() {
            labels_of("data", dataset, dataset.classes(), &picked)?
        } else {
            BTreeMap::new()
        };
        let encoded = self.timed("encode", |run, _| run.encode("encode", dataset, &picked))?;
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
        if request.has(Measure::Jacobian) {
            let chosen: Vec<u32> = encoded.indices.iter().copied().take(request.jacobian_pictures).collect();
            result.jacobian = Some(self.timed("jacobian", |run, stop| run.jacobian(&chosen, stop))?);
        }
        if request.needs_labels() {
            let kept = kept_labels(&labels, &encoded);
            let labels = Labels::new(&kept, dataset.classes().len())?;
            if request.has(Measure::Retrieval) {
                let found = if let Some(gallery) = self.gallery {
                    self.search(gallery.as_ref(), features, &kept, &mut result.skipped)?
                } else {
                    let ranks = &request.recall_at;
                    let found =
                        self.timed("retrieval", |_, stop| Ok(retrieval(features, labels, ranks, stop)?))?;
                    RetrievalReport::new(found, ranks, None)
                };
                result.retrieval = Some(found);
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

    /// The retrieval in a gallery, which may have classes that the queries, with `labels`, do not have.
    fn search(
        &mut self,
        gallery: &dyn Dataset,
        queries: Features<'_>,
        labels: &[u32],
        skipped: &mut Vec<Skipped>,
    ) -> Result<RetrievalReport> {
        let mut classes = self.dataset.classes().to_vec();
        let further = gallery.classes().iter().filter(|class| !self.dataset.classes().contains(class));
        classes.extend(further.cloned());
        let picked = self.pick(gallery, 1)?;
        let own = labels_of("gallery", gallery, &classes, &picked)?;
        let encoded = self.timed("gallery", |run, _| run.encode("gallery", gallery, &picked))?;
        let kept = kept_labels(&own, &encoded);
        let queries = LabelledFeatures { features: queries, labels: Labels::new(labels, classes.len())? };
        let searched = LabelledFeatures {
            features: Features::new("features of the gallery", &encoded.values, encoded.dim)?,
            labels: Labels::new(&kept, classes.len())?,
        };
        let ranks = &self.request.recall_at;
        let found =
            self.timed("retrieval", |_, stop| Ok(gallery_retrieval(queries, searched, ranks, stop)?))?;
        let size = encoded.indices.len();
        skipped.extend(encoded.skipped);
        Ok(RetrievalReport::new(found, ranks, Some(size)))
    }

    /// All pictures, or the first `maxPictures` of a permutation that the seed and the number of the set fix.
    fn pick(&self, dataset: &dyn Dataset, set: u64) -> Result<Vec<u32>> {
        let stream = Stream::new(self.request.seed, Purpose::Measured, set);
        some_indices(dataset, self.request.max_pictures, stream)
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

    fn encode(&mut self, stage: &'static str, dataset: &dyn Dataset, indices: &[u32]) -> Result<Encoded> {
        let request = self.request;
        let pictures = Pictures {
            dataset,
            indices,
            augment: &request.augment,
            batch: request.batch_size,
            threads: request.threads,
            on_bad_image: request.on_bad_image.into(),
        };
        let events = &mut self.events;
        let total = indices.len();
        let mut progress = |done| events(&EvaluateEvent { stage, done, total });
        let reader = Reader::of(self.model.as_deref_mut(), Scale::GLOBAL.into());
        encode(reader, &pictures, &mut progress, self.cancel)
    }

    fn jacobian(&mut self, indices: &[u32], stop: Stop<'_>) -> Result<JacobianReport> {
        let request = self.request;
        let Some(model) = self.model.as_deref() else {
            let expected = "no jacobian of raw pixels, which are no function of themselves";
            return Err(RunError::argument("measures", expected, "jacobian"));
        };
        let pictures = Pictures {
            dataset: self.dataset.as_ref(),
            indices,
            augment: &request.augment,
            batch: indices.len(),
            threads: request.threads,
            on_bad_image: request.on_bad_image.into(),
        };
        let mut pixels = vec![];
        each_batch(&pictures, self.cancel, |batch, _| {
            pixels.extend(batch.pixels);
            Ok(())
        })?;
        jacobian::jacobian(model, &pixels, stop, self.cancel)
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

/// The label of each picture, in the numbering of `classes`; `set` names the data set in errors.
fn labels_of(
    set: &'static str,
    dataset: &dyn Dataset,
    classes: &[String],
    indices: &[u32],
) -> Result<BTreeMap<u32, u32>> {
    let map = LabelMap::new(set, dataset, classes);
    indices.iter().map(|&index| Ok((index, map.require(index)?))).collect()
}

/// The labels of those that could be encoded.
fn kept_labels(labels: &BTreeMap<u32, u32>, encoded: &Encoded) -> Vec<u32> {
    encoded.indices.iter().map(|index| labels[index]).collect()
}
