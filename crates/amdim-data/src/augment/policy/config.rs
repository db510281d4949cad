//! A policy as data.

use serde::{Deserialize, Serialize};

use super::{BuiltIn, Operation};
use crate::error::{DataError, Result};

/// Most sub-policies of a policy of one's own.
const MOST_SUB_POLICIES: usize = 10_000;
/// Most operations of one of them.
const MOST_OPERATIONS: usize = 16;

/// Operations done one after another, each as (operation, probability, level), both 0..=1.
pub type SubPolicy = Vec<(Operation, f64, f64)>;

/// The name of a published policy, or a policy itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a policy's name (fast-autoaugment-cifar10, fast-autoaugment-imagenet) or a list of sub-policies, \
                 each a list of [operation, probability, level]"
)]
pub enum PolicyConfig {
    /// A published one.
    BuiltIn(BuiltIn),
    /// One's own: sub-policies, of which one is drawn for each view.
    Own(Vec<SubPolicy>),
}

impl PolicyConfig {
    /// Checks the numbers of a policy of one's own.
    ///
    /// # Errors
    /// [`DataError::InvalidArgument`] naming the first that is out of range.
    pub fn validate(&self) -> Result<()> {
        let Self::Own(sub_policies) = self else { return Ok(()) };
        check_length("policy", "sub-policies", sub_policies.len(), MOST_SUB_POLICIES)?;
        for (index, sub_policy) in sub_policies.iter().enumerate() {
            let name = format!("policy.{index}");
            check_length(&name, "operations", sub_policy.len(), MOST_OPERATIONS)?;
            for (place, &(_, probability, level)) in sub_policy.iter().enumerate() {
                check_share(&format!("{name}.{place}.1"), "a probability of 0 to 1", probability)?;
                check_share(&format!("{name}.{place}.2"), "a level of 0 to 1", level)?;
            }
        }
        Ok(())
    }
}

fn check_length(name: &str, what: &str, length: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&length) {
        return Ok(());
    }
    Err(DataError::argument(name, format!("1 to {most} {what}"), length))
}

fn check_share(name: &str, expected: &str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(DataError::argument(name, expected, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> serde_json::Result<PolicyConfig> {
        serde_json::from_str(json)
    }

    #[test]
    fn names_and_lists_are_read_and_written() {
        for json in [r#""fast-autoaugment-imagenet""#, r#"[[["Rotate",0.5,1.0],["Cutout",0.25,0.0]]]"#] {
            let policy = read(json).unwrap();
            policy.validate().unwrap();
            assert_eq!(serde_json::to_string(&policy).unwrap(), json);
        }
    }

    #[test]
    fn unknown_names_and_operations_are_errors() {
        for json in [
            r#""fast-autoaugment-svhn""#,
            r#"[[["Rotat",0.5,1.0]]]"#,
            r#"[[["Rotate",0.5]]]"#,
            r#"[["Rotate",0.5,1.0]]"#,
            r"{}",
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains("[operation, probability, level]"), "{json}: {error}");
        }
    }

    #[test]
    fn every_number_is_checked() {
        let too_many = vec![vec![(Operation::Invert, 1.0, 0.0)]; MOST_SUB_POLICIES + 1];
        for (policy, option) in [
            (vec![], "policy"),
            (too_many, "policy"),
            (vec![vec![(Operation::Invert, 1.0, 0.0)], vec![]], "policy.1"),
            (vec![vec![(Operation::Invert, 1.1, 0.0)]], "policy.0.0.1"),
            (vec![vec![(Operation::Invert, 1.0, f64::NAN)]], "policy.0.0.2"),
        ] {
            match PolicyConfig::Own(policy).validate() {
                Err(DataError::InvalidArgument { name, .. }) => assert_eq!(name, option),
                other => panic!("{option}: {other:?}"),
            }
        }
    }
}
