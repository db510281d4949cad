//! Measures of features, comparisons, duplicates.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use amdim_data::{ArrayDataset, Dataset};
use amdim_train::Result;
use amdim_train::compare::compare;
use amdim_train::config::{BadImage, CompareRequest, DuplicatesRequest, MeasureRequest};
use amdim_train::duplicates::{DuplicatesResult, duplicates};
use amdim_train::evaluate::{EvaluateData, evaluate};
use amdim_train::measure::{MeasureResult, measure};
use amdim_train::model::TrainedModel;
use amdim_train::place::Placement;
use common::{SIDE, augment_json, code, evaluate_request, halves, request};
use serde_json::{Value, json};

const ALL: [&str; 6] = ["rankMe", "spectrum", "alignment", "uniformity", "retrieval", "clustering"];

fn measure_request(changes: &[(&str, Value)]) -> MeasureRequest {
    let mut json = json!({
        "augment": augment_json(), "measures": ALL, "recallAt": [1, 5],
        "clustering": { "clusters": null, "restarts": 2, "maxIterations": 50 },
        "jacobianPictures": 2, "batchSize": 8, "threads": 2, "seed": 1, "onBadImage": "error", "maxPictures": null,
    });
    for (pointer, value) in changes {
        *json.pointer_mut(pointer).unwrap() = value.clone();
    }
    serde_json::from_value(json).unwrap()
}

fn of(
    model: Option<&mut TrainedModel>,
    changes: &[(&str, Value)],
    dataset: &Arc<dyn Dataset>,
) -> Result<MeasureResult> {
    let model = model.map(|trained| &mut trained.model);
    measure(model, &measure_request(changes), dataset, None, &mut |_| (), &AtomicBool::new(false))
}

fn model() -> TrainedModel {
    TrainedModel::create(request(&[]).config, 5, Placement::cpu(1)).unwrap()
}

#[test]
fn two_kinds_of_pictures_are_found_again() {
    let dataset = halves(41, 1);
    let found = of(None, &[], &dataset).unwrap();
    assert_eq!((found.pictures, found.feature_dim), (41, SIDE * SIDE));
    let (retrieval, clustering) = (found.retrieval.unwrap(), found.clustering.unwrap());
    assert_eq!(retrieval.mean_average_precision, 1.0);
    assert_eq!((retrieval.queries, retrieval.left_out), (41, 0));
    assert_eq!((clustering.nmi, clustering.ari, clustering.accuracy), (1.0, 1.0, 1.0));
    // Two halves and noise: the first axis holds most of the variance.
    let spectrum = found.spectrum.unwrap();
    let share = spectrum.eigenvalues[0] / spectrum.eigenvalues.iter().sum::<f64>();
    assert!(share > 0.9 && spectrum.axes90 == 1, "{share}");
    assert!(found.rank_me.unwrap() > 1.0 && found.uniformity.unwrap() < 0.0);
}

#[test]
fn pictures_are_looked_for_in_a_gallery() {
    let (queries, gallery) = (halves(9, 1), halves(30, 2));
    let of = |changes: &[(&str, Value)], gallery: &Arc<dyn Dataset>| {
        let request = measure_request(changes);
        measure(None, &request, &queries, Some(gallery), &mut |_| (), &AtomicBool::new(false))
    };
    let found = of(&[], &gallery).unwrap();
    let retrieval = found.retrieval.unwrap();
    assert_eq!((found.pictures, retrieval.gallery), (9, Some(30)));
    assert_eq!((retrieval.queries, retrieval.left_out, retrieval.mean_average_precision), (9, 0, 1.0));
    let few = of(&[("/maxPictures", json!(4))], &gallery).unwrap();
    assert_eq!((few.pictures, few.retrieval.unwrap().gallery), (4, Some(4)));
    // Its classes are matched by name, and it may have others.
    let side = SIDE as u32;
    let pixels = (0..4).flat_map(picture).collect();
    let others: Arc<dyn Dataset> =
        Arc::new(ArrayDataset::new(pixels, 4, side, side, 1, Some(vec![5, 1, 5, 7])).unwrap());
    let odd = of(&[], &others).unwrap().retrieval.unwrap();
    assert_eq!((odd.queries, odd.left_out, odd.gallery), (4, 5, Some(4)));
    assert_eq!(code(of(&[("/measures", json!(["rankMe"]))], &gallery)).0, "AMDIM_INVALID_ARGUMENT");
}

