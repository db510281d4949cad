//! Heads on frozen features: how much of the classes can be read from what an encoder returns.
//!
//! Features of the training and test pictures are computed once ([`evaluate`]); the linear head by L-BFGS and the kNN
//! head are `amdim-eval`'s, the classifier task of the reference is in `task`.

mod report;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use amdim_core::model::Model;
use amdim_data::{AugmentConfig, Dataset};
use amdim_eval::{Features, KnnClassifier, Labels, LinearConfig, LinearProbe, LinearProgress, Report};
use amdim_random::{Purpose, Stream};
use serde::Serialize;

use crate::config::{EvaluateRequest, Head, LinearMethod};
use crate::embed::{all_indices, some_indices};
use crate::event::Skipped;
use crate::features::{Encoded, Pictures, Reader, encode};
use crate::labels::LabelMap;
use crate::place::on_threads;
use crate::{Result, RunError};

pub use report::{ClassReport, HeadReport};

/// How far an evaluation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "progress")]
pub struct EvaluateEvent {
    /// What is being done.
    pub stage: &'static str,
    /// Units done: pictures, iterations or updates.
    pub done: usize,
    /// Units in all.
    pub total: usize,
}

/// What an evaluation came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluateResult {
    /// A report for each head that was asked for.
    pub heads: HeadReports,
    /// Top-1 of always naming the test set's most frequent class.
    pub chance: f64,
    /// Training pictures used.
    pub train_size: usize,
    /// Test pictures used.
    pub test_size: usize,
    /// Values a picture that the heads saw.
    pub feature_dim: usize,
    /// What the predictions of the heads are to be held against, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<TestPictures>,
    /// Seconds that each stage took.
    pub seconds: BTreeMap<&'static str, f64>,
    /// Pictures that were left out.
    pub skipped: Vec<Skipped>,
}

/// The test pictures in the order of the data set, without those left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestPictures {
    /// `[pictures]`
    pub names: Vec<String>,
    /// `[pictures]`, indices of classes.
    pub labels: Vec<u32>,
    /// Names of the classes.
    pub classes: Vec<String>,
}

/// A report for each head that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HeadReports {
    /// Multinomial logistic regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear: Option<HeadReport>,
    /// The MLP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlp: Option<HeadReport>,
    /// k nearest neighbours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knn: Option<HeadReport>,
}

/// The pictures of an evaluation.
#[derive(Clone)]
pub struct EvaluateData {
    /// Pictures with labels that the heads learn from.
    pub train: Arc<dyn Dataset>,
    /// Pictures with labels that they are tested on.
    pub test: Arc<dyn Dataset>,
}

/// Fits the heads and tests them; without a model they see the normalised pixels themselves.
///
/// Classes are those of the training set, matched by name. The model is left as it was.
///
/// # Errors
/// - `AMDIM_INVALID_ARGUMENT`: an option out of range, a batch or `k` larger than the training set
/// - `AMDIM_DATA`: a picture without label, fewer than two classes, a class with test pictures only
/// - the errors of the pictures; `AMDIM_CANCELLED` once `cancel` is set
pub fn evaluate(
    model: Option<&mut Model>,
    request: &EvaluateRequest,
    data: &EvaluateData,
    events: &mut (dyn FnMut(&EvaluateEvent) + Send),
    cancel: &AtomicBool,
) -> Result<EvaluateResult> {
    request.validate()?;
    on_threads(request.threads, || Evaluation::new(model, request, data, events, cancel)?.run())
}

/// Labelled features of one split.
struct Split {
    encoded: Encoded,
    /// `[pictures]`
    labels: Vec<u32>,
}

impl Split {
    fn features(&self, what: &'static str) -> Result<Features<'_>> {
        Ok(Features::new(what, &self.encoded.values, self.encoded.dim)?)
    }

    /// All rows.
    fn rows(&self) -> Vec<u32> {
        (0..self.labels.len() as u32).collect()
    }
}

struct Evaluation<'a> {
    model: Option<&'a mut Model>,
    request: &'a EvaluateRequest,
    data: &'a EvaluateData,
    events: &'a mut (dyn FnMut(&EvaluateEvent) + Send),
    cancel: &'a AtomicBool,
    classes: Vec<String>,
    seconds: BTreeMap<&'static str, f64>,
}

