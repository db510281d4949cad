//! Published policies, by name.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use super::SubPolicy;

/// A published policy. A name is in checkpoints: what it stands for never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BuiltIn {
    /// The policy that Fast AutoAugment found on reduced CIFAR-10: 493 sub-policies.
    #[serde(rename = "fast-autoaugment-cifar10")]
    FastAutoAugmentCifar10,
    /// The policy that Fast AutoAugment found on reduced `ImageNet`: 498 sub-policies.
    #[serde(rename = "fast-autoaugment-imagenet")]
    FastAutoAugmentImagenet,
}

static CIFAR10: LazyLock<Arc<[SubPolicy]>> =
    LazyLock::new(|| parsed(include_str!("built_in/fast-autoaugment-cifar10.json")));
static IMAGENET: LazyLock<Arc<[SubPolicy]>> =
    LazyLock::new(|| parsed(include_str!("built_in/fast-autoaugment-imagenet.json")));

impl BuiltIn {
    /// What the policy is made of.
    pub fn sub_policies(self) -> Arc<[SubPolicy]> {
        Arc::clone(match self {
            Self::FastAutoAugmentCifar10 => &CIFAR10,
            Self::FastAutoAugmentImagenet => &IMAGENET,
        })
    }
}

fn parsed(text: &str) -> Arc<[SubPolicy]> {
    serde_json::from_str::<Vec<SubPolicy>>(text).expect("a file of this crate, read by its tests").into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::config::PolicyConfig;
    use super::super::operation::Operation;
    use super::*;

    fn counts(policy: &[SubPolicy]) -> HashMap<Operation, usize> {
        let mut counts = HashMap::new();
        for &(operation, ..) in policy.iter().flatten() {
            *counts.entry(operation).or_default() += 1;
        }
        counts
    }

    #[test]
    fn the_published_policies_are_whole() {
        for (name, length, most, first, last) in [
            (
                BuiltIn::FastAutoAugmentCifar10,
                493,
                (Operation::Cutout, 79),
                (Operation::Contrast, 0.832_065_968_859_357_8, 0.498_843_105_621_807_67),
                (Operation::ShearX, 0.584_494_241_732_085_8, 0.360_511_950_833_801_05),
            ),
            (
                BuiltIn::FastAutoAugmentImagenet,
                498,
                (Operation::Sharpness, 105),
                (Operation::ShearY, 0.141_438_164_584_791_97, 0.513_124_791_615_952),
                (Operation::Equalize, 0.056_498_765_392_210_24, 0.562_818_021_988_721_6),
            ),
        ] {
            let policy = name.sub_policies();
            assert_eq!(policy.len(), length);
            assert!(policy.iter().all(|sub_policy| sub_policy.len() == 2));
            let counts = counts(&policy);
            assert_eq!(counts.len(), 15);
            assert_eq!(counts[&most.0], most.1);
            assert_eq!((policy[0][0], policy[length - 1][1]), (first, last));
            PolicyConfig::Own(policy.to_vec()).validate().unwrap();
        }
    }

    /// A checksum (FNV-1a) of every name and every bit of the numbers, made from the published file.
    #[test]
    fn no_number_has_changed() {
        let checksum = |name: BuiltIn| {
            let policy = name.sub_policies();
            let bytes = policy.iter().flatten().flat_map(|(operation, probability, level)| {
                let numbers = [probability, level].map(|number| number.to_le_bytes()).concat();
                [format!("{operation:?}").into_bytes(), numbers].concat()
            });
            bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
        };
        assert_eq!(checksum(BuiltIn::FastAutoAugmentCifar10), 0x3c5a_d6fa_e684_7f95);
        assert_eq!(checksum(BuiltIn::FastAutoAugmentImagenet), 0x0348_0e4c_6d66_b509);
    }
}
