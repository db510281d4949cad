//! Exact nearest neighbours in cosine similarity and their votes.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{EvalError, Result, check_count, check_number};
use crate::features::Features;
use crate::labels::Labels;
use crate::matrix::{Matrix, Write, multiply};
use crate::stop::{Stop, check};

/// Base rows in a block: columns of one product.
pub(crate) const BASE_BLOCK: usize = 1024;
/// Blocks of base rows that are unpacked at a time.
const BASE_BLOCKS: usize = 8;
/// Queries that one task compares with a block.
const QUERY_TILE: usize = 256;
/// Queries that are unpacked at a time.
const QUERY_PANEL: usize = 8192;
/// Similarities that are compared with the k-th best at once.
const SCAN: usize = 32;
/// Width of a block is a multiple of this: products then treat all columns alike, so that equal base rows have
/// equal similarities and the lower index wins.
const COLUMN_GROUP: usize = 16;

/// How a [`KnnClassifier`] votes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KnnConfig {
    /// Number of neighbours that vote; at least 1 and at most the number of training examples, 20 by default.
    pub k: usize,
    /// A neighbour's vote weighs exp(similarity / temperature); above 0, 0.1 by default.
    pub temperature: f64,
}

impl Default for KnnConfig {
    fn default() -> Self {
        Self { k: 20, temperature: 0.1 }
    }
}

/// The nearest base rows of each query, the nearest first; of equally near ones the lower index first.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbors {
    /// Number of neighbours a query.
    pub k: usize,
    /// Rows of the base. `[queries, k]`
    pub indices: Vec<u32>,
    /// Cosine similarities, -1..1. `[queries, k]`
    pub similarities: Vec<f32>,
}

/// Finds for each query the `k` base rows of highest cosine similarity, exactly.
///
/// `similarity(q, b) = q . b / (|q| |b|)`, and 0 when either vector is 0. All queries are compared with all base
/// rows, block by block; beside the result, copies of 16,384 rows are held at most.
///
/// # Shapes
/// - `queries`: `[queries, dim]`
/// - `base`: `[rows, dim]`
///
/// # Errors
/// - [`EvalError::Shape`]: the numbers of features differ
/// - [`EvalError::InvalidArgument`]: `k` is 0 or above the number of base rows
/// - [`EvalError::Cancelled`]
pub fn search(queries: Features<'_>, base: Features<'_>, k: usize, stop: Stop<'_>) -> Result<Neighbors> {
    check_count("features in a query", base.dim(), queries.dim())?;
    check_k(k, base.rows())?;
    check_number("rows of the base", base.rows() as f64, "at most 4294967295", |rows| {
        rows <= f64::from(u32::MAX)
    })?;
    let mut nearest: Vec<Nearest> = (0..queries.rows()).map(|_| Nearest::new(k)).collect();
    let dim = base.dim();
    for (nearest, queries) in nearest.chunks_mut(QUERY_PANEL).zip(queries.values().chunks(QUERY_PANEL * dim))
    {
        compare_panel(nearest, &unit_rows(queries, dim), base, stop)?;
    }
    let sorted: Vec<Vec<Candidate>> = nearest.into_par_iter().map(Nearest::into_sorted).collect();
    Ok(Neighbors {
        k,
        indices: sorted.iter().flatten().map(|found| found.index).collect(),
        // Rounding can leave the similarity of parallel vectors a hair outside.
        similarities: sorted.iter().flatten().map(|found| found.similarity.clamp(-1.0, 1.0)).collect(),
    })
}

/// Offers all base rows to some queries. `queries`: `[queries, dim]`, rows of length 1.
fn compare_panel(nearest: &mut [Nearest], queries: &[f32], base: Features<'_>, stop: Stop<'_>) -> Result<()> {
    let dim = base.dim();
    let mut first_index = 0;
    for rows in base.values().chunks(BASE_BLOCKS * BASE_BLOCK * dim) {
        let blocks: Vec<Block> =
            rows.par_chunks(BASE_BLOCK * dim).map(|rows| Block::new(rows, dim)).collect();
        nearest.par_chunks_mut(QUERY_TILE).zip(queries.par_chunks(QUERY_TILE * dim)).try_for_each_init(
            || vec![0.0; QUERY_TILE * BASE_BLOCK],
            |similarities, (nearest, queries)| {
                for (i, block) in blocks.iter().enumerate() {
                    check(stop)?;
                    block.similarities(queries, similarities, |query, row| {
                        nearest[query].offer_all(row, first_index + i * BASE_BLOCK);
                    });
                }
                Ok::<(), EvalError>(())
            },
        )?;
        first_index += rows.len() / dim;
    }
    Ok(())
}

