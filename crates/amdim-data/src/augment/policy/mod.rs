//! Policies: strong augmentation drawn from a list of sub-policies, as Fast AutoAugment finds them.
//!
//! Sungbin Lim et al. 2019, "Fast AutoAugment" (arXiv:1905.00397). For each view one sub-policy is drawn, all equally
//! likely, and its operations are done in their order, each with its probability and at its level. The operations, one
//! a file, are Pillow's to the last bit; their ranges, signs and colours are those of the published code
//! (kakaobrain/fast-autoaugment, augmentations.py).

pub mod affine;
pub mod auto_contrast;
pub mod built_in;
pub mod config;
pub mod cutout;
pub mod equalize;
pub mod factor;
pub mod invert;
pub mod operation;
pub mod posterize;
pub mod rotate;
pub mod sharpness;
pub mod shear;
pub mod shift;
pub mod solarize;
pub mod step;

mod histogram;
mod level;

use std::sync::Arc;

pub use built_in::BuiltIn;
pub use config::{PolicyConfig, SubPolicy};
pub use operation::Operation;
pub use step::Step;

use serde::Serialize;

use crate::image::Image;
use amdim_random::Stream;

/// A policy ready to be drawn from.
#[derive(Debug, Clone)]
pub struct Policy {
    sub_policies: Arc<[SubPolicy]>,
}

/// What a policy does to one view.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// The sub-policy's place in the policy.
    pub sub_policy: usize,
    /// What is done, in this order; often nothing.
    pub steps: Vec<Step>,
}

impl Policy {
    /// The policy that `config`, which is valid, means.
    pub fn new(config: &PolicyConfig) -> Self {
        let sub_policies = match config {
            PolicyConfig::BuiltIn(name) => name.sub_policies(),
            PolicyConfig::Own(sub_policies) => sub_policies.as_slice().into(),
        };
        Self { sub_policies }
    }

    /// Draws a sub-policy and what its operations do to a picture of `size` (width and height).
    pub fn sample(&self, size: [u32; 2], stream: &mut Stream) -> Params {
        let sub_policy = stream.below(self.sub_policies.len() as u64) as usize;
        let mut steps = Vec::new();
        for &(operation, probability, level) in &self.sub_policies[sub_policy] {
            if stream.chance(probability) {
                steps.extend(operation.sample(level, size, stream));
            }
        }
        Params { sub_policy, steps }
    }
}

/// Does all steps; `other` is scratch.
pub fn apply(image: &mut Image, params: &Params, other: &mut Image) {
    for step in &params.steps {
        step.apply(image, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(sub_policies: Vec<SubPolicy>) -> Policy {
        Policy::new(&PolicyConfig::Own(sub_policies))
    }

    #[test]
    fn sub_policies_are_equally_likely_and_operations_follow_their_probability() {
        let policy = policy(vec![
            vec![(Operation::Invert, 0.25, 0.0), (Operation::Rotate, 0.75, 1.0)],
            vec![(Operation::Solarize, 1.0, 0.5)],
            vec![(Operation::Equalize, 0.0, 0.5)],
        ]);
        let mut stream = Stream::for_policy(1, 0, 0, 0);
        let drawn: Vec<Params> = (0..30_000).map(|_| policy.sample([8, 8], &mut stream)).collect();
        for (sub_policy, expected) in [(0, vec![2500, 7500]), (1, vec![10_000]), (2, vec![0])] {
            let of: Vec<&Params> = drawn.iter().filter(|params| params.sub_policy == sub_policy).collect();
            // Standard deviation 82.
            assert!(of.len().abs_diff(10_000) < 400, "{sub_policy} {}", of.len());
            let steps = |wanted: fn(&Step) -> bool| {
                of.iter().filter(|params| params.steps.iter().any(wanted)).count()
            };
            let counts = match sub_policy {
                0 => vec![
                    steps(|step| matches!(step, Step::Invert)),
                    steps(|step| matches!(step, Step::Rotate(_))),
                ],
                1 => vec![steps(|step| matches!(step, Step::Solarize(_)))],
                _ => vec![steps(|_| true)],
            };
            for (count, expected) in counts.into_iter().zip(expected) {
                assert!(usize::abs_diff(count, expected) < 450, "{sub_policy} {count} {expected}");
            }
        }
        let order = drawn.iter().find(|params| params.steps.len() == 2).unwrap();
        assert!(matches!(order.steps[..], [Step::Invert, Step::Rotate(_)]));
    }

    #[test]
    fn signs_are_drawn() {
        let policy = policy(vec![vec![(Operation::Rotate, 1.0, 0.75)]]);
        let mut stream = Stream::for_policy(1, 0, 0, 0);
        let mut positive = 0;
        for _ in 0..10_000 {
            match policy.sample([8, 8], &mut stream).steps[..] {
                [Step::Rotate(rotate::Params { degrees })] if degrees.abs() == 15.0 => {
                    positive += usize::from(degrees > 0.0);
                }
                ref other => panic!("{other:?}"),
            }
        }
        // Standard deviation 50.
        assert!(positive.abs_diff(5000) < 250, "{positive}");
    }

    #[test]
    fn one_stream_gives_one_result() {
        let policy = Policy::new(&PolicyConfig::BuiltIn(BuiltIn::FastAutoAugmentCifar10));
        let draw = |sample, view| policy.sample([32, 32], &mut Stream::for_policy(1, 2, sample, view));
        assert_eq!(draw(3, 0), draw(3, 0));
        assert!((0..20).any(|sample| draw(sample, 0) != draw(sample, 1)));
    }
}
