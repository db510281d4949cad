//! Test pictures that training pictures resemble: what a model learnt by heart counts as knowledge there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use amdim_data::{BadImagePolicy, Dataset, Fingerprint};
use amdim_eval::{Features, Neighbors, search};
use rayon::prelude::*;
use serde::Serialize;

use crate::config::DuplicatesRequest;
use crate::embed::all_indices;
use crate::evaluate::EvaluateEvent;
use crate::event::Skipped;
use crate::place::on_threads;
use crate::{Result, RunError};

/// Pictures that are read between two reports of progress.
const READ_AT_ONCE: usize = 512;

/// Test pictures with the training pictures that they resemble most.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DuplicatesResult {
    /// Test pictures with a training picture of equal pixels.
    pub exact: usize,
    /// Other test pictures with a training picture of the similarity asked for, or more.
    pub near: usize,
    /// Both, the most similar first; one pair a test picture.
    pub pairs: Vec<DuplicatePair>,
    /// Training pictures read.
    pub train_size: usize,
    /// Test pictures read.
    pub test_size: usize,
    /// Pictures that were left out.
    pub skipped: Vec<Skipped>,
}

/// A test picture and the training picture that it resembles most.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DuplicatePair {
    /// Name of the test picture.
    pub test: String,
    /// Its index in the data set.
    pub test_index: u32,
    /// Its class; null without labels.
    pub test_class: Option<String>,
    /// Name of the training picture.
    pub train: String,
    /// Its index in the data set.
    pub train_index: u32,
    /// Its class; null without labels.
    pub train_class: Option<String>,
    /// Whether the pixels are equal.
    pub exact: bool,
    /// Cosine of the edges of both, -1..1; 1 for equal pixels.
    pub similarity: f32,
    /// Whether one resembles the other mirrored.
    pub mirrored: bool,
}

/// Looks for the training picture that each test picture resembles most, by [`Fingerprint`]: all test pictures are
/// compared with all training pictures.
///
/// # Errors
/// - `AMDIM_INVALID_ARGUMENT`: an option out of range
/// - `AMDIM_DATA`: no picture that can be read
/// - the errors of the pictures; `AMDIM_CANCELLED` once `cancel` is set
pub fn duplicates(
    request: &DuplicatesRequest,
    train: &dyn Dataset,
    test: &dyn Dataset,
    events: &mut (dyn FnMut(&EvaluateEvent) + Send),
    cancel: &AtomicBool,
) -> Result<DuplicatesResult> {
    request.validate()?;
    on_threads(request.threads, || {
        let policy = request.on_bad_image.into();
        let train = Prints::read(train, "read train", policy, events, cancel)?;
        let test = Prints::read(test, "read test", policy, events, cancel)?;
        events(&EvaluateEvent { stage: "compare", done: 0, total: test.indices.len() });
        let pairs = find(request, &train, &test, cancel)?;
        events(&EvaluateEvent { stage: "compare", done: test.indices.len(), total: test.indices.len() });
        let exact = pairs.iter().filter(|pair| pair.exact).count();
        Ok(DuplicatesResult {
            exact,
            near: pairs.len() - exact,
            pairs,
            train_size: train.indices.len(),
            test_size: test.indices.len(),
            skipped: [train.skipped, test.skipped].concat(),
        })
    })
}

/// Fingerprints of a data set.
struct Prints<'a> {
    dataset: &'a dyn Dataset,
    /// `[pictures]`, those that could be read
    indices: Vec<u32>,
    /// `[pictures]`
    fingerprints: Vec<Fingerprint>,
    skipped: Vec<Skipped>,
}

