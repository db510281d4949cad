//! The augmentation operations against the reference's values, made with Pillow and `torchvision`.

use std::fs;
use std::path::PathBuf;

use amdim_data::golden_ops::{NORMALIZE, OPERATIONS, Output, apply_named};
use amdim_data::{Image, Limits, decode};
use safetensors::SafeTensors;
use serde_json::Value;

fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../amdim-core/tests/golden/amdim").join(name);
    fs::read(path).unwrap()
}

/// Picture `index` of a tensor `[pictures, 3, height, width]`.
fn picture(tensors: &SafeTensors, source: &str, index: usize) -> Image {
    let view = tensors.tensor(source).unwrap();
    let [_, channels, height, width] = *view.shape() else { panic!("{source} has shape {:?}", view.shape()) };
    let plane = height * width;
    let planes = &view.data()[index * channels * plane..][..channels * plane];
    let pixels =
        (0..plane).flat_map(|at| (0..channels).map(move |channel| planes[channel * plane + at])).collect();
    Image::new(width as u32, height as u32, channels as u8, pixels).unwrap()
}

/// Planes to interleaved pixels.
fn interleaved(planes: &[u8], channels: usize) -> Vec<u8> {
    let plane = planes.len() / channels;
    (0..plane).flat_map(|at| (0..channels).map(move |channel| planes[channel * plane + at])).collect()
}

fn largest_difference(actual: &[u8], expected: &[u8]) -> u8 {
    assert_eq!(actual.len(), expected.len());
    actual.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// Every Pillow operation is equal to the last level, stricter than the file's tolerance of 1.
#[test]
fn operations_equal_pillow() {
    let bytes = golden("augment.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let manifest: Value = serde_json::from_slice(&golden("manifest.json")).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    let mut wrong = Vec::new();
    for case in manifest["augmentation"]["ops"].as_array().unwrap() {
        let operation = case["op"].as_str().unwrap();
        if operation.ends_with("_tensor") {
            continue;
        }
        *counts.entry(operation).or_insert(0) += 1;
        let source = case["source"].as_str().unwrap();
        let image = picture(&tensors, source, case["index"].as_u64().unwrap() as usize);
        let expected = tensors.tensor(case["output"].as_str().unwrap()).unwrap();
        match apply_named(operation, &image, &case["params"]).unwrap() {
            Output::Pixels(output) => {
                assert_eq!(expected.shape(), [3, output.height as usize, output.width as usize]);
                let difference = largest_difference(&output.pixels, &interleaved(expected.data(), 3));
                if difference > 0 {
                    wrong.push(format!("{operation} {source} {}: {difference}", case["params"]));
                }
            }
            Output::Float { values, shape } => {
                assert_eq!(expected.shape(), shape);
                let floats =
                    expected.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
                let worst = values.iter().zip(floats).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= 1e-6, "{worst}");
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    for operation in OPERATIONS.into_iter().chain([NORMALIZE]) {
        assert!(counts.get(operation).is_some_and(|&count| count > 0), "{operation} in {counts:?}");
    }
}

#[test]
fn jpeg_decoding_equals_pillow() {
    let bytes = golden("augment.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for index in 0..8 {
        let jpeg = tensors.tensor(&format!("jpeg.{index}")).unwrap();
        let expected = picture(&tensors, "images", index);
        let decoded = decode::decode(jpeg.data(), &Limits::default()).unwrap();
        assert_eq!((decoded.width, decoded.height, decoded.channels), (32, 32, 3));
        assert_eq!(decoded.pixels, expected.pixels, "jpeg.{index}");
    }
}

#[test]
fn wrong_parameters_are_errors() {
    let image = Image::new(4, 4, 3, vec![0; 48]).unwrap();
    for (operation, params) in [
        ("no_such_operation", r"{}"),
        ("adjust_hue_pil", r"{}"),
        (
            "resized_crop_pil",
            r#"{"top":0,"left":2,"height":4,"width":3,"size":[4,4],"interpolation":"bicubic"}"#,
        ),
        (
            "resized_crop_pil",
            r#"{"top":0,"left":0,"height":4,"width":4,"size":[4,4],"interpolation":"nearest"}"#,
        ),
        ("resize_center_crop_pil", r#"{"resize":3,"crop":4,"interpolation":"bicubic"}"#),
        ("color_jitter_pil", r#"{"order":["hue"],"hue":0,"brightness":1,"contrast":1,"saturation":1}"#),
        ("to_tensor_normalize", r#"{"mean":[0,0],"std":[1,1,1]}"#),
    ] {
        let error = apply_named(operation, &image, &serde_json::from_str(params).unwrap()).unwrap_err();
        assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT", "{operation}");
    }
}
