//! The objective of the linear probe in parameters that all count alike.

use rayon::prelude::*;

use crate::cholesky::Cholesky;
use crate::error::Result;
use crate::labels::Labels;
use crate::lbfgs::{Objective, largest};
use crate::logistic::Logistic;
use crate::matrix::{Matrix, Write, multiply};
use crate::stop::{Stop, check};

/// Side of a square of the features' products that one task computes.
const SQUARE: usize = 256;

/// Features, at most: the factor is of this size squared (64 MiB).
const MAX_DIM: usize = 4096;

/// Share of a feature's variance, which is 1, that is added to it: features that depend on each other have a factor
/// too, and what rounding leaves of them is not blown up.
const FLOOR: f64 = 1e-4;

/// The objective of [`Logistic`] in parameters `z`, where `W = z L^-1` with
/// `L L^T = (X^T X / n + 1e-4 I) / classes + 2 l2 I` and `b = z sqrt(classes)`.
///
/// At zero weights the Hessian by W and b is that matrix for every class (but for the floor, and along all that moves
/// the classes against each other; moving them together changes nothing). By z it is the identity there, so that
/// features which vary together no longer make a long valley of hundreds of steps.
///
/// # Source
/// J. Nocedal and S. J. Wright, 2006, Numerical Optimization, section 5.1 (preconditioning as a change of variables);
/// D. Böhning, 1992, "Multinomial logistic regression algorithm", Annals of the Institute of Statistical Mathematics
/// 44 (the Hessian at zero as the one of all steps).
pub(crate) struct Whitened<'a> {
    objective: Logistic<'a, f32>,
    /// `None` where z is W and b themselves.
    factor: Option<Cholesky>,
    dim: usize,
    classes: usize,
    /// Largest magnitude in the last gradient by W and b.
    gradient_max: f64,
}

impl<'a> Whitened<'a> {
    /// `features`: `[n, dim]`, standardised. With more features than rows, or than 4096, z is W and b: factoring would
    /// cost more than it saves.
    pub(crate) fn new(features: &'a [f32], labels: Labels<'a>, l2: f64, stop: Stop<'a>) -> Result<Self> {
        let (rows, classes) = (labels.count(), labels.classes());
        let dim = features.len() / rows;
        let factor = if dim <= rows.min(MAX_DIM) {
            let scale = 1.0 / (rows as f64 * classes as f64);
            let ridge = FLOOR / classes as f64 + 2.0 * l2;
            Cholesky::new(hessian(features, dim, scale, ridge, stop)?, dim)
        } else {
            None
        };
        let objective = Logistic::new(features, labels, l2, stop);
        Ok(Self { objective, factor, dim, classes, gradient_max: 0.0 })
    }

    /// Number of parameters: `classes * (dim + 1)`.
    pub(crate) fn num_parameters(&self) -> usize {
        self.objective.num_parameters()
    }

    /// `W` and `b`, one vector, of a `z`.
    pub(crate) fn parameters(&self, z: &[f64]) -> Vec<f64> {
        let mut parameters = z.to_vec();
        self.transform(&mut parameters, Cholesky::solve_transposed);
        parameters
    }

    /// Applies `solve` to the weights of every class, and what is the same for biases to them.
    fn transform(&self, parameters: &mut [f64], solve: impl Fn(&Cholesky, &mut [f64]) + Sync) {
        let Some(factor) = &self.factor else { return };
        let (weights, bias) = parameters.split_at_mut(self.classes * self.dim);
        weights.par_chunks_exact_mut(self.dim).for_each(|weights| solve(factor, weights));
        for bias in bias {
            *bias *= (self.classes as f64).sqrt();
        }
    }
}

impl Objective for Whitened<'_> {
    fn evaluate(&mut self, z: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let value = self.objective.evaluate(&self.parameters(z), gradient)?;
        self.gradient_max = largest(gradient);
        self.transform(gradient, Cholesky::solve);
        Ok(value)
    }

    fn rounding(&self) -> f64 {
        self.objective.rounding()
    }

    fn gradient_max(&self, _gradient: &[f64]) -> f64 {
        self.gradient_max
    }
}

