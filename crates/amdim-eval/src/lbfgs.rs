//! Minimisation by a limited-memory quasi-Newton method.

use std::collections::VecDeque;

use crate::error::Result;
use crate::line_search::{self, Point};

/// Pairs of steps and gradient differences that are remembered.
const HISTORY: usize = 10;

/// A function with a gradient.
pub(crate) trait Objective {
    /// The value at `x`; writes the gradient.
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64>;

    /// Relative error of values, at most.
    fn rounding(&self) -> f64;

    /// What the tolerance is compared with: the largest magnitude in the gradient that was evaluated last.
    fn gradient_max(&self, gradient: &[f64]) -> f64 {
        largest(gradient)
    }
}

/// When to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Steps, at most.
    pub(crate) max_iterations: usize,
    /// Largest magnitude in the gradient at which the minimum counts as found.
    pub(crate) tolerance: f64,
}

/// State after a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Iteration {
    pub(crate) count: usize,
    pub(crate) value: f64,
    pub(crate) gradient_max: f64,
}

/// Where the search ended.
#[derive(Debug)]
pub(crate) struct Minimum {
    pub(crate) x: Vec<f64>,
    pub(crate) value: f64,
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
}

/// L-BFGS from `x`; `on_iteration` hears of every step.
///
/// # Source
/// J. Nocedal and S. J. Wright, 2006, Numerical Optimization, algorithms 7.4 and 7.5. The first step has length
/// min(1, 1 / L1 norm of the gradient), as in `torch.optim.LBFGS`.
pub(crate) fn minimize(
    objective: &mut impl Objective,
    mut x: Vec<f64>,
    settings: Settings,
    mut on_iteration: impl FnMut(Iteration),
) -> Result<Minimum> {
    let mut gradient = vec![0.0; x.len()];
    let mut value = objective.evaluate(&x, &mut gradient)?;
    let (mut next_x, mut next_gradient) = (x.clone(), gradient.clone());
    let mut memory = Memory::default();
    let mut iterations = 0;
    let mut converged = objective.gradient_max(&gradient) <= settings.tolerance;
    while !converged && iterations < settings.max_iterations {
        let mut direction = memory.direction(&gradient);
        let mut slope = dot(&gradient, &direction);
        if slope >= 0.0 || slope.is_nan() {
            memory = Memory::default();
            direction = memory.direction(&gradient);
            slope = dot(&gradient, &direction);
        }
        let first = if memory.pairs.is_empty() {
            1.0_f64.min(1.0 / gradient.iter().map(|g| g.abs()).sum::<f64>())
        } else {
            1.0
        };
        let origin = Point { step: 0.0, value, slope };
        let slack = objective.rounding() * value.abs();
        let mut evaluated = 0.0;
        let found = line_search::search(origin, first, slack, |step| {
            move_by(&mut next_x, &x, step, &direction);
            evaluated = step;
            let value = objective.evaluate(&next_x, &mut next_gradient)?;
            Ok(Point { step, value, slope: dot(&next_gradient, &direction) })
        })?;
        let Some(found) = found else {
            // What was remembered may mislead; the gradient itself can't, and if it fails too, rounding is all
            // that is left.
            if memory.pairs.is_empty() {
                break;
            }
            memory = Memory::default();
            continue;
        };
        value = found.value;
        if found.step != evaluated {
            move_by(&mut next_x, &x, found.step, &direction);
            value = objective.evaluate(&next_x, &mut next_gradient)?;
        }
        memory.remember(&x, &next_x, &gradient, &next_gradient);
        std::mem::swap(&mut x, &mut next_x);
        std::mem::swap(&mut gradient, &mut next_gradient);
        iterations += 1;
        let gradient_max = objective.gradient_max(&gradient);
        converged = gradient_max <= settings.tolerance;
        on_iteration(Iteration { count: iterations, value, gradient_max });
    }
    Ok(Minimum { x, value, iterations, converged })
}

/// The last steps and what they did to the gradient.
#[derive(Default)]
struct Memory {
    pairs: VecDeque<Pair>,
}

struct Pair {
    /// s, the step.
    step: Vec<f64>,
    /// y, the difference of the gradients.
    change: Vec<f64>,
    /// 1 / (s . y)
    inverse_curvature: f64,
}

impl Memory {
    fn remember(&mut self, x: &[f64], next_x: &[f64], gradient: &[f64], next_gradient: &[f64]) {
        let subtract = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>();
        let (step, change) = (subtract(next_x, x), subtract(next_gradient, gradient));
        let curvature = dot(&step, &change);
        // Only a positive curvature keeps the approximate Hessian positive definite.
        if curvature > f64::EPSILON * dot(&change, &change) {
            if self.pairs.len() == HISTORY {
                self.pairs.pop_front();
            }
            self.pairs.push_back(Pair { step, change, inverse_curvature: 1.0 / curvature });
        }
    }

