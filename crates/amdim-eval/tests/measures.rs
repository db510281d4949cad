//! Measures beside values of numpy, scipy and scikit-learn (`tools/make-eval-reference.py`), and for any number of
//! threads.

mod common;

use amdim_eval::{
    Agreement, Features, KMeans, KMeansConfig, Labels, PairedConfig, PairedTest, Scatter, Spectrum,
    alignment, never, rank_me, retrieval, uniformity,
};
use serde_json::Value;

use common::Examples;

struct Reference(Value);

impl Reference {
    fn new() -> Self {
        Self(serde_json::from_str(include_str!("reference/measures.json")).unwrap())
    }

    fn number(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap()
    }

    fn list(&self, name: &str) -> Vec<f64> {
        self.0[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.list(name).into_iter().map(|x| x as f32).collect()
    }

    fn integers(&self, name: &str) -> Vec<u32> {
        self.list(name).into_iter().map(|x| x as u32).collect()
    }

    fn dim(&self) -> usize {
        self.number("dim") as usize
    }
}

fn assert_close(found: f64, wanted: f64, tolerance: f64) {
    assert!((found - wanted).abs() <= tolerance * wanted.abs().max(1.0), "{found} against {wanted}");
}

#[test]
fn ranks_and_spectra_equal_numpys() {
    let reference = Reference::new();
    let (values, dim) = (reference.floats("features"), reference.dim());
    for (values, rank, eigenvalues) in
        [(&values[..], "rankMe", "eigenvalues"), (&values[..7 * dim], "wideRankMe", "wideEigenvalues")]
    {
        let scatter = Scatter::new(Features::new("features", values, dim).unwrap(), never()).unwrap();
        // With as many axes as pictures the last singular value is 0 but for rounding (1e-8 of the largest).
        assert_close(rank_me(&scatter, never()).unwrap(), reference.number(rank), 1e-6);
        let spectrum = Spectrum::new(&scatter, never()).unwrap();
        let wanted = reference.list(eigenvalues);
        assert_eq!(spectrum.eigenvalues.len(), wanted.len());
        for (found, wanted) in spectrum.eigenvalues.into_iter().zip(wanted) {
            assert_close(found, wanted, 1e-12);
        }
    }
}

#[test]
fn places_on_the_sphere_equal_scipys() {
    let reference = Reference::new();
    let (values, views) = (reference.floats("features"), reference.floats("views"));
    let features = Features::new("features", &values, reference.dim()).unwrap();
    let views = Features::new("views", &views, reference.dim()).unwrap();
    assert_close(alignment(features, views).unwrap(), reference.number("alignment"), 1e-12);
    assert_close(uniformity(features, never()).unwrap(), reference.number("uniformity"), 1e-6);
}

#[test]
fn retrieval_equals_scikit_learns() {
    let reference = Reference::new();
    let (values, labels) = (reference.floats("features"), reference.integers("labels"));
    let features = Features::new("features", &values, reference.dim()).unwrap();
    let found = retrieval(features, Labels::new(&labels, 4).unwrap(), &[1, 2, 5], never()).unwrap();
    assert_close(found.mean_average_precision, reference.number("meanAveragePrecision"), 1e-9);
    assert_eq!(found.recall, reference.list("recall"));
}

#[test]
fn clusters_and_agreement_equal_scikit_learns() {
    let reference = Reference::new();
    let (values, labels) = (reference.floats("features"), reference.integers("labels"));
    let features = Features::new("features", &values, reference.dim()).unwrap();
    let labels = Labels::new(&labels, 4).unwrap();
    let config = KMeansConfig { clusters: 4, restarts: 3000, max_iterations: 200, seed: 1 };
    let found = KMeans::fit(&config, features, never()).unwrap();
    assert_close(found.inertia, reference.number("inertia"), 1e-5);
    let theirs = Agreement::new(&reference.integers("clusters"), labels).unwrap();
    assert_eq!(Agreement::new(&found.clusters, labels).unwrap().accuracy, theirs.accuracy);
    for (clusters, wanted) in [("clusters", "agreement"), ("randomClusters", "randomAgreement")] {
        let found = Agreement::new(&reference.integers(clusters), labels).unwrap();
        let wanted = |name: &str| reference.0[wanted][name].as_f64().unwrap();
        assert_close(found.nmi, wanted("nmi"), 1e-12);
        assert_close(found.ari, wanted("ari"), 1e-12);
        assert_close(found.accuracy, wanted("accuracy"), 1e-12);
    }
}

#[test]
fn exact_p_values_equal_scipys() {
    let config = PairedConfig { resamples: 100, confidence: 0.9, seed: 1 };
    for case in Reference::new().0["pValues"].as_array().unwrap() {
        let count = |i: usize| case[i].as_u64().unwrap() as usize;
        let outcomes = |first: bool| {
            let mut outcomes = vec![first; count(0)];
            outcomes.resize(count(0) + count(1), !first);
            outcomes
        };
        let found = PairedTest::new(&config, &outcomes(true), &outcomes(false), never()).unwrap();
        assert!((found.p_value / case[2].as_f64().unwrap() - 1.0).abs() < 1e-9, "{case}: {}", found.p_value);
    }
}

#[test]
fn threads_change_no_bit() {
    let examples = Examples::new(3, 1500, 300, 7, 0.4);
    let all = || {
        let features = Features::new("features", &examples.values, examples.dim).unwrap();
        let labels = Labels::new(&examples.labels, 7).unwrap();
        let scatter = Scatter::new(features, never()).unwrap();
        let config = KMeansConfig { clusters: 7, restarts: 2, max_iterations: 50, seed: 1 };
        let outcomes: Vec<bool> = examples.labels.iter().map(|&label| label > 2).collect();
        let other: Vec<bool> = examples.labels.iter().map(|&label| label > 3).collect();
        let paired = PairedConfig { resamples: 500, confidence: 0.95, seed: 1 };
        (
            rank_me(&scatter, never()).unwrap(),
            Spectrum::new(&scatter, never()).unwrap(),
            uniformity(features, never()).unwrap(),
            retrieval(features, labels, &[1, 10], never()).unwrap(),
            KMeans::fit(&config, features, never()).unwrap(),
            PairedTest::new(&paired, &outcomes, &other, never()).unwrap(),
        )
    };
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all);
    let one = on(1);
    assert_eq!(one, on(3));
    assert_eq!(one, on(4));
}

#[test]
fn everything_stops_when_asked() {
    let examples = Examples::new(3, 40, 5, 4, 1.0);
    let features = Features::new("features", &examples.values, examples.dim).unwrap();
    let labels = Labels::new(&examples.labels, 4).unwrap();
    let stop: amdim_eval::Stop<'_> = &|| true;
    let config = KMeansConfig { clusters: 4, restarts: 1, max_iterations: 9, seed: 1 };
    let paired = PairedConfig { resamples: 100, confidence: 0.9, seed: 1 };
    let scatter = Scatter::new(features, never()).unwrap();
    let codes = [
        Scatter::new(features, stop).err().map(|error| error.code()),
        rank_me(&scatter, stop).err().map(|error| error.code()),
        Spectrum::new(&scatter, stop).err().map(|error| error.code()),
        uniformity(features, stop).err().map(|error| error.code()),
        retrieval(features, labels, &[1], stop).err().map(|error| error.code()),
        KMeans::fit(&config, features, stop).err().map(|error| error.code()),
        PairedTest::new(&paired, &[true], &[true], stop).err().map(|error| error.code()),
    ];
    assert_eq!(codes, [Some("AMDIM_CANCELLED"); 7]);
}
