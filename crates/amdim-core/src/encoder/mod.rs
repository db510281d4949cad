//! Encoders: configuration, description, feature maps. One file a family; [`EncoderConfig`] is any of them.

mod amdim;
mod encoder_config;
mod features;
mod infomax;
mod mlp;
mod realnvp;
mod resnet;
mod scale;

use crate::{Error, Result};

pub use amdim::AmdimEncoder;
pub use encoder_config::{EncoderConfig, InnerLayer};
pub use features::Features;
pub use infomax::{INFOMAX_SIZES, InfomaxEncoder};
pub use mlp::{Activation, MLP_SIZES, MlpEncoder};
pub use realnvp::{REAL_NVP_SIZES, RealNvpEncoder};
pub use resnet::{ResNetDepth, ResNetEncoder, STAGE_SIDES};
pub use scale::Scale;
pub(crate) use scale::side_of;

/// Sides in pixels of the pictures that AMDIM's encoders and residual networks take.
const SIZES: [usize; 3] = [32, 64, 128];

/// Checks the side of the pictures; `kind` ends the sentence that says which there are.
fn check_size(pixels: usize, sizes: &[usize], kind: &str) -> Result<()> {
    match sizes.split_last() {
        Some((last, others)) if !sizes.contains(&pixels) => {
            let others: Vec<_> = others.iter().map(ToString::to_string).collect();
            let expected = format!("{} or {last} pixels{kind}", others.join(", "));
            Err(Error::argument("encoderSize", expected, pixels))
        }
        _ => Ok(()),
    }
}

/// Most channels, dimensions or layers of a kind: far beyond use, and sizes made of them still fit a machine word.
const MOST: usize = 1 << 16;

/// Checks that none of the named counts is zero or absurd.
fn check_counts(counts: &[(&str, usize)]) -> Result<()> {
    match counts.iter().find(|(_, value)| !(1..=MOST).contains(value)) {
        Some((name, value)) => Err(Error::argument(name, format!("1 to {MOST}"), value)),
        None => Ok(()),
    }
}
