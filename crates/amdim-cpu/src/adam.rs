//! Adam on flat vectors, in place.

use std::ops::Range;

use amdim_kernels::{Kernel, Pool, Real, vectorized};

/// Values that a thread updates at a time.
const CHUNK: usize = 1 << 13;
/// Sums side by side, so that they become vector code.
const LANES: usize = 16;

/// The numbers of one update; see [`adam_update`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Scheduled learning rate.
    pub rate: f64,
    /// Decay of the mean gradient, `0..1`.
    pub beta1: f64,
    /// Decay of the mean squared gradient, `0..1`.
    pub beta2: f64,
    /// Added to the root of the mean squared gradient.
    pub epsilon: f64,
    /// L2 weight decay, added to the gradient.
    pub weight_decay: f64,
    /// What the gradient is multiplied by first; 1 unless it is clipped.
    pub gradient_factor: f64,
    /// Number of this update, from 1.
    pub step: u64,
}

/// One update of the ranges `used` of `values`; the rest stays.
///
/// ```text
/// g = gradientFactor * gradient + weightDecay * values
/// mean = beta1 * mean + (1 - beta1) * g;  square = beta2 * square + (1 - beta2) * g^2
/// values -= rate / (1 - beta1^t) * mean / ( sqrt(square) / sqrt(1 - beta2^t) + epsilon )
/// ```
///
/// # Panics
/// If the slices are not of one length, or a range lies beyond them.
///
/// # Source
/// Kingma, Ba 2015, arXiv 1412.6980, algorithm 1; weight decay as in `torch.optim.Adam`.
pub fn adam_update<R: Real>(
    pool: &Pool,
    kernel: Kernel,
    step: &AdamStep,
    [values, mean, square]: [&mut [R]; 3],
    gradient: &[R],
    used: &[Range<usize>],
) {
    let numbers = Numbers::new(step);
    for range in used {
        let parts = [&mut values[range.clone()], &mut mean[range.clone()], &mut square[range.clone()]];
        let gradient = &gradient[range.clone()];
        pool.for_each_chunks(parts, CHUNK, |index, parts, _| {
            let gradient = &gradient[index * CHUNK..][..parts[0].len()];
            update(kernel, numbers, parts, gradient);
        });
    }
}

/// [`adam_update`] of all of some values, on the calling thread.
///
/// # Panics
/// If the slices are not of one length.
pub fn adam_update_chunk<R: Real>(kernel: Kernel, step: &AdamStep, state: [&mut [R]; 3], gradient: &[R]) {
    update(kernel, Numbers::new(step), state, gradient);
}

fn update<R: Real>(
    kernel: Kernel,
    numbers: Numbers<R>,
    [values, mean, square]: [&mut [R]; 3],
    gradient: &[R],
) {
    for other in [mean.len(), square.len(), gradient.len()] {
        assert_eq!(other, values.len(), "slices of one length");
    }
    vectorized!(kernel, {
        let state = mean.iter_mut().zip(square);
        for ((value, (mean, square)), &gradient) in values.iter_mut().zip(state).zip(gradient) {
            [*value, *mean, *square] = numbers.moved([*value, *mean, *square], gradient);
        }
    });
}

/// What an update multiplies by.
#[derive(Debug, Clone, Copy)]
struct Numbers<R> {
    factor: R,
    decay: R,
    beta1: R,
    other1: R,
    beta2: R,
    other2: R,
    rate: R,
    deviation: R,
    epsilon: R,
}

impl<R: Real> Numbers<R> {
    fn new(step: &AdamStep) -> Self {
        let number = |value: f64| R::from_f64(value);
        let correction = |beta: f64| 1.0 - beta.powf(step.step as f64);
        Self {
            factor: number(step.gradient_factor),
            decay: number(step.weight_decay),
            beta1: number(step.beta1),
            other1: number(1.0 - step.beta1),
            beta2: number(step.beta2),
            other2: number(1.0 - step.beta2),
            rate: number(step.rate / correction(step.beta1)),
            deviation: number(correction(step.beta2).sqrt()),
            epsilon: number(step.epsilon),
        }
    }