impl<'a> Evaluation<'a> {
    fn new(
        model: Option<&'a mut Model>,
        request: &'a EvaluateRequest,
        data: &'a EvaluateData,
        events: &'a mut (dyn FnMut(&EvaluateEvent) + Send),
        cancel: &'a AtomicBool,
    ) -> Result<Self> {
        let classes = data.train.classes().to_vec();
        if classes.len() < 2 {
            let problem = format!("expected pictures of at least two classes, got {}", classes.len());
            return Err(RunError::Labels { set: "train", problem });
        }
        if let Some(model) = &model {
            check_input(model, &request.augment)?;
            request.layer.shape(model)?;
        }
        Ok(Self { model, request, data, events, cancel, classes, seconds: BTreeMap::new() })
    }

    fn run(mut self) -> Result<EvaluateResult> {
        let picked = self.pick_training()?;
        let all = all_indices(self.data.test.as_ref())?;
        let train_labels = labels_of("train", self.data.train.as_ref(), &picked, &self.classes)?;
        let test_labels = labels_of("test", self.data.test.as_ref(), &all, &self.classes)?;
        check_covers(&train_labels, &test_labels, &self.classes)?;
        let train =
            self.timed("encode train", |run| run.encode("encode train", true, &picked, &train_labels))?;
        let test = self.timed("encode test", |run| run.encode("encode test", false, &all, &test_labels))?;
        let mut heads = HeadReports::default();
        if self.request.has(Head::Linear) && self.request.linear.method == LinearMethod::Lbfgs {
            heads.linear = Some(self.timed("linear", |run| run.fit_linear(&train, &test))?);
        }
        if self.request.needs_task() {
            let (linear, mlp) = self.timed("classifier task", |run| task::run(run, &train, &test))?;
            if self.request.linear.method == LinearMethod::ClassifierTask {
                heads.linear = self.request.has(Head::Linear).then_some(linear);
            }
            heads.mlp = self.request.has(Head::Mlp).then_some(mlp);
        }
        if self.request.has(Head::Knn) {
            heads.knn = Some(self.timed("knn", |run| run.vote(&train, &test))?);
        }
        let counts = Labels::new(&test.labels, self.classes.len())?.histogram();
        let most = counts.into_iter().max().unwrap_or(0);
        Ok(EvaluateResult {
            heads,
            chance: most as f64 / test.labels.len() as f64,
            train_size: train.labels.len(),
            test_size: test.labels.len(),
            feature_dim: train.encoded.dim,
            test: self.request.predictions.then(|| self.test_pictures(&test)),
            seconds: self.seconds,
            skipped: [train.encoded.skipped, test.encoded.skipped].concat(),
        })
    }

    fn test_pictures(&self, test: &Split) -> TestPictures {
        let name = |&index: &u32| self.data.test.name(index as usize);
        TestPictures {
            names: test.encoded.indices.iter().map(name).collect(),
            labels: test.labels.clone(),
            classes: self.classes.clone(),
        }
    }

    /// The training pictures: all, or the first `maxTrain` of a permutation that the seed fixes.
    fn pick_training(&self) -> Result<Vec<u32>> {
        let stream = Stream::new(self.request.seed, Purpose::HeadOrder, 0);
        some_indices(self.data.train.as_ref(), self.request.max_train, stream)
    }

    fn encode(
        &mut self,
        stage: &'static str,
        is_train: bool,
        indices: &[u32],
        labels: &[u32],
    ) -> Result<Split> {
        let request = self.request;
        let dataset = if is_train { &self.data.train } else { &self.data.test };
        let pictures = Pictures {
            dataset: dataset.as_ref(),
            indices,
            augment: &request.augment,
            batch: request.batch_size,
            threads: request.threads,
            on_bad_image: request.on_bad_image.into(),
        };
        let reader = Reader::of(self.model.as_deref_mut(), request.layer);
        let total = indices.len();
        let events = &mut self.events;
        let mut progress = |done| events(&EvaluateEvent { stage, done, total });
        let encoded = encode(reader, &pictures, &mut progress, self.cancel)?;
        // Both lists are in the order of `indices`; pictures left out are missing in one.
        let mut asked = indices.iter().zip(labels);
        let label = |kept: &u32| asked.find(|(index, _)| *index == kept).map(|(_, &label)| label);
        let labels: Vec<u32> = encoded.indices.iter().filter_map(label).collect();
        Ok(Split { encoded, labels })
    }

