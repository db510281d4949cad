//! The image operations, against Pillow's results.

use std::collections::BTreeSet;

use amdim_data::Image;
use amdim_data::golden_ops::{Output, apply_named};

use crate::compare::Report;
use crate::manifest::{Augmentation, Data, Operation, ParityError, TensorFile, Values};

pub fn run(augmentation: &Augmentation, file: &TensorFile, report: &mut Report) {
    let mut expected: BTreeSet<&str> =
        file.tensors.keys().map(String::as_str).filter(|name| name.starts_with("out.")).collect();
    for operation in &augmentation.ops {
        expected.remove(operation.output.as_str());
        let group = report.group(&format!("{} {}", augmentation.file, operation.op));
        if operation.op.ends_with("_tensor") {
            // torchvision's tensor path: another back-end than ours.
            group.listed += 1;
            continue;
        }
        match compare(operation, file) {
            Ok((error, tolerance)) if error <= tolerance => {
                group.pass(if tolerance > 0.0 { error / tolerance } else { 0.0 }, &operation.output);
            }
            Ok((error, tolerance)) => {
                let name = &operation.output;
                group.failures.push(format!("{name}: error {error}, tolerance {tolerance}"));
            }
            Err(error) => group.failures.push(format!("{}: {error}", operation.output)),
        }
    }
    for name in expected {
        report.fail(&augmentation.file, &format!("{name}: in the file, but no operation names it"));
    }
}

/// Largest error, and its tolerance, in levels (of normalised values for the last operation).
fn compare(operation: &Operation, file: &TensorFile) -> Result<(f64, f64), ParityError> {
    let image = source(operation, file)?;
    let output = apply_named(&operation.op, &image, &operation.params)
        .map_err(|error| ParityError::Manifest(error.to_string()))?;
    let expected = file.get(&operation.output)?;
    let error = match (&output, &expected.data) {
        (Output::Pixels(image), Data::Bytes(levels)) => {
            let shape = [usize::from(image.channels), image.height as usize, image.width as usize];
            same_shape(&expected.shape, &shape)?;
            largest(planar(image).iter().map(|&v| f64::from(v)), levels.iter().map(|&v| f64::from(v)))
        }
        (Output::Float { values, shape }, Data::Float(expected_values)) => {
            same_shape(&expected.shape, shape)?;
            largest(values.iter().map(|&v| f64::from(v)), expected_values.iter().map(|&v| f64::from(v)))
        }
        _ => return Err(ParityError::Manifest("another element type than expected".into())),
    };
    Ok((error, tolerance(&operation.op)))
}

fn tolerance(operation: &str) -> f64 {
    match operation {
        "hflip" | "translate_reflect" | "adjust_brightness_pil" => 0.0,
        "to_tensor_normalize" => 1e-6,
        // Each of four steps may round the other way.
        "color_jitter_pil" => 4.0,
        _ => 1.0,
    }
}

/// Picture `index` of the source, `[n, channels, height, width]`, as an image.
fn source(operation: &Operation, file: &TensorFile) -> Result<Image, ParityError> {
    let Values { shape, data: Data::Bytes(levels) } = file.get(&operation.source)? else {
        return Err(ParityError::Manifest(format!("{}: U8 expected", operation.source)));
    };
    let [count, channels, height, width] = shape[..] else {
        return Err(ParityError::Manifest(format!("{}: four dimensions expected", operation.source)));
    };
    if operation.index >= count {
        return Err(ParityError::Manifest(format!("{}: no picture {}", operation.source, operation.index)));
    }
    let area = height * width;
    let planes = &levels[operation.index * channels * area..][..channels * area];
    let pixels = (0..area).flat_map(|at| (0..channels).map(move |c| planes[c * area + at])).collect();
    Image::new(width as u32, height as u32, channels as u8, pixels)
        .map_err(|error| ParityError::Manifest(error.to_string()))
}

fn planar(image: &Image) -> Vec<u8> {
    let channels = usize::from(image.channels);
    (0..channels).flat_map(|c| image.pixels.iter().skip(c).step_by(channels).copied()).collect()
}

fn same_shape(expected: &[usize], ours: &[usize]) -> Result<(), ParityError> {
    if expected == ours {
        return Ok(());
    }
    Err(ParityError::Manifest(format!("shape {ours:?} computed, {expected:?} expected")))
}

fn largest(ours: impl Iterator<Item = f64>, expected: impl Iterator<Item = f64>) -> f64 {
    ours.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