    /// Minus the approximate inverse Hessian times the gradient (the two-loop recursion).
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let share = pair.inverse_curvature * dot(&pair.step, &direction);
            add_scaled(&mut direction, -share, &pair.change);
            shares.push(share);
        }
        if let Some(last) = self.pairs.back() {
            let scale = 1.0 / (last.inverse_curvature * dot(&last.change, &last.change));
            for d in &mut direction {
                *d *= scale;
            }
        }
        for (pair, share) in self.pairs.iter().zip(shares.iter().rev()) {
            let correction = pair.inverse_curvature * dot(&pair.change, &direction);
            add_scaled(&mut direction, share - correction, &pair.step);
        }
        direction
    }
}

/// `a . b`, in eight running sums that a vector register holds side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (mut a, mut b) = (a.chunks_exact(8), b.chunks_exact(8));
    for (a, b) in a.by_ref().zip(b.by_ref()) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

fn add_scaled(x: &mut [f64], scale: f64, y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += scale * y);
}

fn move_by(out: &mut [f64], x: &[f64], step: f64, direction: &[f64]) {
    out.iter_mut().zip(x).zip(direction).for_each(|((out, x), d)| *out = x + step * d);
}

/// Largest magnitude.
pub(crate) fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |largest, x| x.abs().max(largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function given as a closure from a point to its value and gradient.
    struct Function<F>(F);

    impl<F: Fn(&[f64]) -> (f64, Vec<f64>)> Objective for Function<F> {
        fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
            let (value, slopes) = self.0(x);
            gradient.copy_from_slice(&slopes);
            Ok(value)
        }

        fn rounding(&self) -> f64 {
            f64::EPSILON
        }
    }

    /// `sum_i scale_i (x_i - i)^2`, with scales from 1 to 100.
    fn quadratic(x: &[f64]) -> (f64, Vec<f64>) {
        let scale = |i: usize| 10_f64.powf(2.0 * i as f64 / (x.len() - 1) as f64);
        let away = |i: usize| x[i] - i as f64;
        let value = (0..x.len()).map(|i| scale(i) * away(i).powi(2)).sum();
        (value, (0..x.len()).map(|i| 2.0 * scale(i) * away(i)).collect())
    }

    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
    }

    const EXACT: Settings = Settings { max_iterations: 500, tolerance: 1e-8 };

    #[test]
    fn finds_the_minimum_of_a_badly_scaled_quadratic() {
        let end = minimize(&mut Function(quadratic), vec![0.0; 30], EXACT, |_| ()).unwrap();
        assert!(end.converged, "{end:?}");
        for (i, x) in end.x.iter().enumerate() {
            assert!((x - i as f64).abs() < 1e-7, "{i}: {x}");
        }
    }

    #[test]
    fn finds_the_minimum_of_a_curved_valley() {
        let end = minimize(&mut Function(rosenbrock), vec![-1.2, 1.0], EXACT, |_| ()).unwrap();
        assert!(end.converged && end.iterations < 60, "{end:?}");
        assert!((end.x[0] - 1.0).abs() < 1e-7 && (end.x[1] - 1.0).abs() < 1e-7, "{end:?}");
    }

    #[test]
    fn each_step_is_told_and_lower_than_the_last() {
        let mut told = Vec::new();
        let end = minimize(&mut Function(quadratic), vec![0.0; 5], EXACT, |step| told.push(step)).unwrap();
        assert_eq!(
            told.iter().map(|step| step.count).collect::<Vec<_>>(),
            (1..=end.iterations).collect::<Vec<_>>()
        );
        assert!(told.windows(2).all(|pair| pair[1].value <= pair[0].value), "{told:?}");
        assert_eq!(told.last().unwrap().value, end.value);
    }

    #[test]
    fn ends_at_the_last_allowed_iteration() {
        let settings = Settings { max_iterations: 3, tolerance: 1e-8 };
        let end = minimize(&mut Function(rosenbrock), vec![-1.2, 1.0], settings, |_| ()).unwrap();
        assert_eq!((end.iterations, end.converged), (3, false));
    }

    #[test]
    fn a_tolerance_below_rounding_ends_too() {
        let settings = Settings { max_iterations: 10_000, tolerance: 0.0 };
        let far = |x: &[f64]| ((x[0] - 1.0 / 3.0).cosh(), vec![(x[0] - 1.0 / 3.0).sinh() + 1e-9]);
        let end = minimize(&mut Function(far), vec![2.0], settings, |_| ()).unwrap();
        assert!(!end.converged && (end.x[0] - 1.0 / 3.0).abs() < 1e-5, "{end:?}");
    }
}