#[test]
fn measures_of_an_encoder_depend_on_no_thread() {
    let mut model = model();
    let without_time = |mut found: MeasureResult| {
        found.seconds.clear();
        found
    };
    let dataset = halves(41, 1);
    let found = without_time(of(Some(&mut model), &[], &dataset).unwrap());
    assert_eq!(found.feature_dim, 16);
    let alignment = found.alignment.unwrap();
    assert!(alignment > 0.0 && alignment < 2.0, "{alignment}");
    assert_eq!(without_time(of(Some(&mut model), &[("/threads", json!(1))], &dataset).unwrap()), found);
}

#[test]
fn views_that_do_not_differ_are_aligned() {
    let still = [("/augment/translate", Value::Null), ("/measures", json!(["alignment"]))];
    let found = of(Some(&mut model()), &still, &halves(9, 1)).unwrap();
    assert_eq!(found.alignment, Some(0.0));
    assert_eq!((found.rank_me, found.retrieval), (None, None));
}

#[test]
fn only_as_many_pictures_as_told_are_measured() {
    let dataset = halves(41, 1);
    let some = |seed: u64| {
        let changes =
            [("/maxPictures", json!(10)), ("/seed", json!(seed)), ("/measures", json!(["uniformity"]))];
        of(None, &changes, &dataset).unwrap()
    };
    assert_eq!(some(1).pictures, 10);
    assert_eq!(some(1).uniformity, some(1).uniformity);
    assert_ne!(some(1).uniformity, some(2).uniformity);
}

#[test]
fn what_cannot_be_measured_is_an_error() {
    let side = SIDE as u32;
    let unlabelled: Arc<dyn Dataset> =
        Arc::new(ArrayDataset::new(vec![9; 3 * SIDE * SIDE], 3, side, side, 1, None).unwrap());
    assert_eq!(code(of(None, &[], &unlabelled)).0, "AMDIM_DATA");
    assert!(of(None, &[("/measures", json!(["uniformity"]))], &unlabelled).is_ok());
    let dataset = halves(6, 1);
    assert_eq!(code(of(None, &[("/measures", json!([]))], &dataset)).0, "AMDIM_INVALID_ARGUMENT");
    assert_eq!(code(of(None, &[("/maxPictures", json!(1))], &dataset)).0, "AMDIM_INVALID_ARGUMENT");
    assert_eq!(code(of(None, &[("/clustering/clusters", json!(7))], &dataset)).0, "AMDIM_INVALID_ARGUMENT");
    let wide = [("/augment/pixels", json!(64))];
    assert_eq!(code(of(Some(&mut model()), &wide, &dataset)).0, "AMDIM_INVALID_ARGUMENT");
    let cancelled = measure(None, &measure_request(&[]), &dataset, None, &mut |_| (), &AtomicBool::new(true));
    assert_eq!(code(cancelled).0, "AMDIM_CANCELLED");
}

#[test]
fn predictions_are_what_the_reports_count() {
    let data = EvaluateData { train: halves(40, 1), test: halves(21, 2) };
    for protocol in ["corrected", "reference"] {
        let request = evaluate_request(&[
            ("/predictions", json!(true)),
            ("/classifierTask/protocol", json!(protocol)),
            ("/classifierTask/epochs", json!(2)),
        ]);
        let found = evaluate(None, &request, &data, &mut |_| (), &AtomicBool::new(false)).unwrap();
        let test = found.test.unwrap();
        assert_eq!((test.names.len(), test.labels.len(), test.classes.len()), (21, 21, 2));
        for head in [found.heads.linear, found.heads.mlp, found.heads.knn] {
            let head = head.unwrap();
            let predictions = head.predictions.unwrap();
            let counted = predictions.iter().filter(|&&class| class >= 0).count();
            let right = predictions.iter().zip(&test.labels).filter(|&(a, b)| *a == i64::from(*b)).count();
            assert_eq!((counted, right as f64 / counted as f64), (head.count, head.top1));
        }
    }
    let silent = evaluate(None, &evaluate_request(&[]), &data, &mut |_| (), &AtomicBool::new(false)).unwrap();
    assert!(silent.test.is_none() && silent.heads.knn.unwrap().predictions.is_none());
}

