//! The online classifiers: gradients against finite differences in `f64`, and what is refused.

mod common;

use amdim_cpu::CpuError;
use amdim_cpu::classifiers::{ClassifierSettings, LabelledRows, OnlineClassifiers};
use amdim_kernels::{Kernel, Pool};
use common::{Random, kernels, to_f32};

const SETTINGS: ClassifierSettings = ClassifierSettings {
    embedding: 5,
    hidden: 37,
    classes: 3,
    logit_clip: 2.0,
    logit_penalty: 0.1,
    label_smoothing: 0.15,
    confidence_penalty: 0.3,
};

#[derive(Clone)]
struct Problem {
    parameters: Vec<f64>,
    features: Vec<f64>,
    labels: Vec<i64>,
    masks: [Vec<f64>; 2],
}

impl Problem {
    fn new() -> Self {
        let mut random = Random(4);
        let labels = vec![0, 2, -1, 1, 1, 0, -1, 2, 2];
        let rows = labels.len();
        let length = OnlineClassifiers::<f64>::new(SETTINGS, Kernel::Portable).unwrap().parameter_len();
        let mut mask = |count: usize| -> Vec<f64> {
            (0..count).map(|_| if random.bits().is_multiple_of(4) { 0.0 } else { 4.0 / 3.0 }).collect()
        };
        let masks = [mask(rows * SETTINGS.embedding), mask(rows * SETTINGS.hidden)];
        let (parameters, features) = (random.values(length), random.values(rows * SETTINGS.embedding));
        Self { parameters, features, labels, masks }
    }

    fn batch(&self) -> LabelledRows<'_, f64> {
        let masks = Some([&self.masks[0][..], &self.masks[1]]);
        LabelledRows { features: &self.features, labels: &self.labels, masks }
    }

    /// Sum of both losses, the gradients of the parameters and then of the features, and the running statistics.
    fn run(&self, parameters: &[f64], kernel: Kernel, threads: usize) -> (f64, Vec<f64>, Vec<f64>) {
        let mut classifiers = OnlineClassifiers::new(SETTINGS, kernel).unwrap();
        let pool = Pool::new(threads).unwrap();
        let mut running = [vec![0.5; SETTINGS.hidden], vec![2.0; SETTINGS.hidden]].concat();
        let mut gradient = vec![f64::NAN; parameters.len() + self.features.len()];
        let (own, features) = gradient.split_at_mut(parameters.len());
        let report =
            classifiers.train(&pool, parameters, &mut running, self.batch(), own, Some(features)).unwrap();
        (report.linear.loss + report.mlp.loss, gradient, running)
    }
}

#[test]
fn the_gradient_is_the_slope() {
    let problem = Problem::new();
    let (_, gradient, _) = problem.run(&problem.parameters, Kernel::Portable, 2);
    let mut smooth = 0;
    for (at, &gradient) in gradient.iter().enumerate() {
        let slope = |step: f64| {
            let total = |shift: f64| {
                let mut moved = problem.clone();
                match at.checked_sub(moved.parameters.len()) {
                    None => moved.parameters[at] += shift,
                    Some(feature) => moved.features[feature] += shift,
                }
                moved.run(&moved.parameters, Kernel::Portable, 1).0
            };
            (total(step) - total(-step)) / (2.0 * step)
        };
        let (coarse, fine) = (slope(2e-5), slope(1e-5));
        if (coarse - fine).abs() < 1e-8 {
            smooth += 1;
            assert!((fine - gradient).abs() < 1e-7 * (1.0 + fine.abs()), "{at}: {gradient}, slope {fine}");
        }
    }
    assert!(smooth * 10 > gradient.len() * 9, "{smooth} of {} slopes are smooth", gradient.len());
}

#[test]
fn kernels_and_threads_agree() {
    let problem = Problem::new();
    let (loss, gradient, running) = problem.run(&problem.parameters, Kernel::Portable, 1);
    assert!((loss, gradient.clone(), running) == problem.run(&problem.parameters, Kernel::Portable, 3));
    for kernel in kernels::<f32>() {
        let mut classifiers = OnlineClassifiers::<f32>::new(SETTINGS, kernel).unwrap();
        let mut running = [vec![0.5; SETTINGS.hidden], vec![2.0; SETTINGS.hidden]].concat();
        let mut single = vec![0.0; gradient.len()];
        let (own, features) = single.split_at_mut(problem.parameters.len());
        let masks = problem.masks.each_ref().map(|mask| to_f32(mask));
        let (pool, parameters) = (Pool::new(2).unwrap(), to_f32(&problem.parameters));
        let batch = LabelledRows {
            features: &to_f32(&problem.features),
            labels: &problem.labels,
            masks: Some([&masks[0], &masks[1]]),
        };
        let report = classifiers.train(&pool, &parameters, &mut running, batch, own, Some(features)).unwrap();
        assert!((report.linear.loss + report.mlp.loss - loss).abs() < 1e-5, "{kernel}");
        assert_eq!((report.linear.labelled, report.mlp.labelled), (7, 7));
        for (single, exact) in single.iter().zip(&gradient) {
            assert!((f64::from(*single) - exact).abs() < 2e-5, "{kernel}: {single} instead of {exact}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let problem = Problem::new();
    let mut classifiers = OnlineClassifiers::<f64>::new(SETTINGS, Kernel::best()).unwrap();
    let pool = Pool::new(1).unwrap();
    let mut refused = |features: &[f64], labels: &[i64]| {
        let (mut running, mut gradient) =
            (vec![0.0; 2 * SETTINGS.hidden], vec![0.0; problem.parameters.len()]);
        classifiers
            .train(
                &pool,
                &problem.parameters,
                &mut running,
                LabelledRows { features, labels, masks: None },
                &mut gradient,
                None,
            )
            .unwrap_err()
    };
    assert!(matches!(refused(&problem.features[1..], &problem.labels), CpuError::Length { .. }));
    assert!(matches!(refused(&problem.features[..5], &[0]), CpuError::Objective { .. }));
    assert!(matches!(refused(&problem.features[..10], &[0, 3]), CpuError::Objective { .. }));
    assert!(matches!(refused(&problem.features[..10], &[0, -2]), CpuError::Objective { .. }));
    assert!(
        OnlineClassifiers::<f64>::new(ClassifierSettings { hidden: 0, ..SETTINGS }, Kernel::best()).is_err()
    );
}
