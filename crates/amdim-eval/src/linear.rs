//! Multinomial logistic regression on standardised features.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{EvalError, Result, check_count, check_number};
use crate::features::{Features, first_non_finite_row};
use crate::labels::Labels;
use crate::lbfgs::{self, Settings};
use crate::matrix::{Matrix, Write, multiply};
use crate::standardize::Standardizer;
use crate::stop::{Stop, check};
use crate::whitened::Whitened;

/// Rows that one task gives scores to.
const ROWS_PER_TASK: usize = 256;

/// How a [`LinearProbe`] is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LinearConfig {
    /// Weight of the sum of the squared weights, in nats; 0 or more, 1e-4 by default.
    pub l2: f64,
    /// Steps of L-BFGS, at most; at least 1, 200 by default.
    pub max_iterations: usize,
    /// Largest magnitude in the gradient (nats a unit of weight) at which the fit counts as converged; 0 or
    /// more, 1e-5 by default. In f32, as features are, a gradient below about 1e-7 is rounding.
    pub tolerance: f64,
}

impl Default for LinearConfig {
    fn default() -> Self {
        Self { l2: 1e-4, max_iterations: 200, tolerance: 1e-5 }
    }
}

impl LinearConfig {
    fn check(&self) -> Result<()> {
        check_number("l2", self.l2, "a number of 0 or more", |l2| l2 >= 0.0)?;
        check_number("tolerance", self.tolerance, "a number of 0 or more", |tolerance| tolerance >= 0.0)?;
        check_number("maxIterations", self.max_iterations as f64, "at least 1", |count| count >= 1.0)
    }
}

/// State of the fit after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearProgress {
    /// Steps taken, from 1.
    pub iteration: usize,
    /// Value of the objective in nats.
    pub objective: f64,
    /// Largest magnitude in the gradient.
    pub gradient_max: f64,
}

/// A linear classifier on frozen features: what is linearly readable from a representation.
///
/// `scores(x) = W ((x - mean) / std) + b`, where W and b minimise the mean cross-entropy of the training examples
/// plus `l2 * sum(W^2)`. The objective is convex and has one minimum (in W, when `l2` is above 0), so the
/// result depends on no seed and no learning rate.
///
/// # Source
/// The evaluation of P. Bachman, R. D. Hjelm, W. Buchwalter, 2019, "Learning representations by maximizing
/// mutual information across views", arXiv 1906.00910, section 4.1 (a linear classifier on f1), with its
/// stochastic descent replaced by a convergent method.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearProbe {
    /// W. `[classes, dim]`, row after row
    pub weights: Vec<f32>,
    /// b. `[classes]`
    pub bias: Vec<f32>,
    /// Mean of every feature over the training examples. `[dim]`
    pub mean: Vec<f32>,
    /// Standard deviation of every feature over the training examples plus 1e-5. `[dim]`
    pub std: Vec<f32>,
    /// Steps of L-BFGS taken.
    pub iterations: usize,
    /// Whether the gradient came below the tolerance; if not, `maxIterations` ended the fit, or rounding did.
    pub converged: bool,
    /// Value of the objective at the end, in nats.
    pub objective: f64,
}

impl LinearProbe {
    /// Fits a probe by L-BFGS (history 10, strong Wolfe line search) from zero weights.
    ///
    /// Up to 4096 features (and no more than rows) are whitened on the way: steps are taken in parameters in which the
    /// Hessian at zero weights is the identity, so that features which vary together take tens of steps, not hundreds.
    /// Keeps one standardised copy of the features and, for the whitening, two matrices `[dim, dim]`. `progress` hears of every step. A class without training
    /// examples gets a low score everywhere; [`Labels::check_covers`] tells whether the test set has it.
    ///
    /// # Shapes
    /// - `features`: `[n, dim]`
    /// - `labels`: `[n]`
    ///
    /// # Errors
    /// - [`EvalError::InvalidArgument`]: an option out of range
    /// - [`EvalError::Shape`]: not one label a row
    /// - [`EvalError::TooFewClasses`]: all labels are the same
    /// - [`EvalError::Cancelled`]
    pub fn fit(
        config: &LinearConfig,
        features: Features<'_>,
        labels: Labels<'_>,
        mut progress: Option<&mut (dyn FnMut(LinearProgress) + Send)>,
        stop: Stop<'_>,
    ) -> Result<Self> {
        config.check()?;
        check_count("training labels", features.rows(), labels.count())?;
        let present = labels.histogram().iter().filter(|&&count| count > 0).count();
        if present < 2 {
            return Err(EvalError::TooFewClasses { what: "training labels", expected: 2, actual: present });
        }
        let standardizer = Standardizer::fit(features, stop)?;
        let standardized: Vec<f32> = standardizer.apply_all(features, stop)?;
        let mut objective = Whitened::new(&standardized, labels, config.l2, stop)?;
        let start = vec![0.0; objective.num_parameters()];
        let settings = Settings { max_iterations: config.max_iterations, tolerance: config.tolerance };
        let end = lbfgs::minimize(&mut objective, start, settings, |step| {
            if let Some(progress) = progress.as_mut() {
                let (iteration, gradient_max) = (step.count, step.gradient_max);
                progress(LinearProgress { iteration, objective: step.value, gradient_max });
            }
        })?;
        let to_f32 = |values: &[f64]| values.iter().map(|&x| x as f32).collect();
        let parameters = objective.parameters(&end.x);
        let (weights, bias) = parameters.split_at(labels.classes() * features.dim());
        Ok(Self {
            weights: to_f32(weights),
            bias: to_f32(bias),
            mean: standardizer.mean,
            std: standardizer.std,
            iterations: end.iterations,
            converged: end.converged,
            objective: end.value,
        })
    }

