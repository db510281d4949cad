//! The linear probe as a whole: the optimum, known scores, invariances, cancellation.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use amdim_eval::{EvalError, Features, Labels, LinearConfig, LinearProbe, Report, never};
use common::Examples;

fn fit(config: &LinearConfig, examples: &Examples, classes: usize) -> LinearProbe {
    let features = Features::new("features", &examples.values, examples.dim).unwrap();
    LinearProbe::fit(config, features, Labels::new(&examples.labels, classes).unwrap(), None, never())
        .unwrap()
}

fn report(probe: &LinearProbe, examples: &Examples) -> Report {
    let features = Features::new("features", &examples.values, examples.dim).unwrap();
    let scores = probe.predict_scores(features, never()).unwrap();
    Report::from_scores(&scores, Labels::new(&examples.labels, probe.classes()).unwrap()).unwrap()
}

/// The optimum by plain gradient descent in f64: weights and biases, and the objective there.
fn gradient_descent(examples: &Examples, classes: usize, l2: f64) -> (Vec<f64>, f64) {
    let (n, dim) = (examples.labels.len(), examples.dim);
    let column = |j: usize| examples.values.iter().skip(j).step_by(dim).map(|&x| f64::from(x));
    let mut x = vec![0.0; n * dim];
    for j in 0..dim {
        let mean = column(j).sum::<f64>() / n as f64;
        let std = (column(j).map(|x| (x - mean).powi(2)).sum::<f64>() / (n as f64 - 1.0)).sqrt() + 1e-5;
        column(j).enumerate().for_each(|(i, value)| x[i * dim + j] = (value - mean) / std);
    }
    // One more feature that is always 1 carries the bias.
    let width = dim + 1;
    let mut parameters = vec![0.0; classes * width];
    let mut objective = 0.0;
    for _ in 0..20_000 {
        let mut gradient = vec![0.0; parameters.len()];
        objective = 0.0;
        for (i, &label) in examples.labels.iter().enumerate() {
            let row: Vec<f64> = x[i * dim..][..dim].iter().copied().chain([1.0]).collect();
            let score = |class: usize| -> f64 {
                parameters[class * width..][..width].iter().zip(&row).map(|(w, x)| w * x).sum()
            };
            let exponentials: Vec<f64> = (0..classes).map(|class| score(class).exp()).collect();
            let sum: f64 = exponentials.iter().sum();
            objective += (sum.ln() - score(label as usize)) / n as f64;
            for class in 0..classes {
                let error = exponentials[class] / sum - f64::from(u8::from(class == label as usize));
                for j in 0..width {
                    gradient[class * width + j] += error * row[j] / n as f64;
                }
            }
        }
        for (i, gradient) in gradient.iter_mut().enumerate() {
            if i % width < dim {
                objective += l2 * parameters[i] * parameters[i];
                *gradient += 2.0 * l2 * parameters[i];
            }
        }
        parameters.iter_mut().zip(&gradient).for_each(|(p, g)| *p -= 0.5 * g);
    }
    (parameters, objective)
}

#[test]
fn reaches_the_optimum_that_slow_descent_reaches() {
    let (classes, l2) = (3, 0.01);
    let examples = Examples::new(1, 60, 4, classes, 0.5);
    let config = LinearConfig { l2, tolerance: 1e-6, ..LinearConfig::default() };
    let probe = fit(&config, &examples, classes);
    assert!(probe.converged, "{probe:?}");
    let (slow, objective) = gradient_descent(&examples, classes, l2);
    assert!((probe.objective - objective).abs() < 1e-7, "{} against {objective}", probe.objective);
    for class in 0..classes {
        for j in 0..4 {
            let (fast, slow) = (probe.weights[class * 4 + j], slow[class * 5 + j]);
            assert!((f64::from(fast) - slow).abs() < 1e-4, "weight {class} {j}: {fast} against {slow}");
        }
        let (fast, slow) = (probe.bias[class], slow[class * 5 + 4]);
        assert!((f64::from(fast) - slow).abs() < 1e-4, "bias {class}: {fast} against {slow}");
    }
}

#[test]
fn separable_classes_are_separated() {
    // Centres 20 noise widths apart: no example is on the wrong side.
    let probe = fit(&LinearConfig::default(), &Examples::new(1, 200, 6, 5, 20.0), 5);
    let report = report(&probe, &Examples::new(2, 500, 6, 5, 20.0));
    assert_eq!((report.top1.correct, report.balanced_accuracy), (500, 1.0));
}

