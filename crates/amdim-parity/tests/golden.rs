//! The reference's numbers hold on every executor, and a changed number is found.

use std::fs;
use std::path::{Path, PathBuf};

use amdim_core::executor::ExecutorKind;
use amdim_parity::{Report, Setup, run};
use candle_core::{DType, Device};
use safetensors::tensor::TensorView;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../amdim-core/tests/golden/amdim")
}

fn compare(folder: &Path, executor: ExecutorKind, dtype: DType) -> Report {
    run(folder, &Setup { device: Device::Cpu, dtype, executor, threads: 2 }).unwrap()
}

fn failures(report: &Report) -> Vec<&String> {
    report.groups.iter().flat_map(|group| &group.failures).collect()
}

#[test]
fn every_number_holds_on_every_executor() {
    for (executor, dtype) in [
        (ExecutorKind::Cpu, DType::F32),
        (ExecutorKind::Candle, DType::F32),
        (ExecutorKind::Candle, DType::F64),
    ] {
        let report = compare(&golden(), executor, dtype);
        assert_eq!(failures(&report), Vec::<&String>::new(), "{executor:?} {dtype:?}");
        assert!(report.passed() > 1000, "only {} numbers were compared", report.passed());
    }
}

/// The smallest file alone, so that the copies below are quick.
fn copy_of_one_file(target: &Path) -> serde_json::Value {
    let text = fs::read_to_string(golden().join("manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entries = manifest["model_and_loss"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["kind"] == "loss").unwrap().clone();
    let file = entry["file"].as_str().unwrap();
    fs::copy(golden().join(file), target.join(file)).unwrap();
    manifest["model_and_loss"] = serde_json::Value::Array(vec![entry]);
    manifest["augmentation"] = serde_json::Value::Null;
    manifest
}

fn write_manifest(target: &Path, manifest: &serde_json::Value) {
    fs::write(target.join("manifest.json"), manifest.to_string()).unwrap();
}

#[test]
fn a_changed_value_fails() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = copy_of_one_file(folder.path());
    write_manifest(folder.path(), &manifest);
    assert_eq!(compare(folder.path(), ExecutorKind::Cpu, DType::F32).failed(), 0);

    let file = folder.path().join(manifest["model_and_loss"][0]["file"].as_str().unwrap());
    let mut bytes = fs::read(&file).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let at = 8 + header + json["loss.1t5"]["data_offsets"][0].as_u64().unwrap() as usize;
    let value = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    bytes[at..at + 4].copy_from_slice(&(value + 1e-3).to_le_bytes());
    fs::write(&file, bytes).unwrap();
    let report = compare(folder.path(), ExecutorKind::Cpu, DType::F32);
    assert_eq!(report.failed(), 1);
    assert!(failures(&report)[0].starts_with("loss.1t5: error"), "{:?}", failures(&report));
}

#[test]
fn missing_and_unknown_tensors_fail() {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = copy_of_one_file(folder.path());
    let tensors = manifest["model_and_loss"][0]["tensors"].as_object_mut().unwrap();
    let info = tensors.remove("loss.total").unwrap();
    tensors.insert("loss.5t7".into(), info);
    write_manifest(folder.path(), &manifest);
    let report = compare(folder.path(), ExecutorKind::Cpu, DType::F32);
    let failures = failures(&report);
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures.iter().any(|failure| failure.contains("loss.5t7: listed, but not in the file")));
    assert!(failures.iter().any(|failure| failure.contains("loss.total: in the file, but not listed")));
}

#[test]
fn a_file_that_is_not_listed_fails_and_an_empty_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = copy_of_one_file(folder.path());
    let file = manifest["model_and_loss"][0]["file"].as_str().unwrap();
    fs::copy(folder.path().join(file), folder.path().join("other.safetensors")).unwrap();
    write_manifest(folder.path(), &manifest);
    assert_eq!(compare(folder.path(), ExecutorKind::Cpu, DType::F32).failed(), 1);
    let empty = tempfile::tempdir().unwrap();
    let setup = Setup { device: Device::Cpu, dtype: DType::F32, executor: ExecutorKind::Auto, threads: 1 };
    assert!(run(empty.path(), &setup).is_err());
}

