//! Entropy and mutual information of samples, without a trained critic.

use std::sync::atomic::{AtomicBool, Ordering};

use amdim_eval::Features;
use amdim_eval::information::{
    Bounds, Edge, binned_entropy, binned_mutual_information, edge_mutual_information, kde_entropy,
    kde_information, knn_mutual_information,
};
use serde::{Deserialize, Serialize};

use crate::config::at_least_one;
use crate::estimate::Samples;
use crate::place::on_threads;
use crate::{Result, RunError};

/// What is asked of samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InformationRequest {
    /// Which question.
    pub question: Question,
    /// Threads of the computation, at least 1. The result does not depend on it.
    pub threads: usize,
}

/// A question with its options.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Question {
    /// Entropy of binned x.
    BinnedEntropy {
        /// Bins a dimension, at least 2.
        bins: usize,
    },
    /// Mutual information of binned x and y.
    BinnedInformation {
        /// Bins a dimension, at least 2.
        bins: usize,
    },
    /// Entropy of x with normal noise.
    KdeEntropy {
        /// Variance of the noise, above 0.
        noise_variance: f64,
    },
    /// What a noisy layer x shares with its input, and with labels.
    KdeInformation {
        /// Variance of the noise, above 0.
        noise_variance: f64,
    },
    /// Mutual information of x and y by nearest neighbours.
    KnnInformation {
        /// Which neighbour, at least 1.
        k: usize,
    },
    /// Mutual information of x and y by an ensemble of dependence graphs.
    EdgeInformation {
        /// Estimates that are combined, at least 3.
        ensemble: usize,
        /// Most dimensions of a variable before it is projected, at least 1.
        projections: usize,
        /// Seed of shifts and directions.
        seed: u64,
    },
}

/// The samples of a question; `y` and `labels` where it takes them.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a> {
    /// The variable, or one of two.
    pub x: Samples<'a>,
    /// The other.
    pub y: Option<Samples<'a>>,
    /// A label a sample of x.
    pub labels: Option<&'a [u32]>,
}

/// An answer in nats; what the question does not ask for is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// A value.
    pub value: Option<f64>,
    /// Bounds on it, or on what a layer shares with its input.
    pub bounds: Option<[f64; 2]>,
    /// Bounds on what a layer shares with labels.
    pub label_bounds: Option<[f64; 2]>,
}

/// Answers a question.
///
/// # Errors
/// - `AMDIM_INVALID_ARGUMENT`: an option out of range, a variable that does not vary, a variable that is missing
/// - `AMDIM_SHAPE`, `AMDIM_NON_FINITE`, `AMDIM_DATA`: samples that can't be used
/// - `AMDIM_CANCELLED` once `cancel` is set
pub fn information(
    request: &InformationRequest,
    variables: &Variables<'_>,
    cancel: &AtomicBool,
) -> Result<Answer> {
    at_least_one("threads", request.threads)?;
    on_threads(request.threads, || answer(request.question, variables, cancel))
}

fn answer(question: Question, variables: &Variables<'_>, cancel: &AtomicBool) -> Result<Answer> {
    let stop = || cancel.load(Ordering::Relaxed);
    let x = Features::new("x", variables.x.values, variables.x.dimensions)?;
    let y = || {
        let missing = || RunError::argument("y", "samples of a second variable", "none");
        variables.y.ok_or_else(missing)
    };
    let pair = |Bounds { lower, upper }: Bounds| [lower, upper];
    let value = |value| Answer { value: Some(value), ..Answer::default() };
    Ok(match question {
        Question::BinnedEntropy { bins } => value(binned_entropy(x, bins)?),
        Question::BinnedInformation { bins } => {
            let y = y()?;
            value(
                binned_mutual_information(x, Features::new("y", y.values, y.dimensions)?, bins)?
                    .mutual_information,
            )
        }
        Question::KdeEntropy { noise_variance } => {
            Answer { bounds: Some(pair(kde_entropy(x, noise_variance, &stop)?)), ..Answer::default() }
        }
        Question::KdeInformation { noise_variance } => {
            let (input, output) = kde_information(x, variables.labels, noise_variance, &stop)?;
            Answer { value: None, bounds: Some(pair(input)), label_bounds: output.map(pair) }
        }
        Question::KnnInformation { k } => {
            let y = y()?;
            value(knn_mutual_information(x, Features::new("y", y.values, y.dimensions)?, k, &stop)?)
        }
        Question::EdgeInformation { ensemble, projections, seed } => {
            let (y, edge) = (y()?, Edge { ensemble, projections, seed });
            value(edge_mutual_information(x, Features::new("y", y.values, y.dimensions)?, edge, &stop)?)
        }
    })
}
