//! Embedding and heads on frozen features.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use amdim_core::encoder::Scale;
use amdim_core::tensors;
use amdim_data::{ArrayDataset, Dataset};
use amdim_train::config::{BadImage, EmbedRequest};
use amdim_train::embed::embed;
use amdim_train::evaluate::{EvaluateData, EvaluateResult, evaluate};
use amdim_train::layer::Layer;
use amdim_train::model::TrainedModel;
use amdim_train::place::Placement;
use amdim_train::{Result, RunError};
use common::{code, evaluate_request, halves, request};
use serde_json::{Value, json};

fn model() -> TrainedModel {
    TrainedModel::create(request(&[]).config, 5, Placement::cpu(1)).unwrap()
}

fn embed_request(layer: impl Into<Layer>, batch_size: usize) -> EmbedRequest {
    let layer = layer.into();
    EmbedRequest { layer, batch_size, threads: 2, on_bad_image: BadImage::Error, posterior_maps: None }
}

fn pictures() -> EvaluateData {
    EvaluateData { train: halves(40, 1), test: halves(21, 2) }
}

fn heads(
    model: Option<&mut TrainedModel>,
    changes: &[(&str, Value)],
    data: &EvaluateData,
) -> Result<EvaluateResult> {
    let model = model.map(|trained| &mut trained.model);
    evaluate(model, &evaluate_request(changes), data, &mut |_| (), &AtomicBool::new(false))
}

#[test]
fn embeddings_do_not_depend_on_the_batch() {
    let mut model = model();
    let dataset = halves(7, 1);
    let never = AtomicBool::new(false);
    let mut done = vec![];
    let mut of = |layer, batch| {
        let mut progress = |pictures| done.push(pictures);
        embed(&mut model, dataset.as_ref(), &embed_request(layer, batch), &mut progress, &never).unwrap()
    };
    for (layer, side) in [(Scale::GLOBAL, 1), (Scale::new(5), 5), (Scale::new(7), 7)] {
        let (one, all) = (of(layer, 1), of(layer, 7));
        assert_eq!(one.shape, if side == 1 { vec![7, 16] } else { vec![7, 16, side, side] });
        assert_eq!(one.data.len(), 7 * 16 * side * side);
        let worst = one.data.iter().zip(&all.data).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst < 1e-5, "{worst}");
        assert_eq!(of(layer, 1), one);
    }
    assert_eq!(done[..8], [1, 2, 3, 4, 5, 6, 7, 7]);
}

#[test]
fn a_map_that_the_encoder_does_not_have_is_an_error() {
    let never = AtomicBool::new(false);
    let request = embed_request(Scale::new(8), 2);
    let result = embed(&mut model(), halves(4, 1).as_ref(), &request, &mut |_| (), &never);
    let expected = "layer: expected a map of this encoder (global, local5, local7), got local8";
    assert_eq!(code(result), ("AMDIM_INVALID_ARGUMENT", expected.into()));
}

#[test]
fn embedding_is_cancelled_between_batches() {
    let cancel = AtomicBool::new(true);
    let result =
        embed(&mut model(), halves(4, 1).as_ref(), &embed_request(Scale::GLOBAL, 2), &mut |_| (), &cancel);
    assert!(matches!(result, Err(RunError::Cancelled)));
}

#[test]
fn every_head_reads_separable_classes() {
    let mut trained = model();
    for features in ["pixels", "encoder"] {
        for method in ["lbfgs", "classifierTask"] {
            let model = (features == "encoder").then_some(&mut trained);
            let result = heads(model, &[("/linear/method", json!(method))], &pictures()).unwrap();
            let dim = if features == "encoder" { 16 } else { 32 * 32 };
            assert_eq!((result.train_size, result.test_size, result.feature_dim), (40, 21, dim));
            assert_eq!(result.chance, 11.0 / 21.0);
            for head in [result.heads.linear, result.heads.mlp, result.heads.knn] {
                let head = head.unwrap();
                assert!(head.top1 > 0.9 && head.count == 21, "{features} {method}: {head:?}");
                assert_eq!(head.per_class[1].name, "1");
                assert!(head.top1_interval[0] < head.top1 && head.top5 == 1.0);
            }
        }
    }
}

