//! The requests that cross the border from TypeScript.

use std::path::PathBuf;

use amdim_core::encoder::{EncoderConfig, Scale};
use amdim_core::executor::{ExecutorKind, Precision};
use amdim_core::loss::Term;
use amdim_core::nn::ClassifierConfig;
use amdim_core::optim::AdamConfig;
use amdim_data::{AugmentConfig, BadImagePolicy};
use amdim_eval::KnnConfig;
use serde::{Deserialize, Serialize};

use super::AmdimConfig;
use crate::layer::Layer;
use crate::{Result, RunError};

/// A run: what is learnt, where it is computed, what is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrainRequest {
    /// What the numbers depend on.
    pub config: AmdimConfig,
    /// Preset that `config` was made from; kept for the record.
    pub preset: Option<String>,
    /// `cpu`, `cuda`, `cuda:N`, `metal` or `auto`.
    pub device: String,
    /// What runs the encoder.
    pub executor: ExecutorKind,
    /// How the encoder keeps its maps.
    pub precision: Precision,
    /// Threads of the computation, at least 1.
    pub threads: usize,
    /// Threads that decode and augment, at least 1.
    pub loader_threads: usize,
    /// Batches made ahead, at least 1.
    pub prefetch: usize,
    /// What to do about a picture that can't be used.
    pub on_bad_image: BadImage,
    /// Run folder; none writes nothing.
    pub output: Option<PathBuf>,
    /// Checkpoint to go on from, exactly.
    pub resume: Option<PathBuf>,
    /// Model file whose encoder is the start.
    pub initial_weights: Option<PathBuf>,
    /// With `initial_weights`: keep its classifiers, which needs the same classes.
    pub keep_head: bool,
    /// Minutes between checkpoints, above 0; none: only at the end.
    pub checkpoint_minutes: Option<f64>,
    /// How many of the last checkpoints are kept beside the newest; 0: none, and those of earlier sessions are left.
    pub keep_checkpoints: usize,
    /// Updates between step events, at least 1.
    pub log_every_steps: u64,
    /// Epochs between tests of the online classifiers, at least 1; none: never.
    pub online_evaluate_epochs: Option<u64>,
}

impl TrainRequest {
    /// Checks every range.
    ///
    /// # Errors
    /// `AMDIM_INVALID_ARGUMENT` for a value out of range or options that exclude each other.
    pub fn validate(&self) -> Result<()> {
        self.config.validate()?;
        at_least_one("threads", self.threads)?;
        at_least_one("loaderThreads", self.loader_threads)?;
        at_least_one("prefetch", self.prefetch)?;
        at_least_one("logEverySteps", self.log_every_steps as usize)?;
        if let Some(epochs) = self.online_evaluate_epochs {
            at_least_one("onlineEvaluateEpochs", epochs as usize)?;
        }
        if let Some(minutes) = self.checkpoint_minutes
            && !(minutes.is_finite() && minutes > 0.0)
        {
            return Err(RunError::argument("checkpointMinutes", "a positive number or null", minutes));
        }
        match (&self.resume, &self.initial_weights) {
            (Some(_), Some(weights)) => {
                Err(RunError::argument("initialWeights", "null beside resume", weights.display()))
            }
            (_, None) if self.keep_head => {
                Err(RunError::argument("keepHead", "false without initialWeights", true))
            }
            _ => Ok(()),
        }
    }
}

/// A prediction of what a run takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanRequest {
    /// What the run's numbers depend on.
    pub config: AmdimConfig,
    /// Number of training pictures, at least a batch; none where it is not known.
    pub pictures: Option<usize>,
    /// Classes of the labels; 0 without labels.
    pub classes: usize,
    /// As in [`TrainRequest::device`].
    pub device: String,
    /// What runs the encoder.
    pub executor: ExecutorKind,
    /// How the encoder keeps its maps.
    pub precision: Precision,
    /// Threads of the computation, at least 1.
    pub threads: usize,
    /// Batches made ahead, at least 1.
    pub prefetch: usize,
}