/// Lower triangle of `scale X^T X + ridge I`, in squares. `[dim, dim]`
fn hessian(features: &[f32], dim: usize, scale: f64, ridge: f64, stop: Stop<'_>) -> Result<Vec<f32>> {
    let rows = features.len() / dim;
    let starts = || (0..dim).step_by(SQUARE);
    let squares: Vec<(usize, usize)> =
        starts().flat_map(|i| starts().take_while(move |&j| j <= i).map(move |j| (i, j))).collect();
    let columns = |first: usize| {
        let width = SQUARE.min(dim - first);
        Matrix::strided(&features[first..], rows, width, dim)
    };
    let products: Vec<Vec<f32>> = squares
        .par_iter()
        .map(|&(i, j)| {
            check(stop)?;
            let (left, right) = (columns(i), columns(j));
            let mut product = vec![0.0; left.cols() * right.cols()];
            multiply(&mut product, Write::Replace, left.transposed(), right);
            Ok(product)
        })
        .collect::<Result<_>>()?;
    let mut hessian = vec![0.0; dim * dim];
    for ((i, j), product) in squares.into_iter().zip(products) {
        let width = SQUARE.min(dim - j);
        for (row, product) in product.chunks_exact(width).enumerate() {
            for (out, &x) in hessian[(i + row) * dim + j..].iter_mut().zip(product) {
                *out = (f64::from(x) * scale) as f32;
            }
        }
    }
    hessian.iter_mut().step_by(dim + 1).for_each(|x| *x += ridge as f32);
    Ok(hessian)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::never;

    const N: usize = 600;
    const DIM: usize = 5;
    const CLASSES: usize = 3;

    /// Rows of mean 0 (each is followed by its negative) whose features have much in common.
    fn correlated() -> (Vec<f32>, Vec<u32>) {
        let noise = |i: usize| (i * 7919 % 1009) as f32 / 504.0 - 1.0;
        let row = |i: usize| (0..DIM).map(move |j| noise(i * 11) + 0.2 * noise(i * 23 + j * 57 + 5));
        let values = (0..N).flat_map(|i| {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            row(i / 2).map(move |x| sign * x)
        });
        (values.collect(), (0..N as u32).map(|i| i * 7 % 11 % CLASSES as u32).collect())
    }

    #[test]
    fn at_zero_the_hessian_is_the_identity() {
        let (features, labels) = correlated();
        let labels = Labels::new(&labels, CLASSES).unwrap();
        let mut objective = Whitened::new(&features, labels, 1e-3, never()).unwrap();
        // Classes moved against each other, in all features and in the bias.
        let step = |at: usize| {
            let (class, j) =
                if at < CLASSES * DIM { (at / DIM, at % DIM) } else { (at - CLASSES * DIM, DIM) };
            [1.0, -3.0, 2.0][class] * (1.0 + j as f64 / 3.0)
        };
        let direction: Vec<f64> = (0..objective.num_parameters()).map(step).collect();
        let mut gradient_at = |length: f64| {
            let z: Vec<f64> = direction.iter().map(|x| x * length).collect();
            let mut gradient = vec![0.0; z.len()];
            objective.evaluate(&z, &mut gradient).unwrap();
            gradient
        };
        let (ahead, behind) = (gradient_at(1e-2), gradient_at(-1e-2));
        for ((ahead, behind), x) in ahead.iter().zip(&behind).zip(&direction) {
            let curvature = (ahead - behind) / 2e-2;
            assert!((curvature - x).abs() < 0.05 * x.abs(), "{curvature} along {x}");
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_values() {
        let (features, labels) = correlated();
        let labels = Labels::new(&labels, CLASSES).unwrap();
        let mut objective = Whitened::new(&features, labels, 1e-3, never()).unwrap();
        let z: Vec<f64> = (0..objective.num_parameters()).map(|i| (i % 7) as f64 / 7.0 - 0.4).collect();
        let mut gradient = vec![0.0; z.len()];
        objective.evaluate(&z, &mut gradient).unwrap();
        for i in 0..z.len() {
            let mut value = |by: f64| {
                let mut z = z.clone();
                z[i] += by;
                objective.evaluate(&z, &mut vec![0.0; z.len()]).unwrap()
            };
            let difference = (value(1e-2) - value(-1e-2)) / 2e-2;
            assert!((gradient[i] - difference).abs() < 1e-4, "{i}: {} against {difference}", gradient[i]);
        }
    }

    #[test]
    fn wide_features_stay_as_they_are() {
        let labels = Labels::new(&[0, 1], 2).unwrap();
        let objective = Whitened::new(&[1.0, -1.0, 2.0, -1.0, 1.0, -2.0], labels, 0.0, never()).unwrap();
        let z: Vec<f64> = (0..objective.num_parameters()).map(|i| i as f64).collect();
        assert_eq!(objective.parameters(&z), z);
    }
}