/// Base rows of length 1, turned into columns: the product reads them without packing.
pub(crate) struct Block {
    /// `[dim, width]`; columns from `rows` on are 0
    columns: Vec<f32>,
    rows: usize,
    width: usize,
}

impl Block {
    pub(crate) fn new(values: &[f32], dim: usize) -> Self {
        let rows = values.len() / dim;
        let width = rows.next_multiple_of(COLUMN_GROUP);
        let mut columns = vec![0.0; dim * width];
        for (group, values) in values.chunks(COLUMN_GROUP * dim).enumerate() {
            let mut scales = [0.0; COLUMN_GROUP];
            for (scale, row) in scales.iter_mut().zip(values.chunks_exact(dim)) {
                *scale = unit_scale(row);
            }
            for (j, columns) in columns.chunks_exact_mut(width).enumerate() {
                let columns = &mut columns[group * COLUMN_GROUP..];
                for ((out, row), scale) in columns.iter_mut().zip(values.chunks_exact(dim)).zip(scales) {
                    *out = (f64::from(row[j]) * scale) as f32;
                }
            }
        }
        Self { columns, rows, width }
    }

    /// Similarities of queries `[queries, dim]`, rows of length 1, with the rows of the block: `use_row` gets each query's,
    /// one after the other. `scratch` holds `queries` times [`BASE_BLOCK`] values at least.
    pub(crate) fn similarities(
        &self,
        queries: &[f32],
        scratch: &mut [f32],
        mut use_row: impl FnMut(usize, &[f32]),
    ) {
        let dim = self.columns.len() / self.width;
        let count = queries.len() / dim;
        let products = &mut scratch[..count * self.width];
        // [queries, dim] * [dim, width] -> [queries, width]
        let queries = Matrix::new(queries, count, dim);
        multiply(products, Write::Replace, queries, Matrix::new(&self.columns, dim, self.width));
        for (query, products) in products.chunks_exact(self.width).enumerate() {
            use_row(query, &products[..self.rows]);
        }
    }
}

/// Copy of rows `[rows, dim]`, each divided by its length.
pub(crate) fn unit_rows(rows: &[f32], dim: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows.len()];
    out.par_chunks_exact_mut(dim).zip(rows.par_chunks_exact(dim)).for_each(|(out, row)| {
        let scale = unit_scale(row);
        out.iter_mut().zip(row).for_each(|(out, &x)| *out = (f64::from(x) * scale) as f32);
    });
    out
}

/// What makes a row's length 1; 0 for a row of zeros. In f64, where no square of an f32 over- or underflows.
pub(crate) fn unit_scale(row: &[f32]) -> f64 {
    let length = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if length > 0.0 { 1.0 / length } else { 0.0 }
}

/// A base row seen from a query. Greater means farther.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    similarity: f32,
    index: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        // Similarities are finite; -0 and 0 must count as equal, which `total_cmp` does not.
        let farther = other.similarity.partial_cmp(&self.similarity).unwrap_or(Ordering::Equal);
        farther.then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `k` nearest of the candidates offered so far.
struct Nearest {
    k: usize,
    /// The farthest of them on top.
    heap: BinaryHeap<Candidate>,
}

