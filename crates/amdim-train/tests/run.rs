//! Whole runs: events, files, bad input.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use amdim_core::checkpoint::Checkpoint;
use amdim_data::{DataError, Dataset, Image, MemoryDataset, MemoryPicture, PicturePixels};
use amdim_train::config::{AmdimConfig, from_json};
use amdim_train::event::TrainEvent;
use amdim_train::model::{TrainedModel, inspect};
use amdim_train::place::Placement;
use amdim_train::run::TrainData;
use common::{code, data, halves, request, run, run_until};
use serde_json::{Value, json};

fn metrics(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_tells_its_events_and_writes_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("run");
    let request = request(&[("/output", json!(output)), ("/onlineEvaluateEpochs", json!(1))]);
    let (result, events) = run(&request, data());
    let result = result.unwrap();
    assert!(!result.cancelled);
    // 18 pictures are 4 batches of 4; the 7 updates end within the second epoch.
    assert_eq!((result.update, result.epoch, result.pairs), (7, 1, 28));
    let kinds: Vec<String> = events
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    let expected = ["start", "step", "step", "epoch", "evaluation", "step", "step", "checkpoint"];
    assert_eq!(kinds, expected);
    let TrainEvent::Start { updates_per_epoch, total_updates, classes, test_size, chance_level, .. } =
        &events[0]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*updates_per_epoch, *total_updates, *classes, *test_size), (4, Some(7), 2, Some(6)));
    assert!((chance_level["1->7"] - (1.0f64 + 3.0 * 49.0).ln()).abs() < 1e-12);
    let step = result.last_step.unwrap();
    assert_eq!((step.update, step.epoch, step.progress), (7, 1, 1.0));
    assert!(step.classifier.is_some() && step.terms.len() == 3 && step.loss.is_finite());

    let lines = metrics(&output);
    let written: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(written, expected);
    let config: Value =
        serde_json::from_str(&fs::read_to_string(output.join("config.json")).unwrap()).unwrap();
    assert_eq!(config, serde_json::to_value(&request).unwrap());
    let report: Value =
        serde_json::from_str(&fs::read_to_string(output.join("result.json")).unwrap()).unwrap();
    assert_eq!((report["update"].as_u64(), report["cancelled"].as_bool()), (Some(7), Some(false)));
    let info = inspect(&output.join("model.safetensors")).unwrap();
    assert_eq!((info.position.update, info.classes.len()), (7, 2));
    assert_eq!(info.config, request.config);
    let model = TrainedModel::load(&output.join("model.safetensors"), Placement::cpu(1)).unwrap();
    assert_eq!(model.info().unwrap(), info);
    let record = Checkpoint::read(&output.join("checkpoint.safetensors")).unwrap().header.run;
    assert_eq!(record["options"]["device"], "cpu");
    // Weights are given away; where they were made stays at home.
    assert_eq!(record["options"]["output"], output.file_name().unwrap().to_str().unwrap());
    assert_eq!(record["data"]["pictures"], 18);
    // Nothing is left beside the files and the lock.
    assert_eq!(fs::read_dir(&output).unwrap().count(), 6);
}

#[test]
fn a_second_run_does_not_overwrite_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(&[("/output", json!(folder.path())), ("/config/length", json!({ "updates": 1 }))]);
    run(&request, data()).0.unwrap();
    let before = fs::read(folder.path().join("checkpoint.safetensors")).unwrap();
    let (code, message) = code(run(&request, data()).0);
    assert_eq!(code, "AMDIM_INVALID_ARGUMENT");
    assert!(message.contains("another run"), "{message}");
    assert_eq!(fs::read(folder.path().join("checkpoint.safetensors")).unwrap(), before);
}

#[test]
fn a_cancelled_run_stops_at_the_next_update_with_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(&[("/output", json!(folder.path())), ("/config/length", json!({ "minutes": 60 }))]);
    let (result, _) = run_until(&request, data(), |event, cancel| {
        if matches!(event, TrainEvent::Step(step) if step.update == 4) {
            cancel.store(true, Ordering::Relaxed);
        }
    });
    let result = result.unwrap();
    assert_eq!((result.cancelled, result.update), (true, 4));
    let file = Checkpoint::read(&result.checkpoint_path.unwrap()).unwrap();
    assert_eq!(file.header.progress.update, 4);
    assert!(result.model_path.unwrap().exists());
}

#[test]
fn without_a_folder_nothing_is_written() {
    let (result, events) = run(&request(&[("/checkpointMinutes", json!(1e-9))]), data());
    assert_eq!(result.unwrap().model_path, None);
    assert!(!events.iter().any(|event| matches!(event, TrainEvent::Checkpoint { .. })));
}

