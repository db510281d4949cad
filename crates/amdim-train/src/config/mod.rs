//! What a run is told, as data. There are no defaults here: TypeScript owns them and fills every field in.

mod export;
mod length;
mod measure;
mod request;

use amdim_core::check_chunk_size;
use amdim_core::encoder::{EncoderConfig, Scale};
use amdim_core::loss::{MixtureConfig, ObjectiveConfig};
use amdim_core::method::{MethodConfig, MethodOptions};
use amdim_core::model::{MixtureShape, ModelConfig};
use amdim_core::nn::ClassifierConfig;
use amdim_core::optim::{AdamConfig, ScheduleConfig};
use amdim_core::train_step::{Learns, StepConfig};
use amdim_data::AugmentConfig;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Result, RunError};

pub use amdim_core::method::MethodName;
pub use export::{ExportFormat, ExportRequest};
pub use length::Length;
pub use measure::{Clustering, CompareRequest, DuplicatesRequest, Measure, MeasureRequest};
pub(crate) use request::at_least_one;
pub use request::{
    BadImage, BenchMode, BenchRequest, ClassifierHead, ClassifierTask, ClassifyRequest, EmbedRequest,
    EvaluateRequest, Head, LinearHead, LinearMethod, PlanRequest, Protocol, TrainRequest,
};

/// Everything that a run's numbers depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AmdimConfig {
    /// The encoder.
    pub encoder: EncoderConfig,
    /// How the encoder learns from views. Files of the time before there were methods mean `amdim`.
    #[serde(default)]
    pub method: MethodName,
    /// The multiscale objective, where `method` is `amdim`.
    pub objective: ObjectiveConfig,
    /// Settings of every method, each under its name; those of `method` count.
    #[serde(flatten)]
    pub methods: MethodOptions,
    /// The optimiser.
    pub optimizer: AdamConfig,
    /// The learning-rate schedule.
    pub schedule: ScheduleConfig,
    /// The online classifiers.
    pub classifiers: ClassifierConfig,
    /// How a picture becomes two views, and its test-time form.
    pub augment: AugmentConfig,
    /// Pictures an update, at least 2 (each is the others' negative).
    pub batch_size: usize,
    /// Most pictures that go through the encoder at once, at least 2; all of a batch are in the loss. None: the whole
    /// batch. Files of the time before this option mean none.
    #[serde(default)]
    pub chunk_size: Option<usize>,
    /// Whether batch norms take their running statistics in training too. Files of the time before this option mean
    /// false.
    #[serde(default)]
    pub statistics_frozen: bool,
    /// How long the run is.
    pub length: Length,
    /// Seed of weights, order, augmentation, sampled positions and dropout.
    pub seed: u64,
    /// Whether only the online classifiers learn.
    pub encoder_frozen: bool,
    /// Whether the classifiers' losses move the encoder, in place of the objective. Files of the time before this
    /// option mean false.
    #[serde(default)]
    pub supervised: bool,
    /// Share of the labels that are used, above 0, at most 1, the same of every class. Files of the time before this
    /// option mean 1.
    #[serde(default = "all_labels")]
    pub label_fraction: f64,
    /// Pictures among which the next one of a stream (shards, Parquet) is drawn, at least 1. Files of the time before
    /// this option are of runs on other data sets, which it does not move.
    #[serde(default = "usual_buffer")]
    pub shuffle_buffer: usize,
}

fn usual_buffer() -> usize {
    4096
}

fn all_labels() -> f64 {
    1.0
}

