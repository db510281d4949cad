//! The objective of multinomial logistic regression and its gradient.

use rayon::prelude::*;

use crate::error::{EvalError, Result};
use crate::labels::Labels;
use crate::lbfgs::Objective;
use crate::matrix::{Matrix, Real, Write, multiply};
use crate::stop::{Stop, check};

/// Values of a block of features: 1 MiB in f32, which stays in a core's cache between the product that gives
/// the scores and the one that gives the gradient.
const BLOCK_VALUES: usize = 1 << 18;

/// Values of all partial gradients together, at most (while there are at least 8).
const PARTIAL_VALUES: usize = 1 << 25;

/// Mean cross-entropy of linear scores plus an L2 penalty, over fixed features.
///
/// `f(W, b) = -1/n sum_i log softmax(W x_i + b)[y_i] + l2 * sum(W^2)`; biases are not penalised. Parameters are
/// one vector: `W` `[classes, dim]`, then `b` `[classes]`. Products run in `T`, sums over examples in f64.
///
/// The examples are divided into parts whose number depends on the sizes alone. Each sums its gradient by
/// itself, block after block; then the parts are added in order.
pub(crate) struct Logistic<'a, T> {
    /// `[n, dim]`
    features: &'a [T],
    labels: Labels<'a>,
    dim: usize,
    l2: f64,
    stop: Stop<'a>,
    rows_per_block: usize,
    rows_per_part: usize,
    parts: Vec<Part<T>>,
    /// The weights in the precision of the products. `[classes, dim]`
    weights: Vec<T>,
}

/// What one part of the examples adds.
struct Part<T> {
    /// Scores of a block, then their derivatives. `[rows of a block, classes]`
    scores: Vec<T>,
    /// `[classes, dim]`
    weight_gradient: Vec<T>,
    /// `[classes]`
    bias_gradient: Vec<f64>,
    loss: f64,
}

impl<'a, T: Real> Logistic<'a, T> {
    /// `features`: `[labels, dim]`, finite.
    pub(crate) fn new(features: &'a [T], labels: Labels<'a>, l2: f64, stop: Stop<'a>) -> Self {
        let (n, classes) = (labels.count(), labels.classes());
        let dim = features.len() / n;
        let rows_per_block = (BLOCK_VALUES / dim).clamp(16, 1024);
        let num_parts = (PARTIAL_VALUES / (classes * dim)).clamp(8, 64);
        let rows_per_part = n.div_ceil(num_parts).next_multiple_of(rows_per_block);
        let rows_per_block = rows_per_block.min(n);
        let part = || Part {
            scores: vec![T::ZERO; rows_per_block * classes],
            weight_gradient: vec![T::ZERO; classes * dim],
            bias_gradient: vec![0.0; classes],
            loss: 0.0,
        };
        Self {
            features,
            labels,
            dim,
            l2,
            stop,
            rows_per_block,
            rows_per_part,
            parts: (0..n.div_ceil(rows_per_part)).map(|_| part()).collect(),
            weights: vec![T::ZERO; classes * dim],
        }
    }

    /// Number of parameters: `classes * (dim + 1)`.
    pub(crate) fn num_parameters(&self) -> usize {
        self.labels.classes() * (self.dim + 1)
    }
}

impl<T: Real> Objective for Logistic<'_, T> {
    fn evaluate(&mut self, parameters: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let (n, dim, classes) = (self.labels.count() as f64, self.dim, self.labels.classes());
        let (weights, bias) = parameters.split_at(classes * dim);
        for (low, &weight) in self.weights.iter_mut().zip(weights) {
            *low = T::from_f64(weight);
        }
        let weights_low = Matrix::new(&self.weights, classes, dim);
        let (rows_per_block, stop) = (self.rows_per_block, self.stop);
        self.parts
            .par_iter_mut()
            .zip(self.features.par_chunks(self.rows_per_part * dim))
            .zip(self.labels.values().par_chunks(self.rows_per_part))
            .try_for_each(|((part, features), labels)| {
                part.clear();
                for (features, labels) in
                    features.chunks(rows_per_block * dim).zip(labels.chunks(rows_per_block))
                {
                    check(stop)?;
                    part.add_block(Matrix::new(features, labels.len(), dim), labels, weights_low, bias);
                }
                Ok::<(), EvalError>(())
            })?;

        let (weight_gradient, bias_gradient) = gradient.split_at_mut(classes * dim);
        weight_gradient.par_chunks_mut(dim).zip(weights.par_chunks(dim)).enumerate().for_each(
            |(class, (gradient, weights))| {
                for (j, (gradient, weight)) in gradient.iter_mut().zip(weights).enumerate() {
                    let sum: f64 =
                        self.parts.iter().map(|part| part.weight_gradient[class * dim + j].to_f64()).sum();
                    *gradient = sum / n + 2.0 * self.l2 * weight;
                }
            },
        );
        for (class, gradient) in bias_gradient.iter_mut().enumerate() {
            *gradient = self.parts.iter().map(|part| part.bias_gradient[class]).sum::<f64>() / n;
        }
        let loss: f64 = self.parts.iter().map(|part| part.loss).sum();
        Ok(loss / n + self.l2 * weights.iter().map(|weight| weight * weight).sum::<f64>())
    }

    fn rounding(&self) -> f64 {
        T::EPSILON
    }
}

impl<T: Real> Part<T> {
    fn clear(&mut self) {
        self.weight_gradient.fill(T::ZERO);
        self.bias_gradient.fill(0.0);
        self.loss = 0.0;
    }

