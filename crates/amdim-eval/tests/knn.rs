//! Nearest neighbours against an obvious search; known scores, invariances.

mod common;

use amdim_eval::{Features, KnnClassifier, KnnConfig, Labels, Neighbors, Report, never, search};
use common::{Examples, Noise};
use quickcheck::{TestResult, quickcheck};

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

/// Whether `found` is right: similarities are those of its indices, indices differ, and no other base row is
/// nearer than the last by more than rounding.
fn is_right(found: &Neighbors, queries: &[f32], base: &[f32], dim: usize) -> bool {
    const ROUNDING: f64 = 2e-6;
    let rows = found.indices.chunks(found.k).zip(found.similarities.chunks(found.k));
    queries.chunks(dim).zip(rows).all(|(query, (indices, similarities))| {
        let exact: Vec<f64> = base.chunks(dim).map(|row| cosine(query, row)).collect();
        let mut sorted = exact.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let mut unique = indices.to_vec();
        unique.sort_unstable();
        unique.dedup();
        unique.len() == found.k
            && similarities.windows(2).all(|pair| pair[0] >= pair[1])
            && indices.iter().zip(similarities).zip(sorted).all(|((&index, &similarity), sorted)| {
                let similarity = f64::from(similarity);
                (exact[index as usize] - similarity).abs() < ROUNDING
                    && (sorted - similarity).abs() < ROUNDING
            })
    })
}

quickcheck! {
    fn equals_the_obvious_search(seed: u64, queries: u8, rows: u8, dim: u8, k: u8) -> TestResult {
        let (queries, rows, dim) = (usize::from(queries) + 1, usize::from(rows) + 1, usize::from(dim % 40) + 1);
        let k = usize::from(k) % rows + 1;
        let mut noise = Noise(seed);
        let (queries, base) = (noise.vector(queries * dim), noise.vector(rows * dim));
        let view = |values| Features::new("features", values, dim).unwrap();
        let found = search(view(&queries[..]), view(&base[..]), k, never()).unwrap();
        TestResult::from_bool(is_right(&found, &queries, &base, dim))
    }

    fn equal_similarities_are_ordered_by_index(rows: u8, k: u8) -> bool {
        // Base rows of three directions only, whose similarities to the query are exact.
        let rows = usize::from(rows) + 1;
        let k = usize::from(k) % rows + 1;
        let directions = [[0.0, 2.0], [3.0, 0.0], [-1.0, 0.0]];
        let base: Vec<f32> = (0..rows).flat_map(|i| directions[i * 7 % 5 % 3]).collect();
        let view = |values| Features::new("features", values, 2).unwrap();
        let found = search(view(&[1.0, 0.0]), view(&base[..]), k, never()).unwrap();
        let mut order: Vec<u32> = (0..rows as u32).collect();
        order.sort_by_key(|&i| [1, 0, 2][i as usize * 7 % 5 % 3]);
        found.indices == order[..k]
    }
}

#[test]
fn several_blocks_and_panels_give_the_obvious_result() {
    // Past one round of base rows (8 blocks of 1024) and past one panel of queries (8192), each by a remainder.
    let dim = 4;
    let large = Noise(1).vector(9001 * dim);
    let small = Noise(2).vector(30 * dim);
    let view = |values| Features::new("features", values, dim).unwrap();
    let found = search(view(&small[..]), view(&large[..]), 7, never()).unwrap();
    assert!(is_right(&found, &small, &large, dim));
    let found = search(view(&large[..]), view(&small[..]), 7, never()).unwrap();
    assert!(is_right(&found, &large, &small, dim));
}

fn scores(train: &Examples, test: &Examples, classes: usize) -> Vec<f32> {
    let features = Features::new("training features", &train.values, train.dim).unwrap();
    let labels = Labels::new(&train.labels, classes).unwrap();
    let knn = KnnClassifier::new(KnnConfig::default(), features, labels).unwrap();
    knn.predict_scores(Features::new("test features", &test.values, test.dim).unwrap(), never()).unwrap()
}

#[test]
fn separable_classes_are_separated() {
    let (train, test) = (Examples::new(1, 300, 12, 5, 10.0), Examples::new(2, 100, 12, 5, 10.0));
    let scores = scores(&train, &test, 5);
    let report = Report::from_scores(&scores, Labels::new(&test.labels, 5).unwrap()).unwrap();
    assert_eq!(report.top1.correct, 100);
    assert!(scores.chunks(5).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
}

#[test]
fn order_of_training_examples_does_not_matter() {
    let (train, test) = (Examples::new(3, 400, 8, 4, 0.5), Examples::new(4, 50, 8, 4, 0.5));
    let order: Vec<usize> = (0..400).map(|i| i * 171 % 400).collect();
    let (a, b) = (scores(&train, &test, 4), scores(&train.permuted(&order), &test, 4));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (train, test) = (Examples::new(5, 3000, 17, 6, 0.3), Examples::new(6, 1100, 17, 6, 0.3));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| scores(&train, &test, 6))
    };
    let one = run(1);
    for threads in [2, 3, 5] {
        assert!(one == run(threads), "{threads} threads");
    }
}
