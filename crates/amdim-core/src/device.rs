//! Choosing where tensors live.

use candle_core::Device;

use crate::{Error, Result};

/// Opens the device called `name`: `cpu`, `cuda` (the first GPU), `cuda:N`, `metal`, or `auto` (the first of CUDA,
/// Metal and the processor that works).
///
/// # Errors
/// [`Error::Device`] names what is missing; [`Error::InvalidArgument`] for any other name.
pub fn open(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "auto" => Ok(cuda(name, 0).or_else(|_| metal(name)).unwrap_or(Device::Cpu)),
        "cuda" => cuda(name, 0),
        "metal" => metal(name),
        _ => match name.strip_prefix("cuda:").map(str::parse) {
            Some(Ok(ordinal)) => cuda(name, ordinal),
            _ => Err(Error::argument("device", "cpu, cuda, cuda:N, metal or auto", name)),
        },
    }
}

/// The canonical name of an opened device: `cpu`, `cuda:N` or `metal`.
pub fn name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".into(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { .. } => "metal".into(),
    }
}

fn cuda(requested: &str, ordinal: usize) -> Result<Device> {
    if !candle_core::utils::cuda_is_available() {
        return Err(missing(
            requested,
            "this build of the addon has no CUDA support; build it with the `cuda` feature",
        ));
    }
    Device::new_cuda(ordinal)
        .map_err(|error| missing(requested, &format!("no usable CUDA device {ordinal}: {error}")))
}

fn metal(requested: &str) -> Result<Device> {
    if !candle_core::utils::metal_is_available() {
        return Err(missing(
            requested,
            "this build of the addon has no Metal support; build it with the `metal` feature",
        ));
    }
    Device::new_metal(0).map_err(|error| missing(requested, &format!("no usable Metal device: {error}")))
}

fn missing(requested: &str, reason: &str) -> Error {
    Error::Device { requested: requested.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_missing_devices_are_typed_errors() {
        assert_eq!(open("gpu").unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        assert_eq!(open("cuda:x").unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        if !candle_core::utils::cuda_is_available() {
            let error = open("cuda:3").unwrap_err();
            assert_eq!(error.code(), "AMDIM_DEVICE");
            assert!(error.to_string().contains("`cuda` feature"), "{error}");
        }
        assert_eq!(name(&open("cpu").unwrap()), "cpu");
        assert!(open("auto").is_ok());
    }
}
