//! A resumed run is the uninterrupted one.

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use amdim_core::checkpoint::Checkpoint;
use amdim_train::event::TrainEvent;
use amdim_train::run::TrainData;
use common::{code, data, request, run, run_until};
use serde_json::{Value, json};

/// Seconds differ between runs; everything else must not.
fn numbers(folder: &Path) -> Checkpoint {
    let mut file = Checkpoint::read(&folder.join("checkpoint.safetensors")).unwrap();
    file.header.progress.seconds = 0.0;
    file.header.run = Value::Null;
    file
}

fn updates_of_steps(folder: &Path) -> Vec<u64> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["type"] == "step")
        .map(|event| event["update"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_resumed_run_equals_the_uninterrupted_one_bit_for_bit() {
    for executor in ["candle", "cpu"] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        let common = [("/executor", json!(executor)), ("/config/length", json!({ "epochs": 3 }))];
        let whole_request = request(&[&common[..], &[("/output", json!(whole))]].concat());
        run(&whole_request, data()).0.unwrap();

        let mut part_request = request(&[&common[..], &[("/output", json!(parts))]].concat());
        // Cancelled at an update between two step events and at the end of an epoch; other threads each time.
        for (session, stop_at) in [5, 8, u64::MAX].into_iter().enumerate() {
            part_request.log_every_steps = 1;
            part_request.loader_threads = session + 1;
            part_request.threads = session % 2 + 1;
            let (result, _) = run_until(&part_request, data(), |event, cancel| {
                if matches!(event, TrainEvent::Step(step) if step.update == stop_at) {
                    cancel.store(true, Ordering::Relaxed);
                }
            });
            assert_eq!(result.unwrap().cancelled, stop_at < u64::MAX);
            part_request.resume = Some(parts.join("checkpoint.safetensors"));
        }
        let (whole_file, part_file) = (numbers(&whole), numbers(&parts));
        assert_eq!(whole_file.header, part_file.header);
        assert_eq!(whole_file.header.progress.update, 12);
        for (name, tensor) in &whole_file.tensors {
            assert_eq!(tensor, &part_file.tensors[name], "{executor}: {name}");
        }
        assert_eq!(updates_of_steps(&parts), (1..=12).collect::<Vec<_>>());
    }
}

#[test]
fn the_last_checkpoints_are_kept_over_sessions_and_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, again) = (folder.path().join("first"), folder.path().join("again"));
    let mut request = request(&[
        ("/output", json!(first)),
        ("/checkpointMinutes", json!(1e-9)),
        ("/keepCheckpoints", json!(3)),
        ("/config/length", json!({ "updates": 5 })),
    ]);
    let kept = || -> Vec<u64> {
        let updates =
            (0..20).filter(|update| first.join(format!("checkpoint-{update:010}.safetensors")).exists());
        updates.collect()
    };
    run(&request, data()).0.unwrap();
    assert_eq!(kept(), [3, 4, 5]);
    request.resume = Some(first.join("checkpoint.safetensors"));
    request.config.length = amdim_train::config::Length::Updates(7);
    run(&request, data()).0.unwrap();
    assert_eq!(kept(), [5, 6, 7]);
    // One of them leads to the same end, in a folder of its own.
    request.resume = Some(first.join("checkpoint-0000000005.safetensors"));
    assert_eq!(code(run(&request, data()).0).0, "AMDIM_INVALID_ARGUMENT");
    request.output = Some(again.clone());
    request.keep_checkpoints = 0;
    run(&request, data()).0.unwrap();
    assert_eq!(numbers(&first), numbers(&again));
    assert_eq!(kept(), [5, 6, 7]);
    assert!(!again.join("checkpoint-0000000007.safetensors").exists());
}

#[test]
fn lines_after_the_checkpoint_are_not_told_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut request = request(&[("/output", json!(folder.path())), ("/logEverySteps", json!(1))]);
    run(&request, data()).0.unwrap();
    // As if the process had died after the event of update 9, whose checkpoint was never written.
    let metrics = folder.path().join("metrics.jsonl");
    let lost = "{\"type\":\"step\",\"update\":8}\n{\"type\":\"step\",\"update\":9}\n{\"type\":\"st";
    fs::write(&metrics, fs::read_to_string(&metrics).unwrap() + lost).unwrap();
    request.resume = Some(folder.path().join("checkpoint.safetensors"));
    request.config.length = amdim_train::config::Length::Updates(10);
    run(&request, data()).0.unwrap();
    assert_eq!(updates_of_steps(folder.path()), (1..=10).collect::<Vec<_>>());
}

#[test]
fn another_configuration_or_other_pictures_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = request(&[("/output", json!(folder.path()))]);
    run(&first, data()).0.unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    let resumed = |changes: &[(&str, Value)]| {
        let always = [("/output", json!(folder.path())), ("/resume", json!(checkpoint))];
        request(&[&always, changes].concat())
    };
    let before = fs::read(&checkpoint).unwrap();
    for (changes, key) in [
        (("/config/batchSize", json!(6)), "batchSize"),
        (("/config/optimizer/beta1", json!(0.9)), "optimizer.beta1"),
        (("/config/augment/translate/maxPixels", json!(3)), "augment.translate.maxPixels"),
        (("/config/seed", json!(4)), "seed"),
    ] {
        let (code, message) = code(run(&resumed(&[changes]), data()).0);
        assert_eq!(code, "AMDIM_INVALID_ARGUMENT");
        assert!(message.starts_with(&format!("{key}:")), "{message}");
    }
    // More pictures, and other ones of the same number and classes.
    for (train, key) in [(common::halves(20, 1), "data.pictures"), (common::halves(18, 7), "data.checksum")] {
        let (code, message) = code(run(&resumed(&[]), TrainData { train, ..data() }).0);
        assert_eq!(code, "AMDIM_INVALID_ARGUMENT");
        assert!(message.starts_with(&format!("{key}:")), "{message}");
    }
    assert_eq!(fs::read(&checkpoint).unwrap(), before);
}

#[test]
fn a_model_file_and_a_truncated_checkpoint_cannot_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    run(&request(&[("/output", json!(folder.path()))]), data()).0.unwrap();
    let resumed = |name: &str| request(&[("/resume", json!(folder.path().join(name)))]);
    assert_eq!(code(run(&resumed("model.safetensors"), data()).0).0, "AMDIM_INVALID_ARGUMENT");
    let whole = fs::read(folder.path().join("checkpoint.safetensors")).unwrap();
    fs::write(folder.path().join("half"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(code(run(&resumed("half"), data()).0).0, "AMDIM_CHECKPOINT");
    assert_eq!(code(run(&resumed("missing"), data()).0).0, "AMDIM_IO");
}