impl PlanRequest {
    /// Checks every range.
    ///
    /// # Errors
    /// `AMDIM_INVALID_ARGUMENT` for a value out of range, or fewer pictures than a batch.
    pub fn validate(&self) -> Result<()> {
        self.config.validate()?;
        at_least_one("threads", self.threads)?;
        at_least_one("prefetch", self.prefetch)?;
        match self.pictures {
            Some(pictures) if pictures < self.config.batch_size => {
                let expected = format!("at least a batch ({})", self.config.batch_size);
                Err(RunError::argument("pictures", expected, pictures))
            }
            _ => Ok(()),
        }
    }
}

/// What to do about a picture that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BadImage {
    /// End with its error.
    Error,
    /// Go on without it, count and list it.
    Skip,
}

impl From<BadImage> for BadImagePolicy {
    fn from(policy: BadImage) -> Self {
        match policy {
            BadImage::Error => Self::Error,
            BadImage::Skip => Self::Skip,
        }
    }
}

/// Features of pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbedRequest {
    /// Which layer: `global`, `localN` or `posteriorN` where the encoder has a map of N x N, or `mixture`.
    pub layer: Layer,
    /// Pictures encoded at once, at least 1.
    pub batch_size: usize,
    /// Threads that decode pictures, at least 1.
    pub threads: usize,
    /// What to do about a picture that can't be used.
    pub on_bad_image: BadImage,
    /// Folder for a drawing of each picture's posterior; only with a layer `posteriorN`. None: no drawings.
    pub posterior_maps: Option<PathBuf>,
}

impl EmbedRequest {
    /// Checks every range.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.posterior_maps.is_some() && !matches!(self.layer, Layer::Posterior(_)) {
            return Err(RunError::argument("layer", "posteriorN with posteriorMaps", self.layer));
        }
        at_least_one("batchSize", self.batch_size)?;
        at_least_one("threads", self.threads)
    }
}

/// One of the classifiers that are trained beside an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClassifierHead {
    /// The linear one.
    Linear,
    /// The one with a hidden layer.
    Mlp,
}

/// Classes of pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassifyRequest {
    /// Which classifier.
    pub head: ClassifierHead,
    /// Pictures encoded at once, at least 1.
    pub batch_size: usize,
    /// Threads that decode pictures, at least 1.
    pub threads: usize,
    /// What to do about a picture that can't be used.
    pub on_bad_image: BadImage,
}

impl ClassifyRequest {
    /// Checks every range.
    pub(crate) fn validate(&self) -> Result<()> {
        at_least_one("batchSize", self.batch_size)?;
        at_least_one("threads", self.threads)
    }
}

/// Heads on frozen features, and how they are fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvaluateRequest {
    /// Test-time transform; for raw pixels too. Its training part is used where heads learn from augmented pictures.
    pub augment: AugmentConfig,
    /// Which layer of the encoder the heads see, a map as one vector; no posterior.
    pub layer: Layer,
    /// Which heads; at least one.
    pub heads: Vec<Head>,
    /// The linear head.
    pub linear: LinearHead,
    /// The classifier task of the reference.
    pub classifier_task: ClassifierTask,
    /// The kNN head.
    pub knn: KnnConfig,
    /// Pictures encoded at once, at least 1.
    pub batch_size: usize,
    /// Threads of the computation, at least 1.
    pub threads: usize,
    /// Seed of subsets, of the heads' weights and of their training.
    pub seed: u64,
    /// What to do about a picture that can't be used.
    pub on_bad_image: BadImage,
    /// Only this many training pictures, drawn by the seed; at least 1. None: all.
    pub max_train: Option<usize>,
    /// Whether reports list the predicted class of each test picture.
    pub predictions: bool,
}