    /// A value, its mean and its square after the update.
    #[inline(always)]
    fn moved(&self, [value, mean, square]: [R; 3], gradient: R) -> [R; 3] {
        let g = gradient * self.factor + value * self.decay;
        let mean = mean * self.beta1 + g * self.other1;
        let square = square * self.beta2 + g * g * self.other2;
        [value - mean / (square.sqrt() / self.deviation + self.epsilon) * self.rate, mean, square]
    }
}

/// Euclidean norm, summed in `f64` chunk by chunk in a fixed order. `partials` is room that is used again.
pub fn gradient_norm<R: Real>(pool: &Pool, kernel: Kernel, gradient: &[R], partials: &mut Vec<f64>) -> f64 {
    partials.clear();
    partials.resize(gradient.len().div_ceil(CHUNK), 0.0);
    pool.for_each_mut(partials, |index, partial, _| {
        let chunk = &gradient[index * CHUNK..gradient.len().min((index + 1) * CHUNK)];
        *partial = sum_of_squares(kernel, chunk);
    });
    partials.iter().sum::<f64>().sqrt()
}

/// Sum of the squares, in `f64` and in a fixed order, on the calling thread.
pub fn sum_of_squares<R: Real>(kernel: Kernel, values: &[R]) -> f64 {
    vectorized!(kernel, squares(values))
}

#[inline(always)]
fn squares<R: Real>(values: &[R]) -> f64 {
    let mut sums = [0.0; LANES];
    let mut rows = values.chunks_exact(LANES);
    for row in &mut rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value.to_f64() * value.to_f64();
        }
    }
    let rest: f64 = rows.remainder().iter().map(|value| value.to_f64() * value.to_f64()).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f64> {
        (0..count).map(|i| (((i * 37 + seed * 101) % 211) as f64 - 105.0) / 50.0).collect()
    }

    const STEP: AdamStep = AdamStep {
        rate: 0.1,
        beta1: 0.8,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
        gradient_factor: 0.5,
        step: 1,
    };

    #[test]
    fn equals_the_equations_one_number_at_a_time() {
        let count = 2 * CHUNK + 77;
        let used = [0..5, 9..CHUNK + 1, CHUNK + 4..count];
        let pool = Pool::new(2).unwrap();
        let (mut values, mut mean, mut square) = (numbers(count, 1), vec![0.0; count], vec![0.0; count]);
        let before = values.clone();
        let (mut x, mut m, mut v) = (values.clone(), mean.clone(), square.clone());
        for t in 1..=4u64 {
            let gradient = numbers(count, t as usize + 1);
            let state = [&mut values[..], &mut mean[..], &mut square[..]];
            adam_update(&pool, Kernel::best(), &AdamStep { step: t, ..STEP }, state, &gradient, &used);
            for i in used.iter().cloned().flatten() {
                let g = 0.5 * gradient[i] + 0.01 * x[i];
                m[i] = 0.8 * m[i] + 0.2 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let corrected = m[i] / (1.0 - 0.8f64.powf(t as f64));
                x[i] -= 0.1 * corrected / ((v[i] / (1.0 - 0.999f64.powf(t as f64))).sqrt() + 1e-8);
            }
        }
        for (i, (&value, &expected)) in values.iter().zip(&x).enumerate() {
            assert!((value - expected).abs() < 1e-12, "{i}: {value} instead of {expected}");
        }
        assert_eq!([values[6], values[CHUNK + 2]], [before[6], before[CHUNK + 2]]);
    }

    #[test]
    fn the_norm_is_that_of_a_plain_loop_for_any_number_of_threads() {
        let gradient = numbers(3 * CHUNK + 5, 3);
        let expected = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let norms = [1, 2, 3].map(|threads| {
            gradient_norm(&Pool::new(threads).unwrap(), Kernel::best(), &gradient, &mut vec![])
        });
        assert!((norms[0] - expected).abs() < 1e-9 * expected);
        assert!(norms[0] == norms[1] && norms[0] == norms[2]);
        let pool = Pool::new(2).unwrap();
        assert!(gradient_norm(&pool, Kernel::best(), &[1.0f32, f32::NAN], &mut vec![]).is_nan());
    }
}