#[test]
fn without_information_the_scores_are_the_log_shares() {
    // Three of four labels are 0 and the features are constant: the bias alone can help.
    let examples = Examples { values: vec![0.7; 8], labels: vec![0, 0, 1, 0], dim: 2 };
    let probe = fit(&LinearConfig { tolerance: 1e-7, ..LinearConfig::default() }, &examples, 2);
    assert_eq!(probe.weights, [0.0; 4]);
    assert!((probe.bias[0] - probe.bias[1] - 3.0_f32.ln()).abs() < 1e-5, "{probe:?}");
    let entropy = -(0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln());
    assert!((probe.objective - entropy).abs() < 1e-7, "{probe:?}");
}

#[test]
fn order_of_examples_scale_and_shift_of_features_do_not_matter() {
    let examples = Examples::new(3, 400, 5, 4, 0.4);
    let config = LinearConfig { tolerance: 1e-6, ..LinearConfig::default() };
    let probe = fit(&config, &examples, 4);
    let order: Vec<usize> = (0..400).map(|i| i * 171 % 400).collect();
    let moved = Examples {
        values: examples.values.iter().map(|x| 8.0 * x + 3.0).collect(),
        labels: examples.labels.clone(),
        dim: 5,
    };
    for other in [fit(&config, &examples.permuted(&order), 4), fit(&config, &moved, 4)] {
        assert!((probe.objective - other.objective).abs() < 1e-6, "{other:?}");
        for (a, b) in probe.weights.iter().zip(&other.weights) {
            assert!((a - b).abs() < 1e-3, "{a} against {b}");
        }
    }
}

#[test]
fn features_that_vary_together_take_few_steps() {
    // Sums from the first feature on: the variances of their directions span four orders of magnitude.
    let mut examples = Examples::new(7, 2000, 100, 5, 0.3);
    for row in examples.values.chunks_exact_mut(100) {
        for j in 1..100 {
            row[j] += row[j - 1];
        }
    }
    let probe = fit(&LinearConfig::default(), &examples, 5);
    assert!(probe.converged && probe.iterations < 50, "{} iterations", probe.iterations);
}

#[test]
fn a_class_without_training_examples_is_never_named() {
    let mut examples = Examples::new(4, 300, 4, 3, 1.0);
    examples.labels.iter_mut().for_each(|label| *label = if *label == 1 { 3 } else { *label });
    let probe = fit(&LinearConfig::default(), &examples, 4);
    let report = report(&probe, &examples);
    assert!(report.confusion.iter().all(|row| row[1] == 0), "{:?}", report.confusion);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    // Enough rows for several parts, several blocks and a remainder.
    let examples = Examples::new(5, 9000, 33, 7, 0.2);
    let config = LinearConfig { max_iterations: 15, ..LinearConfig::default() };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let probe = fit(&config, &examples, 7);
            let features = Features::new("features", &examples.values, 33).unwrap();
            let scores = probe.predict_scores(features, never()).unwrap();
            (probe, scores)
        })
    };
    let one = run(1);
    for threads in [2, 3, 5] {
        assert!(one == run(threads), "{threads} threads");
    }
}

#[test]
fn a_fit_stops_when_asked_and_tells_its_progress() {
    let examples = Examples::new(6, 500, 8, 3, 0.3);
    let features = Features::new("features", &examples.values, 8).unwrap();
    let labels = Labels::new(&examples.labels, 3).unwrap();
    let told = AtomicUsize::new(0);
    let mut last = f64::INFINITY;
    let mut progress = |progress: amdim_eval::LinearProgress| {
        assert!(progress.objective <= last);
        last = progress.objective;
        told.store(progress.iteration, Ordering::Relaxed);
    };
    let stop = || told.load(Ordering::Relaxed) == 3;
    let config = LinearConfig { tolerance: 0.0, ..LinearConfig::default() };
    let end = LinearProbe::fit(&config, features, labels, Some(&mut progress), &stop);
    assert_eq!(end.unwrap_err(), EvalError::Cancelled);
    assert_eq!(told.load(Ordering::Relaxed), 3);
}