impl EvaluateRequest {
    /// Checks every range that the heads do not check themselves.
    pub(crate) fn validate(&self) -> Result<()> {
        self.augment.validate()?;
        if self.heads.is_empty() {
            return Err(RunError::argument("heads", "at least one of linear, mlp, knn", "none"));
        }
        let task = &self.classifier_task;
        let encodes_anew = task.augment_train || task.protocol == Protocol::Reference;
        let is_global = self.layer == Layer::Map(Scale::GLOBAL);
        if matches!(self.layer, Layer::Posterior(_)) || (!is_global && self.needs_task() && encodes_anew) {
            let expected =
                "a layer other than posteriorN; global where the classifier task encodes pictures anew";
            return Err(RunError::argument("layer", expected, self.layer));
        }
        at_least_one("batchSize", self.batch_size)?;
        at_least_one("threads", self.threads)?;
        if let Some(pictures) = self.max_train {
            at_least_one("maxTrain", pictures)?;
        }
        if self.needs_task() { self.classifier_task.validate() } else { Ok(()) }
    }

    /// Whether a head is asked for.
    pub(crate) fn has(&self, head: Head) -> bool {
        self.heads.contains(&head)
    }

    /// Whether a head is trained by the classifier task.
    pub(crate) fn needs_task(&self) -> bool {
        self.has(Head::Mlp) || (self.has(Head::Linear) && self.linear.method == LinearMethod::ClassifierTask)
    }
}

/// A head on frozen features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Head {
    /// Multinomial logistic regression.
    Linear,
    /// One hidden layer with batch norm and dropout.
    Mlp,
    /// k nearest neighbours by cosine similarity.
    Knn,
}

/// The linear head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinearHead {
    /// How it is fitted.
    pub method: LinearMethod,
    /// L-BFGS: weight of the squared weights, in nats; 0 or more.
    pub l2: f64,
    /// L-BFGS: steps at most, at least 1.
    pub max_iterations: usize,
    /// L-BFGS: largest magnitude in the gradient at which it has converged; 0 or more.
    pub tolerance: f64,
}

/// How the linear head is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LinearMethod {
    /// L-BFGS on standardised features.
    Lbfgs,
    /// The classifier task of the reference.
    ClassifierTask,
}

/// Training of heads as the reference does it (`task_classifiers.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassifierTask {
    /// The original's habits, or corrected ones.
    pub protocol: Protocol,
    /// Passes over the training pictures, at least 1.
    pub epochs: u64,
    /// Epochs after which the rate decays, rising.
    pub milestones: Vec<f64>,
    /// Factor at each milestone, `0..=1`.
    pub decay: f64,
    /// Learning rate, above 0.
    pub learning_rate: f64,
    /// Pictures an update, at least 2.
    pub batch_size: usize,
    /// Whether every epoch sees the training pictures augmented anew; else features are computed once.
    pub augment_train: bool,
    /// Hidden units of the MLP, at least 1.
    pub hidden_units: usize,
    /// Dropout on input and hidden layer of the MLP, `0..1`.
    pub dropout: f64,
    /// Soft clip of the logits, above 0.
    pub logit_clip: f64,
    /// Weight of the mean squared logit, 0 or more.
    pub logit_penalty: f64,
    /// Adam's decay of the mean gradient, `0..1`.
    pub beta1: f64,
    /// Adam's decay of the mean squared gradient, `0..1`.
    pub beta2: f64,
    /// Adam's epsilon, above 0.
    pub epsilon: f64,
    /// L2 weight decay, 0 or more.
    pub weight_decay: f64,
}

impl ClassifierTask {
    fn validate(&self) -> Result<()> {
        at_least_one("classifierTask.epochs", self.epochs as usize)?;
        if self.batch_size < 2 {
            return Err(RunError::argument("classifierTask.batchSize", "at least 2", self.batch_size));
        }
        if !(0.0..=1.0).contains(&self.decay) {
            return Err(RunError::argument("classifierTask.decay", "a number in 0..=1", self.decay));
        }
        self.optimizer().validate()?;
        Ok(self.classifiers().validate()?)
    }

    /// The optimiser.
    pub(crate) fn optimizer(&self) -> AdamConfig {
        AdamConfig {
            learning_rate: self.learning_rate,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            gradient_clip: None,
        }
    }

