//! How long a run is.

use serde::{Deserialize, Serialize};

use crate::{Result, RunError};

/// The end of a run, in one of three units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Length {
    /// Passes over the training pictures, the incomplete last batch of each dropped; at least 1.
    Epochs(u64),
    /// Updates; at least 1.
    Updates(u64),
    /// Minutes of training, evaluation excluded, earlier sessions of a resumed run included; above 0.
    Minutes(f64),
}

impl Length {
    /// Checks the range.
    pub(super) fn validate(self) -> Result<()> {
        match self {
            Self::Epochs(0) => Err(RunError::argument("length.epochs", "at least 1", 0)),
            Self::Updates(0) => Err(RunError::argument("length.updates", "at least 1", 0)),
            Self::Minutes(minutes) if !(minutes.is_finite() && minutes > 0.0) => {
                Err(RunError::argument("length.minutes", "a positive number", minutes))
            }
            _ => Ok(()),
        }
    }

    /// Updates of the whole run at this many an epoch; none where the length is a time.
    pub fn total_updates(self, updates_per_epoch: u64) -> Option<u64> {
        match self {
            Self::Epochs(epochs) => Some(epochs.saturating_mul(updates_per_epoch)),
            Self::Updates(updates) => Some(updates),
            Self::Minutes(_) => None,
        }
    }

    /// Share of the run that is done after `update` updates and `seconds` seconds, `0..=1`.
    pub fn share_done(self, update: u64, seconds: f64, updates_per_epoch: u64) -> f64 {
        let share = match (self, self.total_updates(updates_per_epoch)) {
            (Self::Minutes(minutes), _) => seconds / (60.0 * minutes),
            (_, Some(total)) => update as f64 / total as f64,
            (_, None) => 1.0,
        };
        share.min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_has_its_own_share() {
        assert_eq!(Length::Epochs(4).total_updates(10), Some(40));
        assert_eq!(Length::Epochs(4).share_done(10, 1e9, 10), 0.25);
        assert_eq!(Length::Updates(50).share_done(10, 1e9, 1), 0.2);
        assert_eq!(Length::Minutes(2.0).share_done(1_000_000, 30.0, 1), 0.25);
        assert_eq!(Length::Minutes(2.0).share_done(0, 300.0, 1), 1.0);
        assert_eq!(Length::Minutes(2.0).total_updates(10), None);
    }

    #[test]
    fn json_has_one_unit() {
        let length: Length = serde_json::from_str(r#"{"minutes":1.5}"#).unwrap();
        assert_eq!(length, Length::Minutes(1.5));
        assert_eq!(serde_json::to_string(&Length::Epochs(3)).unwrap(), r#"{"epochs":3}"#);
        assert!(serde_json::from_str::<Length>(r#"{"epochs":3,"updates":4}"#).is_err());
        assert!(serde_json::from_str::<Length>(r#"{"hours":3}"#).is_err());
    }

    #[test]
    fn no_length_at_all_is_refused() {
        for bad in [Length::Epochs(0), Length::Updates(0), Length::Minutes(0.0), Length::Minutes(f64::NAN)] {
            assert_eq!(bad.validate().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
    }
}
