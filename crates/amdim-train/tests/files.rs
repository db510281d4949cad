//! Models from and for other programs.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use amdim_core::encoder::Scale;
use amdim_core::tensors;
use amdim_train::config::{AmdimConfig, ExportRequest, Length};
use amdim_train::export::export;
use amdim_train::model::TrainedModel;
use amdim_train::place::Placement;
use amdim_train::reference::{import, inspect};
use common::{code, data, request, request_json, run};
use serde_json::{Value, json};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../amdim-files/tests/pth").join(name)
}

/// The configuration of the samples' encoder.
fn sample_config(changes: &[(&str, Value)]) -> AmdimConfig {
    let mut config = request_json()["config"].take();
    let encoder = json!({ "encoderSize": 32, "inputChannels": 3, "baseWidth": 2, "embeddingDim": 8, "blockDepth": 2,
                          "batchNorm": true });
    config["encoder"] = encoder;
    config["augment"]["channels"] = json!(3);
    config["augment"]["mean"] = json!([0.45, 0.46, 0.47]);
    config["augment"]["std"] = json!([0.25, 0.26, 0.27]);
    config["classifiers"]["hiddenUnits"] = json!(1024);
    for (pointer, value) in changes {
        *config.pointer_mut(pointer).unwrap() = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|label| label.to_string()).collect()
}

fn imported(name: &str) -> TrainedModel {
    import(&sample(name), sample_config(&[]), names(3), Placement::cpu(1)).unwrap()
}

fn export_request(path: &Path, format: &str, changes: &[(&str, Value)]) -> ExportRequest {
    let mut json = json!({ "path": path, "format": format, "layers": ["global"], "normalise": false,
                           "unfinished": false });
    for (key, value) in changes {
        json[key] = value.clone();
    }
    serde_json::from_value(json).unwrap()
}

/// Largest difference as a share of the largest expected value.
fn difference(found: &[f32], expected: &Value) -> f64 {
    let expected: Vec<f64> =
        expected.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    found.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / largest
}

/// What a model makes of the samples' pictures, beside what PyTorch did.
fn differences(model: &mut TrainedModel) -> Vec<f64> {
    let expected: Value = serde_json::from_slice(&fs::read(sample("expected.json")).unwrap()).unwrap();
    let pixels: Vec<f32> = (0..2 * 3 * 32 * 32).map(|i| (0.37 * f64::from(i)).sin() as f32).collect();
    let images = model.model.images(&pixels, 2).unwrap();
    let features = model.model.embed(&images).unwrap();
    let (mlp, linear) =
        model.model.classifiers.as_ref().unwrap().logits(&features.global().unwrap()).unwrap();
    let map = |scale| tensors::to_vec(&features.channels_first(scale).unwrap()).unwrap();
    [
        ("global", map(Scale::GLOBAL)),
        ("local5", map(Scale::new(5))),
        ("local7", map(Scale::new(7))),
        ("mlp", tensors::to_vec(&mlp).unwrap()),
        ("linear", tensors::to_vec(&linear).unwrap()),
    ]
    .iter()
    .map(|(name, found)| difference(found, &expected["features"][name]))
    .collect()
}

#[test]
fn an_imported_model_computes_what_pytorch_did() {
    // The expected values have six decimals.
    for difference in differences(&mut imported("zip.pth")) {
        assert!(difference < 2e-5, "{difference}");
    }
    // The same weights in half precision.
    for difference in differences(&mut imported("legacy-half.pth")) {
        assert!(difference < 2e-2, "{difference}");
    }
}

#[test]
fn a_checkpoint_says_what_it_is_of() {
    let info = inspect(&sample("zip.pth")).unwrap();
    let json = serde_json::to_value(&info).unwrap();
    let expected = json!({ "encoderSize": 32, "baseWidth": 2, "embeddingDim": 8, "blockDepth": 2, "batchNorm": true,
                           "scoreClip": 15.0, "classes": 3, "hiddenUnits": 1024 });
    assert_eq!(json, expected);
    assert_eq!(inspect(&sample("legacy-half.pth")).unwrap().score_clip, None);
    let model = imported("zip.pth");
    assert_eq!((model.progress.epoch, model.progress.update, model.share_done()), (3, 1200, 1.0));
    assert!(model.model.passes.iter().all(|&passes| passes == 7));
}

#[test]
fn what_does_not_fit_the_file_is_named() {
    let load = |changes: &[(&str, Value)], classes| {
        code(import(&sample("zip.pth"), sample_config(changes), names(classes), Placement::cpu(1)))
    };
    for (pointer, value, named) in [
        ("/encoder/baseWidth", json!(1), "encoder.baseWidth: expected 2"),
        ("/encoder/batchNorm", json!(false), "encoder.batchNorm: expected true"),
        ("/classifiers/hiddenUnits", json!(8), "classifiers.hiddenUnits"),
    ] {
        let (code, message) = load(&[(pointer, value)], 3);
        assert_eq!(code, "AMDIM_INVALID_ARGUMENT");
        assert!(message.contains(named), "{message}");
    }
    assert_eq!(load(&[], 2).0, "AMDIM_INVALID_ARGUMENT");
    // Without classifiers those of the file are left out.
    let config = sample_config(&[("/classifiers/enabled", json!(false))]);
    let model = import(&sample("zip.pth"), config, vec![], Placement::cpu(1)).unwrap();
    assert!(model.model.classifiers.is_none());
}

