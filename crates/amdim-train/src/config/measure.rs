//! The requests of measures, comparisons and the search for duplicates.

use amdim_data::AugmentConfig;
use serde::{Deserialize, Serialize};

use super::BadImage;
use super::request::at_least_one;
use crate::{Result, RunError};

/// What is measured of the features of one data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeasureRequest {
    /// Test-time transform, for raw pixels too; its training part makes the two views of the alignment.
    pub augment: AugmentConfig,
    /// Which measures; at least one.
    pub measures: Vec<Measure>,
    /// Ranks at which the recall of the retrieval is counted, at least 1 each.
    pub recall_at: Vec<usize>,
    /// How clusters are found.
    pub clustering: Clustering,
    /// Pictures at which the Jacobian is taken, at least 1.
    pub jacobian_pictures: usize,
    /// Pictures encoded at once, at least 1.
    pub batch_size: usize,
    /// Threads of the computation, at least 1.
    pub threads: usize,
    /// Seed of the choice of pictures, of views and of first centres.
    pub seed: u64,
    /// What to do about a picture that can't be used.
    pub on_bad_image: BadImage,
    /// Only this many pictures, drawn by the seed; at least 2. None: all.
    pub max_pictures: Option<usize>,
}

/// How clusters are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clustering {
    /// Number of clusters, at least 1; none: as many as classes.
    pub clusters: Option<usize>,
    /// Starts, of which the best counts; at least 1.
    pub restarts: usize,
    /// Steps of a start at most, at least 1.
    pub max_iterations: usize,
}

/// A measure of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Measure {
    /// `RankMe`.
    RankMe,
    /// Eigenvalues of the covariance.
    Spectrum,
    /// Distance of two views.
    Alignment,
    /// Potential of all pairs.
    Uniformity,
    /// Singular values of the encoder's Jacobian.
    Jacobian,
    /// Search for the class; needs labels.
    Retrieval,
    /// Clusters against classes; needs labels.
    Clustering,
}

impl MeasureRequest {
    /// Checks every range that the measures do not check themselves.
    pub(crate) fn validate(&self) -> Result<()> {
        self.augment.validate()?;
        if self.measures.is_empty() {
            return Err(RunError::argument("measures", "at least one", "none"));
        }
        at_least_one("jacobianPictures", self.jacobian_pictures)?;
        at_least_one("batchSize", self.batch_size)?;
        at_least_one("threads", self.threads)?;
        match self.max_pictures {
            Some(pictures @ ..2) => Err(RunError::argument("maxPictures", "at least 2 or null", pictures)),
            _ => Ok(()),
        }
    }

    /// Whether a measure is asked for.
    pub(crate) fn has(&self, measure: Measure) -> bool {
        self.measures.contains(&measure)
    }

    /// Whether a measure needs labels.
    pub(crate) fn needs_labels(&self) -> bool {
        self.has(Measure::Retrieval) || self.has(Measure::Clustering)
    }
}

/// How two classifiers are compared on the same pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompareRequest {
    /// Bootstrap samples, 100 to 1,000,000.
    pub resamples: usize,
    /// Probability that the interval is for, above 0 and below 1.
    pub confidence: f64,
    /// Seed of the samples.
    pub seed: u64,
    /// Threads of the computation, at least 1.
    pub threads: usize,
}

/// How test pictures that training pictures resemble are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DuplicatesRequest {
    /// Similarity from which two pictures count as near-duplicates, above 0 and at most 1.
    pub similarity: f64,
    /// Whether mirrored pictures are looked for, too.
    pub mirrored: bool,
    /// Threads of the computation, at least 1.
    pub threads: usize,
    /// What to do about a picture that can't be used.
    pub on_bad_image: BadImage,
}

impl DuplicatesRequest {
    /// Checks every range.
    pub(crate) fn validate(&self) -> Result<()> {
        at_least_one("threads", self.threads)?;
        if self.similarity > 0.0 && self.similarity <= 1.0 {
            return Ok(());
        }
        Err(RunError::argument("similarity", "a number above 0 and at most 1", self.similarity))
    }
}