/// Pictures of which some can't be used.
struct Flawed {
    good: Arc<dyn Dataset>,
    bad: &'static [usize],
    first_good_epoch_only: bool,
    reads: std::sync::atomic::AtomicUsize,
}

impl Flawed {
    fn new(bad: &'static [usize], first_good_epoch_only: bool) -> Arc<Self> {
        Arc::new(Self { good: halves(18, 1), bad, first_good_epoch_only, reads: 0.into() })
    }
}

impl Dataset for Flawed {
    fn len(&self) -> usize {
        self.good.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.good.label(index)
    }

    fn classes(&self) -> &[String] {
        self.good.classes()
    }

    fn name(&self, index: usize) -> String {
        format!("picture {index}")
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        // Eight are read for the checksum, 16 in the first epoch.
        let late = self.reads.fetch_add(1, Ordering::Relaxed) >= 8 + 16;
        if self.bad.contains(&index) || (self.first_good_epoch_only && late) {
            return Err(DataError::Decode { picture: self.name(index), problem: "cut off".into() });
        }
        self.good.image(index)
    }
}

#[test]
fn bad_pictures_are_skipped_and_listed_or_end_the_run() {
    let data = || TrainData { train: Flawed::new(&[3, 11], false), test: None, transform: None };
    let (result, events) = run(&request(&[("/onBadImage", json!("skip"))]), data());
    let result = result.unwrap();
    let names: Vec<&str> = result.skipped.iter().map(|picture| picture.name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&"picture 3") && names.contains(&"picture 11"));
    assert_eq!(events.iter().filter(|event| matches!(event, TrainEvent::Skipped(_))).count(), 2);
    let (code, message) = code(run(&request(&[]), data()).0);
    assert_eq!(code, "AMDIM_DECODE");
    assert!(message.contains("picture "), "{message}");
}

#[test]
fn what_was_learnt_before_a_bad_picture_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(&[("/output", json!(folder.path())), ("/prefetch", json!(1))]);
    let data = TrainData { train: Flawed::new(&[], true), test: None, transform: None };
    assert_eq!(code(run(&request, data).0).0, "AMDIM_DECODE");
    let file = Checkpoint::read(&folder.path().join("checkpoint.safetensors")).unwrap();
    assert_eq!(file.header.progress.update, 4);
}

#[test]
fn a_run_that_diverges_leaves_the_last_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(&[
        ("/output", json!(folder.path())),
        ("/checkpointMinutes", json!(1e-9)),
        ("/config/optimizer/learningRate", json!(1e30)),
        ("/config/schedule/warmupUpdates", json!(0)),
    ]);
    let (result, events) = run(&request, data());
    assert_eq!(code(result).0, "AMDIM_NON_FINITE");
    let checkpoints: Vec<u64> = events
        .iter()
        .filter_map(|event| match event {
            TrainEvent::Checkpoint { update, .. } => Some(*update),
            _ => None,
        })
        .collect();
    let file = Checkpoint::read(&folder.path().join("checkpoint.safetensors")).unwrap();
    assert_eq!(checkpoints.last(), Some(&file.header.progress.update));
}