#[test]
fn files_that_are_no_checkpoint_are_typed_errors() {
    for name in
        ["malicious-zip.pth", "malicious-legacy.pth", "views-zip.pth", "big-endian.pth", "expected.json"]
    {
        let (code, message) = code(inspect(&sample(name)));
        assert_eq!(code, "AMDIM_CHECKPOINT", "{message}");
        assert!(message.contains(name), "{message}");
    }
    assert!(code(inspect(&sample("malicious-zip.pth"))).1.contains("posix.system"));
    assert_eq!(code(inspect(&sample("none.pth"))).0, "AMDIM_IO");
}

#[test]
fn an_exported_checkpoint_is_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.pth");
    let model = imported("zip.pth");
    let written = export(&model, &export_request(&path, "pth", &[])).unwrap();
    assert_eq!(written.files, std::slice::from_ref(&path));
    assert_eq!(written.bytes, path.metadata().unwrap().len());
    let config = sample_config(&[("/objective/scoreClip", json!(20.0))]);
    let again = import(&path, config, names(3), Placement::cpu(1)).unwrap();
    assert_eq!(again.model.state().unwrap(), model.model.state().unwrap());
    assert_eq!((again.progress.epoch, again.progress.update), (3, 1200));
    // The same model gives the same bytes.
    let first = fs::read(&path).unwrap();
    export(&model, &export_request(&path, "pth", &[])).unwrap();
    assert_eq!(fs::read(&path).unwrap(), first);
}

#[test]
fn a_model_without_classifiers_gets_untrained_ones_for_the_authors_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder.pth");
    let config = sample_config(&[("/classifiers/hiddenUnits", json!(8))]);
    let model = TrainedModel::create(config, 1, Placement::cpu(1)).unwrap();
    export(&model, &export_request(&path, "pth", &[])).unwrap();
    let info = inspect(&path).unwrap();
    assert_eq!((info.classes, info.hidden_units), (2, Some(1024)));
}

#[test]
fn the_encoder_alone_is_a_model_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder.safetensors");
    let model = imported("zip.pth");
    export(&model, &export_request(&path, "safetensors", &[])).unwrap();
    let loaded = TrainedModel::load(&path, Placement::cpu(1)).unwrap();
    assert!(loaded.model.classifiers.is_none());
    assert_eq!(loaded.model.encoder_state().unwrap(), model.model.encoder_state().unwrap());
    assert_eq!(loaded.record, model.record);
}

#[test]
fn a_model_of_an_unfinished_run_is_exported_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("run");
    let (result, _) = run(&request(&[("/output", json!(output))]), data());
    result.unwrap();
    let path = folder.path().join("encoder.onnx");
    let mut model = TrainedModel::load(&output.join("checkpoint.safetensors"), Placement::cpu(1)).unwrap();
    assert_eq!(model.share_done(), 1.0);
    export(&model, &export_request(&path, "onnx", &[])).unwrap();
    fs::remove_file(&path).unwrap();

    model.progress.update = 3;
    let (code, message) = code(export(&model, &export_request(&path, "onnx", &[])));
    assert_eq!(code, "AMDIM_INVALID_ARGUMENT");
    assert!(message.contains("42.9 %") && message.contains("unfinished"), "{message}");
    assert!(!path.exists());
    export(&model, &export_request(&path, "onnx", &[("unfinished", json!(true))])).unwrap();
    assert!(path.exists());
    // Epochs are counted by the pictures of the run, minutes by its clock.
    model.record.config.length = Length::Epochs(1);
    assert_eq!(model.share_done(), 0.75);
    model.record.config.length = Length::Minutes(1.0);
    model.progress.seconds = 15.0;
    assert_eq!(model.share_done(), 0.25);
}

#[test]
fn models_that_a_format_cannot_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let gray = serde_json::from_value(request_json()["config"].take()).unwrap();
    let model = TrainedModel::create(gray, 1, Placement::cpu(1)).unwrap();
    let path = folder.path().join("gray.pth");
    assert!(code(export(&model, &export_request(&path, "pth", &[]))).1.contains("inputChannels"));
    for layers in [json!([]), json!(["global", "global"]), json!(["local6"])] {
        let request = export_request(&path, "onnx", &[("layers", layers)]);
        assert_eq!(code(export(&model, &request)).0, "AMDIM_INVALID_ARGUMENT");
    }
    let nowhere = folder.path().join("none/encoder.onnx");
    assert_eq!(code(export(&model, &export_request(&nowhere, "onnx", &[]))).0, "AMDIM_IO");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