    /// Number of features that the probe reads.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Number of classes that it gives scores to.
    pub fn classes(&self) -> usize {
        self.bias.len()
    }

    /// Scores (logits) of every class.
    ///
    /// # Shapes
    /// - `features`: `[n, dim]`, not standardised
    /// - returns: `[n, classes]`, row after row
    ///
    /// # Errors
    /// - [`EvalError::Shape`]: another number of features than the probe was fitted on
    /// - [`EvalError::NonFinite`]: a score overflows, which only features far outside the training range do
    /// - [`EvalError::Cancelled`]
    pub fn predict_scores(&self, features: Features<'_>, stop: Stop<'_>) -> Result<Vec<f32>> {
        let (dim, classes) = (self.dim(), self.classes());
        check_count("features in a row", dim, features.dim())?;
        let standardizer = Standardizer { mean: self.mean.clone(), std: self.std.clone() };
        let weights = Matrix::new(&self.weights, classes, dim).transposed();
        let mut scores = vec![0.0; features.rows() * classes];
        scores
            .par_chunks_mut(ROWS_PER_TASK * classes)
            .zip(features.values().par_chunks(ROWS_PER_TASK * dim))
            .try_for_each_init(
                || vec![0.0; ROWS_PER_TASK * dim],
                |standardized, (scores, features)| {
                    check(stop)?;
                    let standardized = &mut standardized[..features.len()];
                    for (out, row) in standardized.chunks_exact_mut(dim).zip(features.chunks_exact(dim)) {
                        standardizer.apply(row, out);
                    }
                    let rows = Matrix::new(standardized, features.len() / dim, dim);
                    multiply(scores, Write::Replace, rows, weights);
                    for row in scores.chunks_exact_mut(classes) {
                        row.iter_mut().zip(&self.bias).for_each(|(score, bias)| *score += bias);
                    }
                    Ok::<(), EvalError>(())
                },
            )?;
        match first_non_finite_row(&scores, classes) {
            Some(row) => Err(EvalError::NonFinite { what: "scores of the linear probe", row }),
            None => Ok(scores),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    fn features(values: &[f32], dim: usize) -> Features<'_> {
        Features::new("features", values, dim).unwrap()
    }

    #[test]
    fn scores_are_those_of_the_equation() {
        let probe = LinearProbe {
            weights: vec![1.0, 2.0, -1.0, 0.5],
            bias: vec![0.25, -0.5],
            mean: vec![1.0, -1.0],
            std: vec![2.0, 0.5],
            iterations: 0,
            converged: true,
            objective: 0.0,
        };
        // (3, 0) standardised is (1, 2).
        let scores = probe.predict_scores(features(&[3.0, 0.0, 1.0, -1.0], 2), never()).unwrap();
        assert_eq!(scores, [5.25, -0.5, 0.25, -0.5]);
        let error = probe.predict_scores(features(&[1.0, 2.0, 3.0], 3), never()).unwrap_err();
        assert_eq!(error, EvalError::Shape { what: "features in a row", expected: 2, actual: 3 });
        let error = probe.predict_scores(features(&[0.0, 0.0, 0.0, f32::MAX], 2), never()).unwrap_err();
        assert_eq!(error, EvalError::NonFinite { what: "scores of the linear probe", row: 1 });
    }

    #[test]
    fn options_out_of_range_are_named() {
        let labels = Labels::new(&[0, 1], 2).unwrap();
        for (config, name) in [
            (LinearConfig { l2: -1.0, ..LinearConfig::default() }, "l2"),
            (LinearConfig { tolerance: f64::NAN, ..LinearConfig::default() }, "tolerance"),
            (LinearConfig { max_iterations: 0, ..LinearConfig::default() }, "maxIterations"),
        ] {
            match LinearProbe::fit(&config, features(&[0.0, 1.0], 1), labels, None, never()) {
                Err(EvalError::InvalidArgument { name: found, .. }) => assert_eq!(found, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn labels_that_do_not_fit_are_refused() {
        let config = LinearConfig::default();
        let labels = Labels::new(&[1, 1], 3).unwrap();
        let fit = |values: &[f32]| LinearProbe::fit(&config, features(values, 1), labels, None, never());
        assert!(matches!(fit(&[0.0, 1.0]).unwrap_err(), EvalError::TooFewClasses { actual: 1, .. }));
        assert_eq!(
            fit(&[0.0]).unwrap_err(),
            EvalError::Shape { what: "training labels", expected: 1, actual: 2 }
        );
    }

    #[test]
    fn config_is_camel_case_and_strict() {
        let config: LinearConfig = serde_json::from_str(r#"{"l2": 0.5, "maxIterations": 7}"#).unwrap();
        assert_eq!(config, LinearConfig { l2: 0.5, max_iterations: 7, tolerance: 1e-5 });
        assert!(serde_json::from_str::<LinearConfig>(r#"{"iterations": 7}"#).is_err());
    }
}