    /// The heads.
    pub(crate) fn classifiers(&self) -> ClassifierConfig {
        ClassifierConfig {
            enabled: true,
            hidden_units: self.hidden_units,
            dropout: self.dropout,
            logit_clip: self.logit_clip,
            logit_penalty: self.logit_penalty,
            ..ClassifierConfig::default()
        }
    }

    /// Learning rate of an epoch, from 0.
    ///
    /// The reference calls `scheduler.step(epoch)` after the epoch, so each of its milestones takes effect one epoch
    /// later.
    pub(crate) fn rate(&self, epoch: u64) -> f64 {
        let counted = match self.protocol {
            Protocol::Corrected => epoch,
            Protocol::Reference => epoch.saturating_sub(1),
        };
        let passed = self.milestones.iter().filter(|&&milestone| counted as f64 >= milestone).count();
        self.learning_rate * self.decay.powi(passed as i32)
    }
}

/// Which habits the classifier task has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// Features in eval mode, batch statistics from training pictures, every test picture counted.
    Corrected,
    /// As the authors' code: the encoder's batch norms in train mode, statistics warmed on test pictures, shuffled
    /// test pictures without the last, incomplete batch.
    Reference,
}

/// A timing of the bare step or of the encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BenchRequest {
    /// What is timed.
    pub mode: BenchMode,
    /// The encoder.
    pub encoder: EncoderConfig,
    /// The terms of a training step.
    pub terms: Vec<Term>,
    /// Pictures a step, at least 2 when training.
    pub batch_size: usize,
    /// Steps timed, at least 1.
    pub steps: usize,
    /// Steps before those.
    pub warmup: usize,
    /// Threads of the computation, at least 1.
    pub threads: usize,
    /// As in [`TrainRequest::device`].
    pub device: String,
    /// What runs the encoder.
    pub executor: ExecutorKind,
    /// How the encoder keeps its maps.
    pub precision: Precision,
}

impl BenchRequest {
    /// Checks every range.
    pub(crate) fn validate(&self) -> Result<()> {
        at_least_one("batchSize", self.batch_size)?;
        at_least_one("steps", self.steps)?;
        at_least_one("threads", self.threads)
    }
}

/// What a bench times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BenchMode {
    /// The whole training step.
    Train,
    /// The encoder with running statistics.
    Encode,
}

pub(crate) fn at_least_one(name: &str, value: usize) -> Result<()> {
    if value == 0 { Err(RunError::argument(name, "at least 1", value)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(protocol: Protocol) -> ClassifierTask {
        ClassifierTask {
            protocol,
            epochs: 10,
            milestones: vec![3.0, 5.0],
            decay: 0.5,
            learning_rate: 8.0,
            batch_size: 2,
            augment_train: false,
            hidden_units: 4,
            dropout: 0.0,
            logit_clip: 10.0,
            logit_penalty: 0.0,
            beta1: 0.8,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }

    #[test]
    fn the_references_milestones_come_one_epoch_late() {
        let rates = |protocol| (0..7).map(|epoch| task(protocol).rate(epoch)).collect::<Vec<_>>();
        assert_eq!(rates(Protocol::Corrected), [8.0, 8.0, 8.0, 4.0, 4.0, 2.0, 2.0]);
        assert_eq!(rates(Protocol::Reference), [8.0, 8.0, 8.0, 8.0, 4.0, 4.0, 2.0]);
    }

    #[test]
    fn layers_have_their_names() {
        let json = r#"{"layer":"local7","batchSize":2,"threads":1,"onBadImage":"skip","posteriorMaps":null}"#;
        let request: EmbedRequest = serde_json::from_str(json).unwrap();
        assert_eq!(request.layer, Layer::Map(Scale::new(7)));
        assert_eq!(serde_json::to_string(&request).unwrap(), json);
        assert!(request.validate().is_ok());
        let drawn = EmbedRequest { posterior_maps: Some("maps".into()), ..request };
        assert_eq!(drawn.validate().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
    }
}