/// Code, part of the message, changes of the request, pictures.
type Case<'a> = (&'static str, &'static str, &'a [(&'a str, Value)], TrainData);

#[test]
fn bad_input_is_met_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("run");
    let one = |count| TrainData { train: halves(count, 1), test: None, transform: None };
    let tiny: Arc<dyn Dataset> = {
        let picture = |label| MemoryPicture {
            name: format!("dot {label}"),
            pixels: PicturePixels::Decoded(Image::new(1, 1, 1, vec![9]).unwrap()),
            label: Some(label),
        };
        let pictures = (0..4).map(|index| picture(index % 2)).collect();
        Arc::new(MemoryDataset::new(pictures, amdim_data::Limits::default()).unwrap())
    };
    let dots = TrainData { train: tiny, test: None, transform: None };
    let cases: [Case; 7] = [
        ("AMDIM_INVALID_ARGUMENT", "at least 2", &[], one(1)),
        ("AMDIM_INVALID_ARGUMENT", "batchSize", &[], one(3)),
        ("AMDIM_DATA", "1x1", &[], dots),
        ("AMDIM_INVALID_ARGUMENT", "threads", &[("/threads", json!(0))], data()),
        ("AMDIM_DEVICE", "cuda:99", &[("/device", json!("cuda:99"))], data()),
        ("AMDIM_INVALID_ARGUMENT", "augment.pixels", &[("/config/augment/pixels", json!(64))], data()),
        ("AMDIM_INVALID_ARGUMENT", "keepHead", &[("/keepHead", json!(true))], data()),
    ];
    for (expected, part, changes, data) in cases {
        let changes = [changes, &[("/output", json!(output))]].concat();
        let (code, message) = code(run(&request(&changes), data).0);
        assert_eq!(code, expected, "{message}");
        assert!(message.contains(part), "{message}");
        assert!(!output.exists(), "{message}");
    }
}

#[test]
fn a_users_function_sees_every_picture_and_its_errors_end_the_run() {
    let black: amdim_data::loader::Transform =
        Arc::new(|image| Image::new(image.width, image.height, 1, vec![0; image.pixels.len()]));
    let blackened = TrainData { transform: Some(black), ..data() };
    // Equal pictures have equal embeddings, so every loss is at its chance level.
    let step = run(&request(&[("/config/length", json!({ "updates": 1 }))]), blackened).0.unwrap().last_step;
    let loss = step.unwrap().terms["1->5"];
    assert!((loss - (1.0f64 + 3.0 * 25.0).ln()).abs() < 1e-4, "{loss}");
    let failing: amdim_data::loader::Transform = Arc::new(|_| {
        Err(DataError::Transform { picture: "the picture".into(), problem: "out of paint".into() })
    });
    let (code, message) = code(run(&request(&[]), TrainData { transform: Some(failing), ..data() }).0);
    assert_eq!(code, "AMDIM_DATA");
    assert!(message.contains("out of paint"), "{message}");
}

#[test]
fn a_test_class_that_is_not_trained_on_is_named() {
    let strange: Arc<dyn Dataset> =
        Arc::new(amdim_data::ArrayDataset::new(vec![0; 2 * 1024], 2, 32, 32, 1, Some(vec![0, 7])).unwrap());
    let data = TrainData { test: Some(strange), ..data() };
    let (code, message) = code(run(&request(&[("/onlineEvaluateEpochs", json!(1))]), data).0);
    assert_eq!(code, "AMDIM_DATA");
    assert!(message.contains("\"7\""), "{message}");
}

#[test]
fn a_frozen_encoder_stays_while_its_head_learns() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    run(&request(&[("/output", json!(first))]), data()).0.unwrap();
    let weights = first.join("model.safetensors");
    let continued = request(&[
        ("/output", json!(second)),
        ("/initialWeights", json!(weights)),
        ("/keepHead", json!(true)),
        ("/config/encoderFrozen", json!(true)),
    ]);
    run(&continued, data()).0.unwrap();
    let before = Checkpoint::read(&weights).unwrap().tensors;
    let after = Checkpoint::read(&second.join("model.safetensors")).unwrap().tensors;
    let (mut encoder, mut head) = (0, 0);
    for (name, tensor) in &before {
        if name.starts_with("encoder.") {
            encoder += 1;
            assert_eq!(tensor, &after[name], "{name}");
        } else if tensor != &after[name] {
            head += 1;
        }
    }
    assert!(encoder > 10 && head > 5, "{encoder} {head}");
    let unlabelled: Arc<dyn Dataset> =
        Arc::new(amdim_data::ArrayDataset::new(vec![0; 8 * 1024], 8, 32, 32, 1, None).unwrap());
    let unlabelled = TrainData { train: unlabelled, test: None, transform: None };
    let (code, message) = code(run(&continued, unlabelled).0);
    assert_eq!(code, "AMDIM_DATA");
    assert!(message.contains("learns from labels expects at least 2 classes, got 0"), "{message}");
}

/// Settings of methods stand beside the other options; a name that is neither is refused.
#[test]
fn a_configuration_survives_json_and_refuses_what_it_does_not_know() {
    let mut json = common::request_json()["config"].clone();
    json["method"] = "moco".into();
    json["moco"] =
        serde_json::json!({ "queueSize": 64, "momentum": 0.5, "temperature": 0.1, "shuffleGroups": 2 });
    let config: AmdimConfig = from_json("config", &json.to_string()).unwrap();
    assert_eq!(config.methods.moco.queue_size, Some(64));
    config.validate().unwrap();
    let written = serde_json::to_value(&config).unwrap();
    for method in ["dim", "moco", "multiview", "vib", "vae"] {
        assert!(written[method].is_object(), "{written}");
    }
    assert_eq!(from_json::<AmdimConfig>("config", &written.to_string()).unwrap(), config);
    for bad in ["mocha", "methods"] {
        let mut other = written.clone();
        other[bad] = serde_json::json!({});
        let error = from_json::<AmdimConfig>("config", &other.to_string()).unwrap_err();
        assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT");
        assert!(error.to_string().contains(bad), "{error}");
    }
    let mut other = written;
    other["moco"]["shuffleGroups"] = 3.into();
    let config: AmdimConfig = from_json("config", &other.to_string()).unwrap();
    assert_eq!(config.validate().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
}