impl AmdimConfig {
    /// Checks every range, and that the views fit the encoder.
    ///
    /// # Errors
    /// An `AMDIM_INVALID_ARGUMENT` that names the first option out of its range.
    pub fn validate(&self) -> Result<()> {
        let encoder = self.encoder.describe()?;
        if self.method == MethodName::Amdim {
            self.objective.validate(&Scale::all_of(&encoder))?;
        }
        self.method().validate(self.batch_size)?;
        self.optimizer.validate()?;
        self.schedule.validate()?;
        self.classifiers.validate()?;
        self.augment.validate()?;
        self.length.validate()?;
        if self.shuffle_buffer == 0 {
            return Err(RunError::argument("shuffleBuffer", "at least 1", self.shuffle_buffer));
        }
        if self.supervised && self.encoder_frozen {
            return Err(RunError::argument("supervised", "false beside encoderFrozen", true));
        }
        let has_decoder = self.classifiers.enabled || self.method != MethodName::Vib;
        if !has_decoder {
            return Err(RunError::argument("classifiers.enabled", "true with method vib", false));
        }
        if self.supervised && !self.classifiers.enabled {
            return Err(RunError::argument("classifiers.enabled", "true in a supervised run", false));
        }
        if !(self.label_fraction > 0.0 && self.label_fraction <= 1.0) {
            let expected = "a number above 0, at most 1";
            return Err(RunError::argument("labelFraction", expected, self.label_fraction));
        }
        if self.batch_size < 2 {
            return Err(RunError::argument("batchSize", "at least 2", self.batch_size));
        }
        check_chunk_size(self.batch_size, self.chunk_size)?;
        self.check_views()
    }

    fn check_views(&self) -> Result<()> {
        let (pixels, side) = (self.augment.pixels as usize, self.encoder.encoder_size());
        if pixels != side {
            return Err(RunError::argument(
                "augment.pixels",
                format!("{side} (encoder.encoderSize)"),
                pixels,
            ));
        }
        let (views, input) = (usize::from(self.augment.channels), self.encoder.input_channels());
        if views != input {
            let expected = format!("{input} (encoder.inputChannels)");
            return Err(RunError::argument("augment.channels", expected, views));
        }
        Ok(())
    }

    /// Whether labels move the encoder.
    pub fn learns_from_labels(&self) -> bool {
        self.supervised || (self.method == MethodName::Vib && !self.encoder_frozen)
    }

    /// The method with its settings.
    fn method(&self) -> MethodConfig {
        self.methods.of(self.method)
    }

    /// What the shape of a model with classifiers for `classes` classes (0: none) depends on.
    pub fn model(&self, classes: usize) -> ModelConfig {
        let shape = |mixture: &MixtureConfig| MixtureShape {
            components: mixture.components,
            hidden_units: mixture.hidden_units.unwrap_or(self.encoder.embedding_dim()),
        };
        let has_heads = !self.supervised && !self.encoder_frozen;
        ModelConfig {
            encoder: self.encoder.clone(),
            classifiers: self.classifiers.clone(),
            classes,
            mixture: self.objective.mixture.as_ref().filter(|_| self.method == MethodName::Amdim).map(shape),
            infomax: (self.method == MethodName::Dim && has_heads).then(|| self.methods.dim.heads()),
            bottleneck: has_heads && self.method().is_stochastic(),
        }
    }

    /// What an update does.
    pub fn step(&self) -> StepConfig {
        StepConfig {
            method: self.method(),
            objective: self.objective.clone(),
            optimizer: self.optimizer.clone(),
            learns: match (self.supervised, self.encoder_frozen) {
                (true, _) => Learns::FromLabels,
                (false, true) => Learns::ClassifiersAlone,
                (false, false) => Learns::FromViews,
            },
            chunk_size: self.chunk_size,
            statistics_frozen: self.statistics_frozen,
            seed: self.seed,
        }
    }
}

/// Reads a request or configuration; `what` names it in errors.
///
/// # Errors
/// `AMDIM_INVALID_ARGUMENT` for a field that is missing, unknown or of another type.
pub fn from_json<T: DeserializeOwned>(what: &str, json: &str) -> Result<T> {
    serde_json::from_str(json)
        .map_err(|error| RunError::argument(what, "every field of the request, and no other", error))
}