    fn fit_linear(&mut self, train: &Split, test: &Split) -> Result<HeadReport> {
        let head = self.request.linear;
        let config =
            LinearConfig { l2: head.l2, max_iterations: head.max_iterations, tolerance: head.tolerance };
        let (classes, cancel) = (self.classes.len(), self.cancel);
        let stop = || cancel.load(Ordering::Relaxed);
        let events = &mut self.events;
        let mut progress = |step: LinearProgress| {
            let (done, total) = (step.iteration, config.max_iterations);
            events(&EvaluateEvent { stage: "linear", done, total });
        };
        let labels = Labels::new(&train.labels, classes)?;
        let features = train.features("training features")?;
        let probe = LinearProbe::fit(&config, features, labels, Some(&mut progress), &stop)?;
        let scores = probe.predict_scores(test.features("test features")?, &stop)?;
        self.report(&scores, test, &test.rows())
    }

    fn vote(&mut self, train: &Split, test: &Split) -> Result<HeadReport> {
        let (classes, cancel) = (self.classes.len(), self.cancel);
        let stop = || cancel.load(Ordering::Relaxed);
        let labels = Labels::new(&train.labels, classes)?;
        let voters = KnnClassifier::new(self.request.knn, train.features("training features")?, labels)?;
        let scores = voters.predict_scores(test.features("test features")?, &stop)?;
        self.report(&scores, test, &test.rows())
    }

    /// Counts; scores `[rows, classes]` are of some rows of the test split.
    fn report(&self, scores: &[f32], test: &Split, rows: &[u32]) -> Result<HeadReport> {
        let classes = self.classes.len();
        let labels: Vec<u32> = rows.iter().map(|&row| test.labels[row as usize]).collect();
        let report = Report::from_scores(scores, Labels::new(&labels, classes)?)?;
        let predictions = self.request.predictions.then(|| {
            let mut predictions = vec![-1; test.labels.len()];
            for (&row, scores) in rows.iter().zip(scores.chunks_exact(classes)) {
                predictions[row as usize] = likeliest(scores);
            }
            predictions
        });
        Ok(HeadReport { predictions, ..HeadReport::new(report, &self.classes) })
    }

    /// Does a stage, tells of its beginning and notes its seconds.
    fn timed<R>(&mut self, stage: &'static str, work: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        self.check_cancelled()?;
        let began = Instant::now();
        let result = work(self);
        self.seconds.insert(stage, began.elapsed().as_secs_f64());
        result
    }

    fn check_cancelled(&self) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) { Err(RunError::Cancelled) } else { Ok(()) }
    }
}

/// The class of the highest score; of equal ones the first, as reports count them.
fn likeliest(scores: &[f32]) -> i64 {
    let higher = |best: usize, at: usize| if scores[at] > scores[best] { at } else { best };
    (1..scores.len()).fold(0, higher) as i64
}

/// The views must fit the encoder.
pub(crate) fn check_input(model: &Model, augment: &AugmentConfig) -> Result<()> {
    let (side, channels) = {
        let encoder = &model.config().encoder;
        (encoder.encoder_size(), encoder.input_channels())
    };
    if augment.pixels as usize != side {
        let expected = format!("{side}, as the model's encoder takes them");
        return Err(RunError::argument("augment.pixels", expected, augment.pixels));
    }
    if usize::from(augment.channels) != channels {
        let expected = format!("{channels}, as the model's encoder takes them");
        return Err(RunError::argument("augment.channels", expected, augment.channels));
    }
    Ok(())
}

fn labels_of(
    set: &'static str,
    dataset: &dyn Dataset,
    indices: &[u32],
    classes: &[String],
) -> Result<Vec<u32>> {
    let map = LabelMap::new(set, dataset, classes);
    indices.iter().map(|&index| map.require(index)).collect()
}

/// A class that only the test pictures have could never be named rightly.
fn check_covers(train: &[u32], test: &[u32], classes: &[String]) -> Result<()> {
    let mut is_seen = vec![false; classes.len()];
    for &label in train {
        is_seen[label as usize] = true;
    }
    match test.iter().find(|&&label| !is_seen[label as usize]) {
        Some(&label) => {
            let class = &classes[label as usize];
            let problem = format!("class {class:?} has test pictures, but no training picture in use");
            Err(RunError::Labels { set: "test", problem })
        }
        None => Ok(()),
    }
}