/// The bounds of Deep InfoMax, by its public code.
#[test]
fn bounds_hold_and_a_changed_one_fails() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../amdim-core/tests/golden/dim-losses");
    for dtype in [DType::F32, DType::F64] {
        let report = compare(&golden, ExecutorKind::Auto, dtype);
        assert_eq!(failures(&report), Vec::<&String>::new(), "{dtype:?}");
        assert_eq!(report.passed(), 2 * 9 * 3 + 7 * 4);
    }
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(golden.join("manifest.json")).unwrap();
    let mut bytes = fs::read(golden.join("dim_losses.safetensors")).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 0x08;
    fs::write(folder.path().join("dim_losses.safetensors"), bytes).unwrap();
    fs::write(folder.path().join("manifest.json"), text.replace("\"RKL\"", "\"XKL\"")).unwrap();
    let report = compare(folder.path(), ExecutorKind::Auto, DType::F64);
    // Two unknown measures, the numbers that nobody computes for them, and the changed one.
    assert_eq!(report.failed(), 2 + 2 * 3 + 1, "{:?}", failures(&report));
}

/// Scores near 0 make losses near 0, which are differences of numbers near 1: expectations of a slow second implementation.
#[test]
fn small_losses_of_another_size_hold_and_features_in_no_file_fail() {
    const N: usize = 7;
    const UNITS: usize = 5;
    const LOCATIONS: usize = 6;
    let drawn = |count: usize, step: f32| -> Vec<f32> {
        (0..count).map(|i| 0.02 * (i as f32 * step).sin()).collect()
    };
    let (local, global) = (drawn(N * UNITS * LOCATIONS, 1.7), drawn(N * UNITS, 2.3));
    let score = |i: usize, j: usize, l: usize| -> f64 {
        (0..UNITS)
            .map(|u| f64::from(global[i * UNITS + u]) * f64::from(local[(j * UNITS + u) * LOCATIONS + l]))
            .sum()
    };
    let pairs = || (0..N).flat_map(|i| (0..N).flat_map(move |j| (0..LOCATIONS).map(move |l| (i, j, l))));
    let mean = |own: bool, of: &dyn Fn(f64) -> f64| {
        let values: Vec<f64> =
            pairs().filter(|(i, j, _)| (i == j) == own).map(|(i, j, l)| of(score(i, j, l))).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let expected = [
        ("dv", mean(false, &f64::exp).ln() - mean(true, &|s| s)),
        ("RKL", mean(true, &|s| (-s).exp()) + mean(false, &|s| s - 1.0)),
    ];

    let folder = tempfile::tempdir().unwrap();
    let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let mut tensors = vec![
        ("case0.local".to_string(), vec![N, UNITS, LOCATIONS], bytes(&local)),
        ("case0.global".to_string(), vec![N, UNITS, 1], bytes(&global)),
    ];
    for (measure, loss) in expected {
        assert!(loss.abs() < 1e-3, "{measure}: {loss} is not small");
        tensors.push((format!("case0.{measure}.loss"), vec![1], bytes(&[loss as f32])));
    }
    let views = tensors.iter().map(|(name, shape, data)| {
        (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    fs::write(folder.path().join("losses.safetensors"), safetensors::serialize(views, None).unwrap())
        .unwrap();
    let case = |case: &str, measure: &str| serde_json::json!({ "case": case, "measure": measure });
    let cases = [case("case0", "dv"), case("case0", "RKL"), case("case9", "dv")];
    write_manifest(folder.path(), &serde_json::json!({ "cases": cases }));
    let report = compare(folder.path(), ExecutorKind::Auto, DType::F32);
    assert_eq!(report.passed(), 2, "{:?}", failures(&report));
    // The gradients, which the file does not have, and the case that no file has.
    let failures = failures(&report);
    assert_eq!(failures.len(), 3, "{failures:?}");
    assert!(failures[2].contains("case9 dv: no file has its features"), "{failures:?}");
}
