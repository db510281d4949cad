//! What measures come to, as TypeScript gets it.

use std::collections::BTreeMap;

use amdim_eval::{Agreement, KMeans, Retrieval, Spectrum};
use serde::Serialize;

use crate::event::Skipped;

/// Each measure that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasureResult {
    /// Effective number of directions; see [`amdim_eval::rank_me`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_me: Option<f64>,
    /// See [`amdim_eval::Spectrum`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectrum: Option<SpectrumReport>,
    /// See [`amdim_eval::alignment`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alignment: Option<f64>,
    /// See [`amdim_eval::uniformity`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uniformity: Option<f64>,
    /// How the encoder's vector follows its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jacobian: Option<JacobianReport>,
    /// See [`amdim_eval::Retrieval`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<RetrievalReport>,
    /// See [`amdim_eval::KMeans`] and [`amdim_eval::Agreement`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clustering: Option<ClusteringReport>,
    /// Pictures measured.
    pub pictures: usize,
    /// Values a picture.
    pub feature_dim: usize,
    /// Seconds that each stage took.
    pub seconds: BTreeMap<&'static str, f64>,
    /// Pictures that were left out.
    pub skipped: Vec<Skipped>,
}

/// The Jacobian of the encoder's vector by the normalised pixels; geometric means over some pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JacobianReport {
    /// Largest over smallest singular value; at most 6.7e7, where rounding begins.
    pub condition_number: f64,
    /// Singular values, the largest first.
    pub singular_values: Vec<f64>,
    /// Pictures at which it was taken.
    pub pictures: usize,
}

/// The spectrum of the covariance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpectrumReport {
    /// Variances along the principal axes, the largest first.
    pub eigenvalues: Vec<f64>,
    /// `exp` of the entropy of the shares of variance.
    pub effective_rank: f64,
    /// Square of the sum over the sum of squares.
    pub participation_ratio: f64,
    /// Fewest axes with 90 % of the variance.
    pub axes90: usize,
    /// Fewest axes with 99 % of the variance.
    pub axes99: usize,
    /// Exponent of the power law; null with too few axes.
    pub decay: Option<f64>,
}

impl From<Spectrum> for SpectrumReport {
    fn from(found: Spectrum) -> Self {
        Self {
            eigenvalues: found.eigenvalues,
            effective_rank: found.effective_rank,
            participation_ratio: found.participation_ratio,
            axes90: found.axes_90,
            axes99: found.axes_99,
            decay: found.decay,
        }
    }
}

/// How well pictures find those of their class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetrievalReport {
    /// 0..1
    pub mean_average_precision: f64,
    /// Recall at each rank asked for.
    pub recall: Vec<RecallReport>,
    /// Pictures that had one of their class to find.
    pub queries: usize,
    /// Pictures with none of their class to find.
    pub left_out: usize,
    /// Pictures of the gallery; none where all others were searched.
    pub gallery: Option<usize>,
}

/// Recall at one rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RecallReport {
    /// The rank.
    pub k: usize,
    /// Share of queries with one of their class up to there, 0..1.
    pub recall: f64,
}

impl RetrievalReport {
    pub(super) fn new(found: Retrieval, ranks: &[usize], gallery: Option<usize>) -> Self {
        let recall = ranks.iter().zip(found.recall).map(|(&k, recall)| RecallReport { k, recall });
        Self {
            mean_average_precision: found.mean_average_precision,
            recall: recall.collect(),
            queries: found.queries,
            left_out: found.left_out,
            gallery,
        }
    }
}

/// How far clusters are the classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClusteringReport {
    /// Number of clusters.
    pub clusters: usize,
    /// Normalised mutual information, 0..1.
    pub nmi: f64,
    /// Adjusted Rand index.
    pub ari: f64,
    /// Share of pictures right with the best class for each cluster, 0..1.
    pub accuracy: f64,
    /// Mean squared distance of a picture to its centre, both of features of length 1.
    pub distance: f64,
}

impl ClusteringReport {
    pub(super) fn new(clusters: usize, found: &KMeans, agreement: Agreement) -> Self {
        let Agreement { nmi, ari, accuracy } = agreement;
        Self { clusters, nmi, ari, accuracy, distance: found.inertia / found.clusters.len() as f64 }
    }
}
