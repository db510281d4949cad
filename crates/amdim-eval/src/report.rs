//! What is counted from scores and labels.

use serde::Serialize;

use crate::error::{EvalError, Result, check_count};
use crate::features::first_non_finite_row;
use crate::labels::Labels;
use crate::wilson::Proportion;

/// Accuracy on the examples of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassAccuracy {
    /// The class.
    pub class: u32,
    /// Number of its examples.
    pub count: usize,
    /// Share of them ranked first; `None` (JSON `null`) without examples.
    pub top1: Option<Proportion>,
}

/// Accuracy of a classifier on a test set.
///
/// The rank of a class is its place when scores fall; of equal scores the lower class comes first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Number of examples; every one is counted.
    pub n: usize,
    /// Number of classes.
    pub num_classes: usize,
    /// Share of examples whose class is ranked first.
    pub top1: Proportion,
    /// Share of examples whose class is among the first min(5, classes).
    pub top5: Proportion,
    /// Mean of the top-1 accuracies of the classes that have examples, 0..1.
    pub balanced_accuracy: f64,
    /// Share of the most frequent class, 0..1: what naming it always would reach.
    pub majority_share: f64,
    /// One entry a class, in order.
    pub per_class: Vec<ClassAccuracy>,
    /// `confusion[label][predicted]`: number of examples. Shape `[classes, classes]`.
    pub confusion: Vec<Vec<usize>>,
}

impl Report {
    /// Counts.
    ///
    /// # Shapes
    /// - `scores`: `[n, classes]`, row after row; higher is likelier, in any unit
    /// - `labels`: `[n]`
    ///
    /// # Errors
    /// - [`EvalError::Shape`]: not one score a label and class
    /// - [`EvalError::NonFinite`]: names the first row with an infinite score or NaN
    pub fn from_scores(scores: &[f32], labels: Labels<'_>) -> Result<Self> {
        let (n, num_classes) = (labels.count(), labels.classes());
        check_count("scores", n * num_classes, scores.len())?;
        if let Some(row) = first_non_finite_row(scores, num_classes) {
            return Err(EvalError::NonFinite { what: "scores", row });
        }
        let mut confusion = vec![vec![0; num_classes]; num_classes];
        let mut correct_at_5 = 0;
        for (row, &label) in scores.chunks_exact(num_classes).zip(labels.values()) {
            confusion[label as usize][first_of_largest(row)] += 1;
            correct_at_5 += usize::from(rank(row, label as usize) < 5);
        }
        Ok(Self::from_counts(confusion, correct_at_5, n))
    }

    fn from_counts(confusion: Vec<Vec<usize>>, correct_at_5: usize, n: usize) -> Self {
        let share = |correct| Proportion::new(correct, n).expect("labels are not empty");
        let per_class: Vec<ClassAccuracy> = confusion
            .iter()
            .enumerate()
            .map(|(class, row)| {
                let count = row.iter().sum();
                ClassAccuracy { class: class as u32, count, top1: Proportion::new(row[class], count) }
            })
            .collect();
        let accuracies: Vec<f64> = per_class.iter().filter_map(|class| Some(class.top1?.value)).collect();
        let largest_class = per_class.iter().map(|class| class.count).max().unwrap_or(0);
        Self {
            n,
            num_classes: confusion.len(),
            top1: share((0..confusion.len()).map(|class| confusion[class][class]).sum()),
            top5: share(correct_at_5),
            balanced_accuracy: accuracies.iter().sum::<f64>() / accuracies.len() as f64,
            majority_share: largest_class as f64 / n as f64,
            per_class,
            confusion,
        }
    }
}

/// Number of classes ahead of `class`.
fn rank(scores: &[f32], class: usize) -> usize {
    let own = scores[class];
    let (before, after) = scores.split_at(class);
    before.iter().filter(|&&score| score >= own).count() + after.iter().filter(|&&score| score > own).count()
}

/// The class of rank 0.
fn first_of_largest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (class, &score) in scores.iter().enumerate() {
        if score > scores[best] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    /// Six classes, four examples: ranks 0, 1, 4 and 5 of their labels.
    fn four_examples() -> Report {
        let scores = [
            [9.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            [9.0, 8.0, 2.0, 3.0, 4.0, 5.0],
            [9.0, 8.0, 7.0, 6.0, 5.0, 4.0],
            [9.0, 8.0, 7.0, 6.0, 5.0, 4.0],
        ];
        Report::from_scores(scores.as_flattened(), Labels::new(&[0, 1, 4, 5], 6).unwrap()).unwrap()
    }

    #[test]
    fn counts_by_rank() {
        let report = four_examples();
        assert_eq!((report.top1.correct, report.top5.correct, report.n), (1, 3, 4));
        assert_eq!(report.confusion[0], [1, 0, 0, 0, 0, 0]);
        assert_eq!(report.confusion[4], [1, 0, 0, 0, 0, 0]);
        assert_eq!(report.confusion.as_slice().concat().iter().sum::<usize>(), 4);
        assert_eq!(report.balanced_accuracy, 0.25);
        assert_eq!(report.majority_share, 0.25);
        assert_eq!(report.per_class[2], ClassAccuracy { class: 2, count: 0, top1: None });
        assert_eq!(report.per_class[1].top1.unwrap().value, 0.0);
    }

    #[test]
    fn balanced_accuracy_weighs_classes_alike() {
        // Class 0 right three times of three, class 1 wrong once: 0.75 of the examples, half of the classes.
        let scores = [[1.0, 0.0]; 4];
        let report =
            Report::from_scores(scores.as_flattened(), Labels::new(&[0, 0, 0, 1], 2).unwrap()).unwrap();
        assert_eq!((report.top1.value, report.balanced_accuracy, report.majority_share), (0.75, 0.5, 0.75));
        assert_eq!(report.top5.value, 1.0);
    }

    #[test]
    fn of_equal_scores_the_lower_class_comes_first() {
        let report = Report::from_scores(&[0.0; 14], Labels::new(&[0, 6], 7).unwrap()).unwrap();
        assert_eq!((report.top1.correct, report.top5.correct), (1, 1));
        assert_eq!(report.confusion[6][0], 1);
    }

    #[test]
    fn json_is_camel_case() {
        let json = serde_json::to_value(four_examples()).unwrap();
        assert_eq!(json["top1"]["correct"], 1);
        assert_eq!(json["balancedAccuracy"], 0.25);
        assert_eq!(json["perClass"][2]["top1"], serde_json::Value::Null);
        assert_eq!(json["numClasses"], 6);
    }

    #[test]
    fn refuses_scores_of_another_shape_and_nan() {
        let labels = Labels::new(&[0, 1], 2).unwrap();
        assert_eq!(
            Report::from_scores(&[0.0; 3], labels).unwrap_err(),
            EvalError::Shape { what: "scores", expected: 4, actual: 3 }
        );
        let error = Report::from_scores(&[0.0, 1.0, f32::NAN, 0.0], labels).unwrap_err();
        assert_eq!(error, EvalError::NonFinite { what: "scores", row: 1 });
    }

    quickcheck! {
        fn ranks_equal_those_of_a_stable_sort(scores: Vec<i8>) -> bool {
            let scores: Vec<f32> = scores.iter().map(|&score| f32::from(score % 4)).collect();
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            let first = scores.is_empty() || first_of_largest(&scores) == order[0];
            first && order.iter().enumerate().all(|(place, &class)| rank(&scores, class) == place)
        }
    }
}
