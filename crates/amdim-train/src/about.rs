//! What this build is and what it finds on a machine.

use std::collections::BTreeMap;

use amdim_core::device;
use amdim_core::encoder::{EncoderConfig, Scale};
use serde::Serialize;

use crate::Result;
use crate::record::VERSION;

/// What a build is and where it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// Version of the library.
    pub version: &'static str,
    /// Cargo features that it was built with.
    pub features: Vec<&'static str>,
    /// Processor family and system that it was built for.
    pub target: String,
    /// Instruction sets of this processor that matter for speed.
    pub cpu_features: Vec<&'static str>,
    /// Threads that this machine offers.
    pub threads: usize,
}

/// This build on this machine.
pub fn build_info() -> BuildInfo {
    let features = [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))];
    BuildInfo {
        version: VERSION,
        features: features.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect(),
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        cpu_features: cpu_features(),
        threads: available_threads(),
    }
}

fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let all = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

#[cfg(target_arch = "aarch64")]
fn cpu_features() -> Vec<&'static str> {
    use std::arch::is_aarch64_feature_detected as has;
    let all = [("neon", has!("neon")), ("dotprod", has!("dotprod")), ("bf16", has!("bf16"))];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu_features() -> Vec<&'static str> {
    vec![]
}

/// A device as it was asked for and as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// What was asked for.
    pub requested: String,
    /// What it means here: `cpu`, `cuda:N` or `metal`.
    pub resolved: String,
    /// One line about it.
    pub description: String,
}

/// Opens a device to see that it is there.
///
/// # Errors
/// `AMDIM_DEVICE` names what is missing; `AMDIM_INVALID_ARGUMENT` for a name that is none.
pub fn check_device(name: &str) -> Result<DeviceInfo> {
    let resolved = device::name(&device::open(name)?);
    let description = if resolved == "cpu" {
        format!("this machine's processor ({}), {} threads", std::env::consts::ARCH, available_threads())
    } else {
        format!("{resolved}, opened without error")
    };
    Ok(DeviceInfo { requested: name.into(), resolved, description })
}

/// Size of an encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EncoderInfo {
    /// Parameters, projections included.
    pub parameters: usize,
    /// `[channels, rows, columns]` of each map, by the name of its layer: `global`, `local5`, ...
    pub shapes: BTreeMap<String, [usize; 3]>,
    /// Multiplications (each with an addition) of a forward pass of one picture.
    pub multiply_adds: u64,
}

/// The size of the encoder that a configuration describes.
///
/// # Errors
/// `AMDIM_INVALID_ARGUMENT` for a configuration that makes no network.
pub fn encoder_info(config: &EncoderConfig) -> Result<EncoderInfo> {
    let network = config.describe()?;
    let shapes = network.output_shapes();
    let shapes = shapes.iter().map(|map| [map.channels, map.height, map.width]);
    Ok(EncoderInfo {
        parameters: network.parameter_len(),
        shapes: Scale::all_of(&network).iter().map(Scale::to_string).zip(shapes).collect(),
        multiply_adds: network.multiply_adds(),
    })
}

#[cfg(test)]
mod tests {
    use amdim_core::encoder::AmdimEncoder;

    use super::*;

    #[test]
    fn the_processor_is_a_device_and_others_are_named() {
        let info = check_device("cpu").unwrap();
        assert_eq!((info.requested.as_str(), info.resolved.as_str()), ("cpu", "cpu"));
        assert_eq!(check_device("tpu").unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
    }

    #[test]
    fn an_encoders_maps_are_1x1_5x5_and_7x7() {
        let config = AmdimEncoder {
            encoder_size: 32,
            input_channels: 3,
            base_width: 32,
            embedding_dim: 256,
            block_depth: 3,
            batch_norm: false,
        };
        let info = encoder_info(&config.into()).unwrap();
        assert_eq!(info.parameters, 1_258_816);
        let shapes = [("global", 1), ("local5", 5), ("local7", 7)];
        assert_eq!(info.shapes, shapes.map(|(name, side)| (name.into(), [256, side, side])).into());
        // The first convolution alone: 30 x 30 positions of 3 * 3 * 3 -> 32.
        assert!(info.multiply_adds > 900 * 27 * 32);
    }
}