    /// Adds the loss and gradient of the rows of `features` `[rows, dim]`.
    fn add_block(&mut self, features: Matrix<'_, T>, labels: &[u32], weights: Matrix<'_, T>, bias: &[f64]) {
        let classes = bias.len();
        let scores = &mut self.scores[..labels.len() * classes];
        // [rows, dim] * [dim, classes] -> [rows, classes]
        multiply(scores, Write::Replace, features, weights.transposed());
        for (scores, &label) in scores.chunks_exact_mut(classes).zip(labels) {
            self.loss += cross_entropy(scores, bias, label as usize);
            for (sum, derivative) in self.bias_gradient.iter_mut().zip(scores) {
                *sum += derivative.to_f64();
            }
        }
        // [classes, rows] * [rows, dim] -> [classes, dim]
        let derivatives = Matrix::new(scores, labels.len(), classes).transposed();
        multiply(&mut self.weight_gradient, Write::Add, derivatives, features);
    }
}

/// Cross-entropy in nats of one row of scores (bias not yet added), which it overwrites with the derivatives:
/// `softmax(scores + bias) - one_hot(label)`.
fn cross_entropy<T: Real>(scores: &mut [T], bias: &[f64], label: usize) -> f64 {
    let mut largest = f64::NEG_INFINITY;
    for (score, bias) in scores.iter_mut().zip(bias) {
        *score = T::from_f64(score.to_f64() + bias);
        largest = largest.max(score.to_f64());
    }
    let of_label = scores[label].to_f64() - largest;
    // The largest score is subtracted first, so that no exponential overflows.
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = T::from_f64(score.to_f64() - largest).exp();
        sum += score.to_f64();
    }
    for score in scores.iter_mut() {
        *score = T::from_f64(score.to_f64() / sum);
    }
    scores[label] = T::from_f64(scores[label].to_f64() - 1.0);
    sum.ln() - of_label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    /// Numbers in -1..1 that follow no pattern.
    fn noise(seed: u64, count: usize) -> Vec<f64> {
        let mut state = seed;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
            })
            .collect()
    }

    const N: usize = 300;
    const DIM: usize = 7;
    const CLASSES: usize = 4;

    fn example_labels() -> Vec<u32> {
        (0..N as u32).map(|i| i * 7 % 11 % CLASSES as u32).collect()
    }

    /// The objective as it is written down, one example after the other.
    fn plain_objective(features: &[f64], labels: &[u32], parameters: &[f64], l2: f64) -> f64 {
        let (weights, bias) = parameters.split_at(CLASSES * DIM);
        let loss = |i: usize| {
            let score = |class: usize| {
                bias[class] + (0..DIM).map(|j| weights[class * DIM + j] * features[i * DIM + j]).sum::<f64>()
            };
            (0..CLASSES).map(|class| score(class).exp()).sum::<f64>().ln() - score(labels[i] as usize)
        };
        (0..N).map(loss).sum::<f64>() / N as f64 + l2 * weights.iter().map(|w| w * w).sum::<f64>()
    }

    #[test]
    fn equals_the_written_objective_and_its_finite_differences() {
        let (features, labels) = (noise(1, N * DIM), example_labels());
        let l2 = 0.03;
        let mut objective = Logistic::new(&features, Labels::new(&labels, CLASSES).unwrap(), l2, never());
        let parameters = noise(2, objective.num_parameters());
        let mut gradient = vec![0.0; parameters.len()];
        let value = objective.evaluate(&parameters, &mut gradient).unwrap();
        assert!((value - plain_objective(&features, &labels, &parameters, l2)).abs() < 1e-12);
        for i in 0..parameters.len() {
            let shifted = |by: f64| {
                let mut parameters = parameters.clone();
                parameters[i] += by;
                plain_objective(&features, &labels, &parameters, l2)
            };
            let difference = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
            assert!((gradient[i] - difference).abs() < 1e-9, "{i}: {} against {difference}", gradient[i]);
        }
    }

    #[test]
    fn blocks_and_parts_of_f32_add_up_to_the_f64_result() {
        // More rows than 64 parts of one block hold, so that parts have several blocks and the last is short.
        let (n, dim, classes) = (64 * 1024 + 1500, 2, 3);
        let features = noise(3, n * dim);
        let low: Vec<f32> = features.iter().map(|&x| x as f32).collect();
        let features: Vec<f64> = low.iter().map(|&x| f64::from(x)).collect();
        let labels: Vec<u32> = (0..n as u32).map(|i| i % 7 % 3).collect();
        let labels = Labels::new(&labels, classes).unwrap();
        let parameters = noise(4, classes * (dim + 1));
        let (mut exact, mut rounded) = (vec![0.0; parameters.len()], vec![0.0; parameters.len()]);
        let mut objective = Logistic::new(&low, labels, 0.0, never());
        assert!(objective.rows_per_part > objective.rows_per_block && objective.parts.len() > 1);
        let low_value = objective.evaluate(&parameters, &mut rounded).unwrap();
        let value = Logistic::new(&features, labels, 0.0, never()).evaluate(&parameters, &mut exact).unwrap();
        assert!((value - low_value).abs() < 1e-7, "{value} against {low_value}");
        for (exact, rounded) in exact.iter().zip(&rounded) {
            assert!((exact - rounded).abs() < 1e-7, "{exact} against {rounded}");
        }
    }

    #[test]
    fn huge_scores_stay_finite() {
        let labels = [0, 1];
        let mut objective = Logistic::new(&[1.0_f32, -1.0], Labels::new(&labels, 2).unwrap(), 0.0, never());
        let mut gradient = [0.0; 4];
        let value = objective.evaluate(&[-1e30, 1e30, 0.0, 0.0], &mut gradient).unwrap();
        assert!((value / 2e30 - 1.0).abs() < 1e-6, "{value}");
        assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
    }
}
