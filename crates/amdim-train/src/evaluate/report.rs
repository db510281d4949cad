//! What one head came to, with the names of the classes.

use amdim_eval::{Proportion, Report};
use serde::Serialize;

/// How well one head classifies the test pictures. Shares are 0..1, intervals 95 % Wilson intervals.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadReport {
    /// Share of pictures whose likeliest class is right.
    pub top1: f64,
    /// Its interval.
    pub top1_interval: [f64; 2],
    /// Share of pictures whose class is among the five likeliest.
    pub top5: f64,
    /// Its interval.
    pub top5_interval: [f64; 2],
    /// Mean of the classes' accuracies.
    pub balanced_accuracy: f64,
    /// Pictures counted.
    pub count: usize,
    /// One entry a class.
    pub per_class: Vec<ClassReport>,
    /// `confusion[label][predicted]`: numbers of pictures.
    pub confusion: Vec<Vec<usize>>,
    /// `[test pictures]`, where asked for: the likeliest class, an index; -1 for a picture that was not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predictions: Option<Vec<i64>>,
}

/// How well one class is recognised.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassReport {
    /// Its name.
    pub name: String,
    /// Test pictures of the class.
    pub count: usize,
    /// Those classified rightly.
    pub correct: usize,
    /// `correct / count`; 0 without pictures.
    pub accuracy: f64,
}

impl HeadReport {
    /// Puts the names to the classes of a report.
    pub(super) fn new(report: Report, classes: &[String]) -> Self {
        let interval = |share: Proportion| [share.low, share.high];
        let per_class = report.per_class.iter().zip(classes).map(|(class, name)| ClassReport {
            name: name.clone(),
            count: class.count,
            correct: class.top1.map_or(0, |share| share.correct),
            accuracy: class.top1.map_or(0.0, |share| share.value),
        });
        Self {
            top1: report.top1.value,
            top1_interval: interval(report.top1),
            top5: report.top5.value,
            top5_interval: interval(report.top5),
            balanced_accuracy: report.balanced_accuracy,
            count: report.n,
            per_class: per_class.collect(),
            confusion: report.confusion,
            predictions: None,
        }
    }
}
