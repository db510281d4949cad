//! Learning-rate schedules: warm-up, then constant, multi-step or cosine.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Updates of the reference's warm-up.
const REFERENCE_WARMUP: f64 = 500.0;
/// Share of a run that an automatic warm-up takes at most.
const WARMUP_SHARE: f64 = 0.05;

/// Settings of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleConfig {
    /// What follows the warm-up.
    pub kind: ScheduleKind,
    /// Updates of the linear warm-up; none: the shorter of 500 and 5 % of the run.
    pub warmup_updates: Option<u64>,
    /// Epochs at which a multi-step schedule multiplies the rate by `decay`.
    pub milestones: Vec<f64>,
    /// Factor at each milestone, `0..=1`; 0.2 in the reference.
    pub decay: f64,
    /// Share of the learning rate at which a cosine schedule ends, `0..=1`.
    pub final_scale: f64,
}

/// What follows the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// The learning rate itself.
    Constant,
    /// Multiplied by `decay` at each milestone.
    Multistep,
    /// From 1 to `final_scale` along half a cosine (Loshchilov, Hutter 2017, arXiv 1608.03983).
    Cosine,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Updates done.
    pub update: u64,
    /// Epochs done, with fractions.
    pub epoch: f64,
    /// Share of the run done, `0..=1`: of its updates, or of its minutes where its length is a time.
    pub progress: f64,
    /// Share of the run that this update adds; 0 where the length is a time.
    pub progress_per_update: f64,
}

impl ScheduleConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn validate(&self) -> Result<()> {
        for (name, value) in [("schedule.decay", self.decay), ("schedule.finalScale", self.final_scale)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::argument(name, "a number in 0..=1", value));
            }
        }
        let rising = self.milestones.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || self.milestones.iter().any(|epoch| !(epoch.is_finite() && *epoch > 0.0)) {
            let milestones = format!("{:?}", self.milestones);
            return Err(Error::argument(
                "schedule.milestones",
                "positive epochs in rising order",
                milestones,
            ));
        }
        Ok(())
    }

    /// Factor of the learning rate for the update at `position`.
    pub fn scale(&self, position: &Position) -> f64 {
        self.warmup(position) * self.after_warmup(position)
    }

    fn warmup(&self, position: &Position) -> f64 {
        let done = position.update as f64 + 1.0;
        let share = match self.warmup_updates {
            Some(0) => 1.0,
            Some(updates) => done / updates as f64,
            None => {
                let of_run = (position.progress + position.progress_per_update) / WARMUP_SHARE;
                (done / REFERENCE_WARMUP).max(of_run)
            }
        };
        share.min(1.0)
    }

    fn after_warmup(&self, position: &Position) -> f64 {
        match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Multistep => {
                let passed = self.milestones.iter().filter(|&&epoch| position.epoch >= epoch).count();
                self.decay.powi(passed as i32)
            }
            ScheduleKind::Cosine => {
                let cosine = 0.5 * (1.0 + (std::f64::consts::PI * position.progress.min(1.0)).cos());
                self.final_scale + (1.0 - self.final_scale) * cosine
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(kind: ScheduleKind, warmup_updates: Option<u64>) -> ScheduleConfig {
        ScheduleConfig { kind, warmup_updates, milestones: vec![30.0, 45.0], decay: 0.2, final_scale: 0.1 }
    }

    fn at(update: u64, total: u64) -> Position {
        let total = total as f64;
        let progress = update as f64 / total;
        Position { update, epoch: 50.0 * progress, progress, progress_per_update: 1.0 / total }
    }

    #[test]
    fn reference_warm_up_reaches_the_rate_at_its_500th_update() {
        let schedule = config(ScheduleKind::Constant, Some(500));
        assert!((schedule.scale(&at(0, 100_000)) - 1.0 / 500.0).abs() < 1e-12);
        assert!(schedule.scale(&at(498, 100_000)) < 1.0);
        assert_eq!(schedule.scale(&at(499, 100_000)), 1.0);
        assert_eq!(config(ScheduleKind::Constant, Some(0)).scale(&at(0, 10)), 1.0);
    }

    #[test]
    fn automatic_warm_up_is_the_shorter_of_500_updates_and_a_twentieth() {
        let schedule = config(ScheduleKind::Constant, None);
        assert!((schedule.scale(&at(0, 1_000)) - 1.0 / 50.0).abs() < 1e-12);
        assert_eq!(schedule.scale(&at(49, 1_000)), 1.0);
        assert!((schedule.scale(&at(0, 100_000)) - 1.0 / 500.0).abs() < 1e-12);
    }

    #[test]
    fn milestones_and_cosine() {
        let steps = config(ScheduleKind::Multistep, Some(0));
        let scales: Vec<f64> = [590, 600, 899, 900].iter().map(|&u| steps.scale(&at(u, 1_000))).collect();
        assert!(scales.iter().zip([1.0, 0.2, 0.2, 0.04]).all(|(a, b)| (a - b).abs() < 1e-12), "{scales:?}");
        let cosine = config(ScheduleKind::Cosine, Some(0));
        assert_eq!(cosine.scale(&at(0, 1_000)), 1.0);
        assert!((cosine.scale(&at(500, 1_000)) - 0.55).abs() < 1e-12);
        assert!((cosine.scale(&at(1_000, 1_000)) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn bad_settings_are_refused() {
        let falling =
            ScheduleConfig { milestones: vec![45.0, 30.0], ..config(ScheduleKind::Multistep, None) };
        let decay = ScheduleConfig { decay: f64::NAN, ..config(ScheduleKind::Multistep, None) };
        for bad in [falling, decay] {
            assert_eq!(bad.validate().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
    }
}