#[test]
fn an_evaluation_leaves_the_model_as_it_was_and_repeats() {
    let mut model = model();
    let before = (tensors::to_vec(&model.model.running).unwrap(), model.model.passes.clone());
    let changes = [
        ("/classifierTask/protocol", json!("reference")),
        ("/classifierTask/augmentTrain", json!(true)),
        ("/classifierTask/epochs", json!(3)),
        ("/heads", json!(["mlp"])),
    ];
    let first = heads(Some(&mut model), &changes, &pictures()).unwrap().heads;
    let after = (tensors::to_vec(&model.model.running).unwrap(), model.model.passes.clone());
    assert_eq!(before, after);
    assert_eq!(heads(Some(&mut model), &changes, &pictures()).unwrap().heads, first);
    assert!(first.linear.is_none() && first.knn.is_none());
}

#[test]
fn the_references_protocol_drops_the_last_batch() {
    let changes =
        [("/classifierTask/protocol", json!("reference")), ("/linear/method", json!("classifierTask"))];
    let reference = heads(Some(&mut model()), &changes, &pictures()).unwrap().heads;
    // 21 test pictures are two batches of 8 and a rest of 5.
    assert_eq!(reference.mlp.unwrap().count, 16);
    assert_eq!(reference.linear.unwrap().count, 16);
    // kNN has no such habits.
    assert_eq!(reference.knn.unwrap().count, 21);
    let raw = heads(None, &changes, &pictures()).unwrap().heads;
    assert_eq!(raw.mlp.unwrap().count, 16);
}

#[test]
fn heads_learn_from_augmented_pictures_too() {
    let changes = [("/classifierTask/augmentTrain", json!(true)), ("/heads", json!(["mlp"]))];
    let result = heads(Some(&mut model()), &changes, &pictures()).unwrap();
    let head = result.heads.mlp.unwrap();
    assert!(head.top1 > 0.9 && head.count == 21, "{head:?}");
}

#[test]
fn fewer_training_pictures_are_drawn_by_the_seed() {
    let changes = [("/maxTrain", json!(12)), ("/heads", json!(["knn"]))];
    let result = heads(None, &changes, &pictures()).unwrap();
    assert_eq!((result.train_size, result.test_size), (12, 21));
}

#[test]
fn missing_labels_classes_and_pictures_are_named() {
    let array = |labels: Option<Vec<u32>>| -> Arc<dyn Dataset> {
        Arc::new(ArrayDataset::new(vec![9; 4 * 1024], 4, 32, 32, 1, labels).unwrap())
    };
    let cases = [
        (array(None), halves(4, 1), "AMDIM_DATA", "train"),
        (halves(40, 1), array(None), "AMDIM_DATA", "has none"),
        (halves(40, 1), array(Some(vec![0, 1, 2, 0])), "AMDIM_DATA", "\"2\""),
        // Class 1 has a name in the training set (class 2 follows it), but no picture.
        (array(Some(vec![0, 2, 0, 2])), halves(4, 1), "AMDIM_DATA", "no training picture"),
    ];
    for (train, test, expected, part) in cases {
        let (code, message) = code(heads(None, &[], &EvaluateData { train, test }));
        assert_eq!(code, expected);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn options_that_do_not_fit_the_pictures_are_refused() {
    for (pointer, value, part) in [
        ("/classifierTask/batchSize", json!(41), "classifierTask.batchSize"),
        ("/knn/k", json!(41), "k:"),
        ("/heads", json!([]), "heads"),
        ("/augment/pixels", json!(64), "augment.pixels"),
    ] {
        let (code, message) = code(heads(Some(&mut model()), &[(pointer, value)], &pictures()));
        assert_eq!(code, "AMDIM_INVALID_ARGUMENT");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn an_evaluation_is_cancelled() {
    let mut model = model();
    let cancel = AtomicBool::new(true);
    let result = evaluate(Some(&mut model.model), &evaluate_request(&[]), &pictures(), &mut |_| (), &cancel);
    assert_eq!(code(result).0, "AMDIM_CANCELLED");
}
