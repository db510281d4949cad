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

/// Checks the side of the pictures.
fn check_size(pixels: usize) -> Result<()> {
    if [32, 64, 128].contains(&pixels) {
        Ok(())
    } else {
        Err(Error::argument("encoderSize", "32, 64 or 128 pixels", pixels))
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