#[test]
fn classifiers_are_compared_picture_by_picture() {
    let request = CompareRequest { resamples: 500, confidence: 0.9, seed: 1, threads: 2 };
    let found = compare(&request, &[true, true, false, false], &[true, false, true, true]).unwrap();
    assert_eq!((found.both, found.only_first, found.only_second, found.neither), (1, 1, 2, 0));
    assert_eq!((found.difference, found.p_value), (0.25, 1.0));
    assert_eq!(code(compare(&request, &[true], &[])).0, "AMDIM_SHAPE");
}

/// A picture without symmetry; `salt` makes another one.
fn picture(salt: usize) -> Vec<u8> {
    let level = |place: usize| {
        let (x, y) = ((place % SIDE / 4) as u64, (place / SIDE / 4) as u64);
        let bits = (x * 31 + y * 17 + salt as u64 * 1009 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        60 + ((bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 57) as u8
    };
    (0..SIDE * SIDE).map(level).collect()
}

fn dataset(pictures: &[Vec<u8>]) -> Arc<dyn Dataset> {
    let (count, side) = (pictures.len(), SIDE as u32);
    let labels = Some((0..count as u32).map(|i| i % 2).collect());
    Arc::new(ArrayDataset::new(pictures.concat(), count, side, side, 1, labels).unwrap())
}

fn found(request: &DuplicatesRequest, test: &[Vec<u8>]) -> DuplicatesResult {
    let train: Vec<Vec<u8>> = (0..8).map(picture).collect();
    let (train, test) = (dataset(&train), dataset(test));
    let never = AtomicBool::new(false);
    duplicates(request, train.as_ref(), test.as_ref(), &mut |_| (), &never).unwrap()
}

const LOOK: DuplicatesRequest =
    DuplicatesRequest { similarity: 0.95, mirrored: true, threads: 2, on_bad_image: BadImage::Error };

#[test]
fn copies_are_found_and_others_are_not() {
    let brighter: Vec<u8> = picture(3).into_iter().map(|level| level / 2 + 100).collect();
    let mirrored: Vec<u8> = picture(5).chunks_exact(SIDE).flat_map(|row| row.iter().rev().copied()).collect();
    let test = [picture(100), picture(6), brighter, picture(200), mirrored];
    let result = found(&LOOK, &test);
    assert_eq!((result.exact, result.near, result.train_size, result.test_size), (1, 2, 8, 5));
    let pair = |i: usize| {
        let pair = &result.pairs[i];
        (pair.test_index, pair.train_index, pair.exact, pair.mirrored)
    };
    assert_eq!(pair(0), (1, 6, true, false));
    assert_eq!(result.pairs[0].similarity, 1.0);
    let mut others = [pair(1), pair(2)];
    others.sort_unstable();
    assert_eq!(others, [(2, 3, false, false), (4, 5, false, true)]);
    assert_eq!(result.pairs[0].test_class.as_deref(), Some("1"));
    // Without mirrors the last is not found; with a stricter limit none but the exact one.
    assert_eq!(found(&DuplicatesRequest { mirrored: false, ..LOOK }, &test).near, 1);
    assert_eq!(found(&DuplicatesRequest { similarity: 1.0, ..LOOK }, &test[..2]).pairs.len(), 1);
}

#[test]
fn a_flat_picture_resembles_its_equal_alone() {
    let train = dataset(&[vec![7; SIDE * SIDE], picture(1)]);
    let test = dataset(&[vec![8; SIDE * SIDE], vec![7; SIDE * SIDE]]);
    let never = AtomicBool::new(false);
    let result = duplicates(&LOOK, train.as_ref(), test.as_ref(), &mut |_| (), &never).unwrap();
    assert_eq!((result.exact, result.near, result.pairs[0].test_index), (1, 0, 1));
}

#[test]
fn the_search_checks_its_request_and_stops() {
    let pictures = dataset(&[picture(1)]);
    let run = |request: &DuplicatesRequest, cancel: bool| {
        let cancel = AtomicBool::new(cancel);
        duplicates(request, pictures.as_ref(), pictures.as_ref(), &mut |_| (), &cancel)
    };
    for similarity in [0.0, 1.1, f64::NAN] {
        assert_eq!(code(run(&DuplicatesRequest { similarity, ..LOOK }, false)).0, "AMDIM_INVALID_ARGUMENT");
    }
    assert_eq!(code(run(&LOOK, true)).0, "AMDIM_CANCELLED");
}