impl Nearest {
    fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new() }
    }

    /// Similarity that a candidate must exceed. Indices only rise, so an equal one is never nearer.
    fn threshold(&self) -> f32 {
        match self.heap.peek() {
            Some(farthest) if self.heap.len() == self.k => farthest.similarity,
            _ => f32::NEG_INFINITY,
        }
    }

    fn offer_all(&mut self, similarities: &[f32], first_index: usize) {
        let mut threshold = self.threshold();
        for (scan, similarities) in similarities.chunks(SCAN).enumerate() {
            // Nearly always no candidate passes; without a branch inside, this runs in vector registers.
            if similarities.iter().map(|&similarity| u32::from(similarity > threshold)).sum::<u32>() == 0 {
                continue;
            }
            for (i, &similarity) in similarities.iter().enumerate() {
                if similarity > threshold {
                    if self.heap.len() == self.k {
                        self.heap.pop();
                    }
                    self.heap.push(Candidate { similarity, index: (first_index + scan * SCAN + i) as u32 });
                    threshold = self.threshold();
                }
            }
        }
    }

    /// The nearest first.
    fn into_sorted(self) -> Vec<Candidate> {
        self.heap.into_sorted_vec()
    }
}

/// A classifier that asks the nearest training examples.
///
/// `score(class) = sum over the k neighbours of that class of exp(similarity / temperature)`, divided by the sum
/// over all k.
///
/// # Source
/// Z. Wu, Y. Xiong, S. X. Yu, D. Lin, 2018, "Unsupervised feature learning via non-parametric instance
/// discrimination", arXiv 1805.01978, section 3.4.
#[derive(Debug, Clone, Copy)]
pub struct KnnClassifier<'a> {
    config: KnnConfig,
    features: Features<'a>,
    labels: Labels<'a>,
}

impl<'a> KnnClassifier<'a> {
    /// Takes the training examples; nothing is computed yet.
    ///
    /// # Shapes
    /// - `features`: `[n, dim]`
    /// - `labels`: `[n]`
    ///
    /// # Errors
    /// - [`EvalError::InvalidArgument`]: an option out of range
    /// - [`EvalError::Shape`]: not one label a row
    pub fn new(config: KnnConfig, features: Features<'a>, labels: Labels<'a>) -> Result<Self> {
        check_count("training labels", features.rows(), labels.count())?;
        check_k(config.k, features.rows())?;
        check_number("temperature", config.temperature, "a number above 0", |t| t > 0.0)?;
        Ok(Self { config, features, labels })
    }

    /// Share of the votes of every class.
    ///
    /// # Shapes
    /// - `queries`: `[queries, dim]`
    /// - returns: `[queries, classes]`, row after row, each 0..1 and 1 in sum
    ///
    /// # Errors
    /// - [`EvalError::Shape`]: the numbers of features differ
    /// - [`EvalError::Cancelled`]
    pub fn predict_scores(&self, queries: Features<'_>, stop: Stop<'_>) -> Result<Vec<f32>> {
        let neighbors = search(queries, self.features, self.config.k, stop)?;
        let mut scores = vec![0.0; queries.rows() * self.labels.classes()];
        let rows = neighbors.indices.chunks_exact(neighbors.k);
        let rows = rows.zip(neighbors.similarities.chunks_exact(neighbors.k));
        for ((indices, similarities), scores) in rows.zip(scores.chunks_exact_mut(self.labels.classes())) {
            self.vote(indices, similarities, scores);
        }
        Ok(scores)
    }

    fn vote(&self, indices: &[u32], similarities: &[f32], scores: &mut [f32]) {
        // Relative to the nearest, so that no exponential overflows at low temperatures.
        let weight = |similarity: f32| {
            ((f64::from(similarity) - f64::from(similarities[0])) / self.config.temperature).exp()
        };
        let mut votes = vec![0.0; scores.len()];
        for (&index, &similarity) in indices.iter().zip(similarities) {
            votes[self.labels.values()[index as usize] as usize] += weight(similarity);
        }
        let sum: f64 = votes.iter().sum();
        scores.iter_mut().zip(votes).for_each(|(score, votes)| *score = (votes / sum) as f32);
    }
}

