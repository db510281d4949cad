//! Averages over the updates since the last step event.

use std::collections::BTreeMap;

use amdim_core::train_step::{PartReport, StepReport};

use crate::event::{ClassifierEvent, StepEvent};

/// Where the run stands when a step event is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) update: u64,
    /// Epoch of the last update.
    pub(crate) epoch: u64,
    pub(crate) pairs: u64,
    pub(crate) seconds: f64,
    pub(crate) learning_rate: f64,
    pub(crate) progress: f64,
    pub(crate) eta_seconds: Option<f64>,
}

/// Sums of the reports since it was last emptied.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    updates: u64,
    objectives: u64,
    classifiers: u64,
    loss: f64,
    penalty: f64,
    terms: BTreeMap<String, f64>,
    nce_top1: BTreeMap<String, f64>,
    scores: [f64; 2],
    score_max: f64,
    posterior_entropy: Option<f64>,
    gradient_norm: f64,
    heads: [f64; 4],
    /// Pairs and seconds of the run when it was emptied.
    since: (u64, f64),
}

impl Meter {
    /// An empty meter for a run that has seen so many pairs in so many seconds.
    pub(crate) fn new(pairs: u64, seconds: f64) -> Self {
        Self { since: (pairs, seconds), ..Self::default() }
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.updates == 0
    }

    /// Counts an update.
    pub(crate) fn add(&mut self, report: &StepReport) {
        self.updates += 1;
        self.gradient_norm += report.gradient_norm;
        self.loss += match (&report.objective, &report.classifier) {
            (Some(objective), _) => objective.total,
            // What is learnt are the classifiers, with or without the encoder.
            (None, Some(heads)) => heads.linear_loss + heads.mlp_loss,
            (None, None) => 0.0,
        };
        if let Some(objective) = &report.objective {
            self.objectives += 1;
            self.penalty += objective.penalty;
            for PartReport { part, loss, top1 } in &objective.parts {
                *self.terms.entry(part.to_string()).or_default() += loss;
                if let Some(top1) = top1 {
                    *self.nce_top1.entry(part.to_string()).or_default() += top1;
                }
            }
            self.scores[0] += objective.score_mean;
            self.scores[1] += objective.score_std;
            self.score_max = self.score_max.max(objective.score_max);
            if let Some(entropy) = objective.posterior_entropy {
                *self.posterior_entropy.get_or_insert(0.0) += entropy;
            }
        }
        if let Some(heads) = &report.classifier {
            self.classifiers += 1;
            let values = [heads.linear_loss, heads.linear_top1, heads.mlp_loss, heads.mlp_top1];
            self.heads.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }

    /// The averages, and an empty meter from here on.
    pub(crate) fn take(&mut self, at: Standing) -> StepEvent {
        let full = std::mem::replace(self, Self::new(at.pairs, at.seconds));
        let mean = |sum: f64| sum / full.objectives.max(1) as f64;
        let means = |sums: &BTreeMap<String, f64>| {
            sums.iter().map(|(term, &sum)| (term.clone(), mean(sum))).collect::<BTreeMap<_, _>>()
        };
        let head = |place: usize| full.heads[place] / full.classifiers as f64;
        StepEvent {
            update: at.update,
            epoch: at.epoch,
            pairs: at.pairs,
            seconds: at.seconds,
            pairs_per_second: rate(at.pairs - full.since.0, at.seconds - full.since.1),
            learning_rate: at.learning_rate,
            loss: full.loss / full.updates.max(1) as f64,
            terms: means(&full.terms),
            penalty: mean(full.penalty),
            nce_top1: means(&full.nce_top1),
            score_mean: mean(full.scores[0]),
            score_std: mean(full.scores[1]),
            score_max: full.score_max,
            posterior_entropy: full.posterior_entropy.map(mean),
            gradient_norm: full.gradient_norm / full.updates.max(1) as f64,
            classifier: (full.classifiers > 0).then(|| ClassifierEvent {
                linear_loss: head(0),
                linear_top1: head(1),
                mlp_loss: head(2),
                mlp_top1: head(3),
            }),
            progress: at.progress,
            eta_seconds: at.eta_seconds,
        }
    }
}

/// Pairs a second; 0 before any time has passed.
pub(crate) fn rate(pairs: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { pairs as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use amdim_core::loss::Term;
    use amdim_core::train_step::{ClassifierReport, ObjectiveReport, Part};

    use super::*;

    fn report(loss: f64, labelled: bool) -> StepReport {
        StepReport {
            objective: Some(ObjectiveReport {
                total: loss,
                parts: vec![PartReport {
                    part: Part::Term(Term::new(1, 5)),
                    loss: loss / 2.0,
                    top1: Some(0.5),
                }],
                penalty: 0.25,
                score_mean: 1.0,
                score_std: 2.0,
                score_max: loss,
                posterior_entropy: labelled.then_some(loss / 2.0),
            }),
            classifier: labelled.then_some(ClassifierReport {
                linear_loss: loss,
                linear_top1: 0.5,
                mlp_loss: 2.0 * loss,
                mlp_top1: 1.0,
            }),
            gradient_norm: 3.0,
        }
    }

    #[test]
    fn averages_start_anew_after_each_event() {
        let at = |update, pairs, seconds| Standing {
            update,
            epoch: 0,
            pairs,
            seconds,
            learning_rate: 0.1,
            progress: 0.5,
            eta_seconds: None,
        };
        let mut meter = Meter::new(100, 10.0);
        meter.add(&report(2.0, true));
        meter.add(&report(4.0, false));
        let event = meter.take(at(2, 300, 12.0));
        assert_eq!((event.loss, event.terms["1->5"], event.score_max), (3.0, 1.5, 4.0));
        assert_eq!((event.pairs_per_second, event.gradient_norm, event.penalty), (100.0, 3.0, 0.25));
        assert_eq!((event.classifier.unwrap().mlp_loss, event.posterior_entropy), (4.0, Some(0.5)));
        assert!(meter.is_empty());
        meter.add(&report(8.0, false));
        let event = meter.take(at(3, 310, 13.0));
        assert_eq!((event.loss, event.score_max, event.pairs_per_second), (8.0, 8.0, 10.0));
        assert_eq!((event.classifier, event.posterior_entropy), (None, None));
    }
}
