//! What a run tells while it works, and at its end. The JSON forms are those of the border to TypeScript.

use std::collections::BTreeMap;
use std::path::PathBuf;

use amdim_core::executor::Precision;
use amdim_data::SkippedPicture;
use serde::Serialize;

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TrainEvent {
    /// The run has started: everything is open and the first batch is there.
    Start {
        /// Folder that the run writes.
        run_folder: Option<PathBuf>,
        /// Device used: `cpu`, `cuda:N` or `metal`.
        device: String,
        /// Executor used: `cpu` or `candle`.
        executor: String,
        /// How the encoder keeps its maps: `f32` or `bf16`.
        precision: Precision,
        /// Instructions of the processor that the `cpu` executor uses.
        kernel: String,
        /// Threads of the computation.
        threads: usize,
        /// Training pictures.
        train_size: usize,
        /// Test pictures.
        test_size: Option<usize>,
        /// Classes of the online classifiers; 0 where there are none.
        classes: usize,
        /// Parameters of the encoder, projections included.
        parameters: usize,
        /// Updates an epoch; the incomplete last batch is dropped.
        updates_per_epoch: u64,
        /// Updates of the whole run; none when its length is a time.
        total_updates: Option<u64>,
        /// Each term's loss at chance, in nats.
        chance_level: BTreeMap<String, f64>,
        /// Updates that a resumed run had already made.
        resumed_from: u64,
    },
    /// Averages over the updates since the last event of this kind (or since the session began).
    Step(StepEvent),
    /// A checkpoint was written.
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Updates made.
        update: u64,
    },
    /// An epoch ended.
    Epoch {
        /// Epochs done.
        epoch: u64,
        /// Updates made.
        update: u64,
        /// Seconds of training.
        seconds: f64,
    },
    /// The online classifiers were tested on the test pictures.
    Evaluation {
        /// Epochs done.
        epoch: u64,
        /// Updates made.
        update: u64,
        /// Accuracy of the linear classifier, 0..1.
        linear_top1: f64,
        /// Accuracy of the MLP, 0..1.
        mlp_top1: f64,
    },
    /// Something that a user should know and that does not stop the run.
    Warning {
        /// Stable code.
        code: String,
        /// What it is about.
        message: String,
    },
    /// A picture was left out.
    Skipped(Skipped),
}

impl TrainEvent {
    pub(crate) fn warning(code: &str, message: impl Into<String>) -> Self {
        Self::Warning { code: code.into(), message: message.into() }
    }
}

/// Averages over some updates.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepEvent {
    /// Updates made.
    pub update: u64,
    /// Epoch of the last of them, from 0.
    pub epoch: u64,
    /// Pairs of views seen.
    pub pairs: u64,
    /// Seconds of training, evaluation excluded.
    pub seconds: f64,
    /// Pairs a second since the last event.
    pub pairs_per_second: f64,
    /// Learning rate of the last update.
    pub learning_rate: f64,
    /// Sum of terms and penalty, in nats; of the classifiers' losses where the objective is off (supervised, frozen encoder).
    pub loss: f64,
    /// Loss of each term, or of each part of another method's loss, in nats.
    pub terms: BTreeMap<String, f64>,
    /// Penalty on the scores.
    pub penalty: f64,
    /// Share of positive pairs above all their negatives, for each term; of right answers, for parts that have such.
    pub nce_top1: BTreeMap<String, f64>,
    /// Mean score before clipping.
    pub score_mean: f64,
    /// Standard deviation of the scores.
    pub score_std: f64,
    /// Largest score in absolute value.
    pub score_max: f64,
    /// Mean entropy of the posteriors over mixture features, in nats; none without a mixture.
    pub posterior_entropy: Option<f64>,
    /// Norm of the encoder's gradient before clipping.
    pub gradient_norm: f64,
    /// Online classifiers on the training views; none without labels.
    pub classifier: Option<ClassifierEvent>,
    /// Share of the run that is done, 0..1.
    pub progress: f64,
    /// Seconds to go; none while unknown.
    pub eta_seconds: Option<f64>,
}

/// The online classifiers' averages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassifierEvent {
    /// Loss of the linear classifier, in nats.
    pub linear_loss: f64,
    /// Its accuracy, 0..1.
    pub linear_top1: f64,
    /// Loss of the MLP, in nats.
    pub mlp_loss: f64,
    /// Its accuracy, 0..1.
    pub mlp_top1: f64,
}

/// A picture that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its path or number.
    pub name: String,
    /// Stable code of what was wrong with it.
    pub code: String,
    /// What was wrong with it.
    pub message: String,
}

impl From<SkippedPicture> for Skipped {
    fn from(SkippedPicture { name, code, message }: SkippedPicture) -> Self {
        Self { name, code, message }
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainResult {
    /// Whether it was cancelled before its end.
    pub cancelled: bool,
    /// Updates made, those before a resume included.
    pub update: u64,
    /// Epoch of the next batch, from 0.
    pub epoch: u64,
    /// Pairs of views seen.
    pub pairs: u64,
    /// Seconds of training, evaluation excluded.
    pub seconds: f64,
    /// Pairs a second, over the whole run.
    pub pairs_per_second: f64,
    /// The last step event of this session.
    pub last_step: Option<StepEvent>,
    /// Weights and configuration.
    pub model_path: Option<PathBuf>,
    /// Newest checkpoint.
    pub checkpoint_path: Option<PathBuf>,
    /// Folder of the run.
    pub run_folder: Option<PathBuf>,
    /// Pictures that were left out.
    pub skipped: Vec<Skipped>,
}