/// `k` neighbours need as many rows.
fn check_k(k: usize, rows: usize) -> Result<()> {
    if (1..=rows).contains(&k) {
        return Ok(());
    }
    let expected = format!("1 to {rows} (the rows of the base)");
    Err(EvalError::InvalidArgument { name: "k", expected, actual: k.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    fn features(values: &[f32], dim: usize) -> Features<'_> {
        Features::new("features", values, dim).unwrap()
    }

    #[test]
    fn neighbours_are_ordered_by_angle_and_then_by_index() {
        // At 0, 90, 45 and 0 degrees of the query, whatever the lengths; then a zero vector and one at 180.
        let base = [2.0, 0.0, 0.0, 3.0, 1.0, 1.0, 5.0, 0.0, 0.0, 0.0, -1.0, 0.0];
        let found = search(features(&[0.5, 0.0], 2), features(&base, 2), 6, never()).unwrap();
        assert_eq!(found.indices, [0, 3, 2, 1, 4, 5]);
        let expected = [1.0, 1.0, std::f32::consts::FRAC_1_SQRT_2, 0.0, 0.0, -1.0];
        for (found, expected) in found.similarities.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
        }
    }

    #[test]
    fn of_equal_base_rows_the_lowest_indices_are_returned() {
        let row = [0.3, -0.7, 0.11];
        let base = row.repeat(BASE_BLOCKS * BASE_BLOCK + 37);
        let found = search(features(&[0.9, 0.2, 0.5], 3), features(&base, 3), 50, never()).unwrap();
        assert_eq!(found.indices, (0..50).collect::<Vec<u32>>());
    }

    #[test]
    fn lengths_at_the_ends_of_f32_do_not_matter() {
        let base = [1e38, 1e38, 1e-38, -1e-38, 1e-44, 0.0];
        let found = search(features(&[3e38, 0.0], 2), features(&base, 2), 3, never()).unwrap();
        assert_eq!(found.indices, [2, 0, 1]);
        assert!((found.similarities[1] - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn votes_are_shares_of_the_weights() {
        // Similarities 1 and 0 at temperature 0.5: weights e^2 and 1.
        let base = [1.0, 0.0, 0.0, 1.0];
        let labels = [2, 0];
        let labels = Labels::new(&labels, 3).unwrap();
        let config = KnnConfig { k: 2, temperature: 0.5 };
        let knn = KnnClassifier::new(config, features(&base, 2), labels).unwrap();
        let scores = knn.predict_scores(features(&[1.0, 0.0], 2), never()).unwrap();
        let e2 = 2.0_f32.exp();
        for (score, expected) in scores.iter().zip([1.0 / (1.0 + e2), 0.0, e2 / (1.0 + e2)]) {
            assert!((score - expected).abs() < 1e-6, "{scores:?}");
        }
        let cold =
            KnnClassifier::new(KnnConfig { k: 2, temperature: 1e-6 }, features(&base, 2), labels).unwrap();
        assert_eq!(cold.predict_scores(features(&[1.0, 0.0], 2), never()).unwrap(), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn arguments_out_of_range_are_named() {
        let base = [1.0, 2.0];
        let labels = Labels::new(&[0, 1], 2).unwrap();
        for (config, expected) in [
            (KnnConfig { k: 0, temperature: 0.1 }, "k"),
            (KnnConfig { k: 3, temperature: 0.1 }, "k"),
            (KnnConfig { k: 1, temperature: 0.0 }, "temperature"),
            (KnnConfig { k: 1, temperature: f64::NAN }, "temperature"),
        ] {
            match KnnClassifier::new(config, features(&base, 1), labels) {
                Err(EvalError::InvalidArgument { name, .. }) => assert_eq!(name, expected),
                other => panic!("{other:?}"),
            }
        }
        let error = search(features(&[1.0, 2.0], 2), features(&base, 1), 1, never()).unwrap_err();
        assert_eq!(error, EvalError::Shape { what: "features in a query", expected: 1, actual: 2 });
        let error = search(features(&[1.0], 1), features(&base, 1), 1, &|| true).unwrap_err();
        assert_eq!(error, EvalError::Cancelled);
    }

    #[test]
    fn config_is_camel_case_and_strict() {
        let config: KnnConfig = serde_json::from_str(r#"{"k": 5}"#).unwrap();
        assert_eq!(config, KnnConfig { k: 5, temperature: 0.1 });
        assert!(serde_json::from_str::<KnnConfig>(r#"{"kNearest": 5}"#).is_err());
    }
}
