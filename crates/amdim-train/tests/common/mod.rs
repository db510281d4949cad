//! Tiny runs on synthetic pictures.

#![allow(dead_code)] // each test file uses its own part

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use amdim_data::{ArrayDataset, Dataset};
use amdim_train::config::{EvaluateRequest, TrainRequest};
use amdim_train::event::{TrainEvent, TrainResult};
use amdim_train::run::{TrainData, train};
use amdim_train::{Result, RunError};
use serde_json::{Value, json};

/// Side of the pictures.
pub(crate) const SIDE: usize = 32;

/// `count` pictures of two classes by turns: bright left half, or bright right half, with noise.
pub(crate) fn halves(count: usize, salt: u32) -> Arc<dyn Dataset> {
    let mut state = salt.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) % 64
    };
    let mut pixels = Vec::with_capacity(count * SIDE * SIDE);
    for picture in 0..count {
        for place in 0..SIDE * SIDE {
            let is_left = place % SIDE < SIDE / 2;
            let bright = if is_left == (picture % 2 == 0) { 160 } else { 30 };
            pixels.push((bright + noise()) as u8);
        }
    }
    let labels = (0..count as u32).map(|picture| picture % 2).collect();
    Arc::new(ArrayDataset::new(pixels, count, SIDE as u32, SIDE as u32, 1, Some(labels)).unwrap())
}

/// A request as TypeScript would send it.
pub(crate) fn request_json() -> Value {
    json!({
        "config": {
            "encoder": { "encoderSize": 32, "inputChannels": 1, "baseWidth": 4, "embeddingDim": 16,
                         "blockDepth": 1, "batchNorm": false },
            "objective": { "scoreClip": 20, "logitPenalty": 0.04, "terms": ["1->5", "1->7", "5->5"] },
            "optimizer": { "learningRate": 2e-3, "beta1": 0.8, "beta2": 0.999, "epsilon": 1e-8,
                           "weightDecay": 1e-5, "gradientClip": null },
            "schedule": { "kind": "cosine", "warmupUpdates": 2, "milestones": [], "decay": 0.2,
                          "finalScale": 0.1 },
            "classifiers": { "enabled": true, "hiddenUnits": 8, "dropout": 0.2, "logitClip": 10,
                             "logitPenalty": 1e-3 },
            "augment": augment_json(),
            "batchSize": 4, "length": { "updates": 7 }, "seed": 3, "encoderFrozen": false,
        },
        "preset": null, "device": "cpu", "executor": "candle", "precision": "auto", "threads": 1, "loaderThreads": 1,
        "prefetch": 2, "onBadImage": "error", "output": null, "resume": null, "initialWeights": null,
        "keepHead": false, "checkpointMinutes": null, "keepCheckpoints": 0, "logEverySteps": 2,
        "onlineEvaluateEpochs": null,
    })
}

pub(crate) fn augment_json() -> Value {
    json!({
        "pixels": 32, "channels": 1, "flipProbability": 0.0, "crop": null,
        "translate": { "maxPixels": 2, "probability": 0.5 }, "colorJitter": null,
        "grayscaleProbability": 0.0, "mean": [0.45], "std": [0.25], "evalResize": null, "decode": "exact",
    })
}

/// [`request_json`] with changes, by JSON pointer.
pub(crate) fn request(changes: &[(&str, Value)]) -> TrainRequest {
    let mut json = request_json();
    for (pointer, value) in changes {
        *json.pointer_mut(pointer).unwrap() = value.clone();
    }
    serde_json::from_value(json).unwrap()
}

/// What `evaluate` is asked for, with changes by JSON pointer.
pub(crate) fn evaluate_request(changes: &[(&str, Value)]) -> EvaluateRequest {
    let mut json = json!({
        "augment": augment_json(), "heads": ["linear", "mlp", "knn"], "layer": "global",
        "linear": { "method": "lbfgs", "l2": 1e-4, "maxIterations": 100, "tolerance": 1e-5 },
        "classifierTask": { "protocol": "corrected", "epochs": 30, "milestones": [20], "decay": 0.2,
            "learningRate": 2e-2, "batchSize": 8, "augmentTrain": false, "hiddenUnits": 8, "dropout": 0.1,
            "logitClip": 10, "logitPenalty": 1e-3, "beta1": 0.8, "beta2": 0.999, "epsilon": 1e-8,
            "weightDecay": 1e-5 },
        "knn": { "k": 5, "temperature": 0.1 }, "batchSize": 16, "threads": 1, "seed": 1,
        "onBadImage": "error", "maxTrain": null, "predictions": false,
    });
    for (pointer, value) in changes {
        *json.pointer_mut(pointer).unwrap() = value.clone();
    }
    serde_json::from_value(json).unwrap()
}

/// Pictures of a run: 18 to train on (4 batches of 4), 6 to test on.
pub(crate) fn data() -> TrainData {
    TrainData { train: halves(18, 1), test: Some(halves(6, 2)), transform: None }
}

/// Runs a request and collects its events.
pub(crate) fn run(request: &TrainRequest, data: TrainData) -> (Result<TrainResult>, Vec<TrainEvent>) {
    run_until(request, data, |_, _| ())
}

/// As [`run`]; `watch` sees each event and may set the flag that cancels the run.
pub(crate) fn run_until(
    request: &TrainRequest,
    data: TrainData,
    mut watch: impl FnMut(&TrainEvent, &AtomicBool) + Send,
) -> (Result<TrainResult>, Vec<TrainEvent>) {
    let cancel = AtomicBool::new(false);
    let mut events = vec![];
    let result = train(
        request,
        data,
        &mut |event| {
            watch(event, &cancel);
            events.push(event.clone());
        },
        &cancel,
    );
    (result, events)
}

/// The code of an error that must have happened.
pub(crate) fn code<T>(result: Result<T>) -> (&'static str, String) {
    let error: RunError = result.err().expect("an error");
    (error.code(), error.to_string())
}