impl<'a> Prints<'a> {
    fn read(
        dataset: &'a dyn Dataset,
        stage: &'static str,
        policy: BadImagePolicy,
        events: &mut (dyn FnMut(&EvaluateEvent) + Send),
        cancel: &AtomicBool,
    ) -> Result<Self> {
        let all = all_indices(dataset)?;
        let mut found = Self { dataset, indices: vec![], fingerprints: vec![], skipped: vec![] };
        for (chunk, indices) in all.chunks(READ_AT_ONCE).enumerate() {
            if cancel.load(Ordering::Relaxed) {
                return Err(RunError::Cancelled);
            }
            let print = |&index: &u32| dataset.image(index as usize).map(|image| Fingerprint::new(&image));
            let prints: Vec<_> = indices.par_iter().map(print).collect();
            for (&index, print) in indices.iter().zip(prints) {
                match print {
                    Ok(print) => {
                        found.indices.push(index);
                        found.fingerprints.push(print);
                    }
                    Err(error) if error.is_bad_picture() && policy == BadImagePolicy::Skip => {
                        let name = dataset.name(index as usize);
                        let (code, message) = (error.code().to_owned(), error.to_string());
                        found.skipped.push(Skipped { name, code, message });
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            let done = chunk * READ_AT_ONCE + indices.len();
            events(&EvaluateEvent { stage, done, total: all.len() });
        }
        Ok(found)
    }

    /// Edges of every picture, `[pictures, edges]`.
    fn edges(&self, of: fn(&Fingerprint) -> Vec<f32>) -> Vec<f32> {
        self.fingerprints.iter().flat_map(of).collect()
    }

    /// The class of a picture by its row here.
    fn class(&self, row: usize) -> Option<String> {
        let label = self.dataset.label(self.indices[row] as usize)?;
        self.dataset.classes().get(label as usize).cloned()
    }

    fn name(&self, row: usize) -> String {
        self.dataset.name(self.indices[row] as usize)
    }
}

/// The pairs that are alike enough, the most similar first.
fn find(
    request: &DuplicatesRequest,
    train: &Prints,
    test: &Prints,
    cancel: &AtomicBool,
) -> Result<Vec<DuplicatePair>> {
    let stop = || cancel.load(Ordering::Relaxed);
    let base = train.edges(Fingerprint::edges);
    let base = Features::new("training pictures", &base, Fingerprint::EDGES)?;
    let nearest = |of: fn(&Fingerprint) -> Vec<f32>| -> Result<Neighbors> {
        let queries = test.edges(of);
        Ok(search(Features::new("test pictures", &queries, Fingerprint::EDGES)?, base, 1, &stop)?)
    };
    let straight = nearest(Fingerprint::edges)?;
    let mirrored = request.mirrored.then(|| nearest(Fingerprint::mirrored_edges)).transpose()?;
    let mut same: HashMap<u64, usize> = HashMap::new();
    for (row, print) in train.fingerprints.iter().enumerate() {
        same.entry(print.pixels).or_insert(row);
    }
    let pair = |row: usize| {
        let best = |found: &Neighbors| (found.indices[row] as usize, found.similarities[row]);
        let turned = mirrored.as_ref().map(best).filter(|turned| turned.1 > best(&straight).1);
        let (resembled, similarity) = turned.unwrap_or_else(|| best(&straight));
        let exact = same.get(&test.fingerprints[row].pixels).copied();
        let train_row = exact.unwrap_or(resembled);
        DuplicatePair {
            test: test.name(row),
            test_index: test.indices[row],
            test_class: test.class(row),
            train: train.name(train_row),
            train_index: train.indices[train_row],
            train_class: train.class(train_row),
            exact: exact.is_some(),
            similarity: if exact.is_some() { 1.0 } else { similarity },
            mirrored: exact.is_none() && turned.is_some(),
        }
    };
    let is_alike = |pair: &DuplicatePair| f64::from(pair.similarity) >= request.similarity;
    let mut pairs: Vec<DuplicatePair> = (0..test.indices.len()).map(pair).filter(is_alike).collect();
    // Stable, so that equally similar pairs stay in the order of the test pictures.
    pairs.sort_by(|a, b| b.exact.cmp(&a.exact).then(b.similarity.total_cmp(&a.similarity)));
    Ok(pairs)
}
