//! Predictions of what a run takes. None of these tests depends on how fast the machine is.

mod common;

use std::sync::atomic::AtomicBool;

use amdim_train::Result;
use amdim_train::config::PlanRequest;
use amdim_train::plan::{RunPlan, plan};
use common::request_json;
use serde_json::{Value, json};

/// A request for the tiny run, with changes by JSON pointer.
fn request(changes: &[(&str, Value)]) -> PlanRequest {
    let mut json = json!({
        "config": request_json()["config"], "pictures": null, "classes": 2, "device": "cpu", "executor": "cpu",
        "precision": "f32", "threads": 2, "prefetch": 3,
    });
    for (pointer, value) in changes {
        *json.pointer_mut(pointer).unwrap() = value.clone();
    }
    serde_json::from_value(json).unwrap()
}

fn planned(changes: &[(&str, Value)]) -> Result<RunPlan> {
    plan(&request(changes), &AtomicBool::new(false))
}

#[test]
fn a_plan_has_the_sizes_of_its_request() {
    let found = planned(&[("/pictures", json!(13))]).unwrap();
    assert_eq!((found.batch_size, found.updates_per_epoch, found.totals.updates), (4, Some(3), Some(7)));
    assert_eq!((found.executor.as_str(), found.threads), ("cpu", 2));
    assert_eq!(found.calibration.batch_sizes, [4]);
    let memory = found.memory.unwrap();
    // Two views of four gray pictures: three batches ahead, one in use, one as tensors.
    assert_eq!(memory.input, 5 * 2 * 4 * 32 * 32 * 4);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["memory"]["maps"], json!(memory.step.maps));
    assert_eq!(json["updates"], json!(7));
}

#[test]
fn a_large_batch_is_extrapolated_from_small_ones() {
    let found = planned(&[("/config/batchSize", json!(300))]).unwrap();
    assert_eq!(found.calibration.batch_sizes, [16, 32]);
    assert!(found.seconds_per_update.is_finite() && found.seconds_per_update > 0.0);
}

#[test]
fn memory_is_not_known_where_tensors_come_and_go() {
    let frozen = [("/config/encoderFrozen", json!(true)), ("/config/batchSize", json!(40))];
    for changes in [&frozen[..], &[("/executor", json!("candle"))]] {
        let found = planned(changes).unwrap();
        assert_eq!((found.memory, found.calibration.batch_sizes), (None, vec![found.batch_size]));
    }
}

#[test]
fn one_class_is_as_none() {
    let parameters = |classes: usize| {
        planned(&[("/classes", json!(classes))]).unwrap().memory.map(|memory| memory.step.parameters)
    };
    assert_eq!(parameters(1), parameters(0));
    assert!(parameters(2) > parameters(0));
}

#[test]
fn bad_requests_and_cancellation_are_errors() {
    for (pointer, value) in [
        ("/pictures", json!(3)),
        ("/threads", json!(0)),
        ("/prefetch", json!(0)),
        ("/config/batchSize", json!(1)),
    ] {
        assert_eq!(planned(&[(pointer, value)]).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT", "{pointer}");
    }
    let cancelled = plan(&request(&[]), &AtomicBool::new(true));
    assert_eq!(cancelled.unwrap_err().code(), "AMDIM_CANCELLED");
}
