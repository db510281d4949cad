//! Adam over one flat parameter vector.

use std::slice;

use amdim_cpu::adam::{AdamStep, adam_update_chunk, sum_of_squares};
use amdim_kernels::Kernel;
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::executor::{Element, with_slice, with_slice_mut};
use crate::parameters::Used;
use crate::{Error, Result, tensors};

/// Values that a thread updates at a time.
const CHUNK: usize = 1 << 14;

/// Settings of [`Adam`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdamConfig {
    /// Learning rate before the schedule; 2e-4 in the reference.
    pub learning_rate: f64,
    /// Decay of the mean gradient, `0..1`; 0.8 in the reference.
    pub beta1: f64,
    /// Decay of the mean squared gradient, `0..1`; 0.999.
    pub beta2: f64,
    /// Added to the root of the mean squared gradient; 1e-8.
    pub epsilon: f64,
    /// L2 weight decay, added to the gradient (not decoupled); 1e-5.
    pub weight_decay: f64,
    /// Largest norm of the encoder's gradient; a longer one is scaled down. None: no limit.
    pub gradient_clip: Option<f64>,
}

impl AdamConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], for NaN too.
    pub fn validate(&self) -> Result<()> {
        let positive = |name: &str, value: f64| {
            if value.is_finite() && value > 0.0 {
                Ok(())
            } else {
                Err(Error::argument(name, "a positive number", value))
            }
        };
        positive("optimizer.learningRate", self.learning_rate)?;
        positive("optimizer.epsilon", self.epsilon)?;
        if let Some(limit) = self.gradient_clip {
            positive("optimizer.gradientClip", limit)?;
        }
        for (name, beta) in [("optimizer.beta1", self.beta1), ("optimizer.beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::argument(name, "a number in 0..1 (1 excluded)", beta));
            }
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return Err(Error::argument(
                "optimizer.weightDecay",
                "0 or a positive number",
                self.weight_decay,
            ));
        }
        Ok(())
    }

    /// Update `step` (from 1) at the scheduled learning rate `rate`, as `amdim-cpu` takes it.
    pub(crate) fn step(&self, rate: f64, gradient_factor: f64, step: u64) -> AdamStep {
        let Self { beta1, beta2, epsilon, weight_decay, .. } = *self;
        AdamStep { rate, beta1, beta2, epsilon, weight_decay, gradient_factor, step }
    }
}

/// State of Adam for one flat vector (Kingma, Ba 2015, arXiv 1412.6980, algorithm 1; weight decay as in
/// `torch.optim.Adam`: added to the gradient).
#[derive(Debug, Clone)]
pub struct Adam {
    /// Mean gradient, `[len]`.
    pub mean: Tensor,
    /// Mean squared gradient, `[len]`.
    pub square: Tensor,
    /// Updates so far.
    pub steps: u64,
}

impl Adam {
    /// The state before the first update of a vector like `values`.
    pub fn new(values: &Tensor) -> Result<Self> {
        Ok(Self { mean: values.zeros_like()?, square: values.zeros_like()?, steps: 0 })
    }

    /// One update of `values`.
    ///
    /// ```text
    /// g = (gradient + weightDecay * values) * mask
    /// mean = beta1 * mean + (1 - beta1) * g;  square = beta2 * square + (1 - beta2) * g^2
    /// values -= rate / (1 - beta1^t) * mean / ( sqrt(square) / sqrt(1 - beta2^t) + epsilon )
    /// ```
    ///
    /// The mask is 0 for what is not in `used`, and 1 everywhere without it. `rate` is the scheduled learning rate.
    ///
    /// On processors it happens in the memory of `values` and of the moments, so clones of them move along; who wants
    /// them as they are takes a [`Tensor::copy`]. The gradient must have memory of its own.
    pub fn update(
        &mut self,
        values: &mut Tensor,
        gradient: &Tensor,
        used: Option<&Used>,
        rate: f64,
        config: &AdamConfig,
    ) -> Result<()> {
        tensors::expect_shape("gradient", gradient, values.dims())?;
        self.steps += 1;
        let step = config.step(rate, 1.0, self.steps);
        match (values.device(), values.dtype()) {
            (Device::Cpu, DType::F32) => self.update_slices::<f32>(values, gradient, used, &step),
            (Device::Cpu, DType::F64) => self.update_slices::<f64>(values, gradient, used, &step),
            _ => self.update_tensors(values, gradient, used, &step),
        }
    }

    /// On any device.
    fn update_tensors(
        &mut self,
        values: &mut Tensor,
        gradient: &Tensor,
        used: Option<&Used>,
        step: &AdamStep,
    ) -> Result<()> {
        let mut g = (gradient + (&*values * step.weight_decay)?)?;
        if let Some(used) = used {
            g = (g * &used.mask)?;
        }
        self.mean = ((&self.mean * step.beta1)? + (&g * (1.0 - step.beta1))?)?;
        self.square = ((&self.square * step.beta2)? + (g.sqr()? * (1.0 - step.beta2))?)?;
        let t = step.step as f64;
        let (correction1, correction2) = (1.0 - step.beta1.powf(t), 1.0 - step.beta2.powf(t));
        let deviation = ((self.square.sqrt()? / correction2.sqrt())? + step.epsilon)?;
        let moves = ((&self.mean / deviation)? * (step.rate / correction1))?;
        *values = (&*values - moves)?;
        Ok(())
    }

    /// On processors in one pass over memory, where tensors take a dozen; on the threads of the rayon pool that it is
    /// called in.
    fn update_slices<T: Element>(
        &mut self,
        values: &Tensor,
        gradient: &Tensor,
        used: Option<&Used>,
        step: &AdamStep,
    ) -> Result<()> {
        let all = 0..values.elem_count();
        let ranges = used.map_or(slice::from_ref(&all), |used| &used.ranges);
        let kernel = Kernel::selected()?;
        let update = |[values, mean, square]: [&mut [T]; 3], gradient: &[T]| {
            for used in ranges {
                let [values, mean, square] =
                    [&mut values[used.clone()], &mut mean[used.clone()], &mut square[used.clone()]];
                let state = mean.par_chunks_mut(CHUNK).zip(square.par_chunks_mut(CHUNK));
                let chunks = values.par_chunks_mut(CHUNK).zip(state);
                chunks.zip(gradient[used.clone()].par_chunks(CHUNK)).for_each(
                    |((values, (mean, square)), gradient)| {
                        adam_update_chunk(kernel, step, [values, mean, square], gradient);
                    },
                );
            }
        };
        with_slice(gradient, |gradient| {
            with_slice_mut(values, |values| {
                with_slice_mut(&self.mean, |mean| {
                    with_slice_mut(&self.square, |square| {
                        update([values, mean, square], gradient);
                        Ok(())
                    })
                })
            })
        })
    }
}

/// Euclidean norm of a flat gradient.
pub fn norm(gradient: &Tensor) -> Result<f64> {
    match (gradient.device(), gradient.dtype()) {
        (Device::Cpu, DType::F32) => norm_of_slice::<f32>(gradient),
        (Device::Cpu, DType::F64) => norm_of_slice::<f64>(gradient),
        _ => Ok(tensors::to_scalar(&gradient.sqr()?.sum_all()?)?.sqrt()),
    }
}

/// On processors, without a second tensor; the order of the sum does not depend on the number of threads.
fn norm_of_slice<T: Element>(gradient: &Tensor) -> Result<f64> {
    let kernel = Kernel::selected()?;
    with_slice(gradient, |gradient: &[T]| {
        let partials = gradient.par_chunks(CHUNK).map(|chunk| sum_of_squares(kernel, chunk));
        Ok(partials.collect::<Vec<f64>>().iter().sum::<f64>().sqrt())
    })
}

/// What a gradient of this norm is multiplied by, so that it is no longer than `limit`.
pub fn clip_factor(norm: f64, limit: Option<f64>) -> f64 {
    limit.map_or(1.0, |limit| if norm > limit { limit / norm } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AdamConfig {
        AdamConfig {
            learning_rate: 0.1,
            beta1: 0.8,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            gradient_clip: None,
        }
    }

    #[test]
    fn equals_the_equations_one_number_at_a_time() {
        let (mut x, mut mean, mut square) = ([1.0f64, -2.0], [0.0; 2], [0.0; 2]);
        let mut values = Tensor::new(&x, &Device::Cpu).unwrap();
        let mut adam = Adam::new(&values).unwrap();
        for t in 1..=5 {
            let gradient = [x[0].sin() + f64::from(t), x[1] * 3.0];
            let tensor = Tensor::new(&gradient, &Device::Cpu).unwrap();
            adam.update(&mut values, &tensor, None, 0.1, &config()).unwrap();
            for i in 0..2 {
                let g = gradient[i] + 0.01 * x[i];
                mean[i] = 0.8 * mean[i] + 0.2 * g;
                square[i] = 0.999 * square[i] + 0.001 * g * g;
                let corrected = mean[i] / (1.0 - 0.8f64.powi(t));
                x[i] -= 0.1 * corrected / ((square[i] / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
            }
            for (ours, theirs) in values.to_vec1::<f64>().unwrap().iter().zip(&x) {
                assert!((ours - theirs).abs() < 1e-12);
            }
        }
    }

    fn used<const N: usize>(marks: [bool; N], dtype: DType) -> Used {
        let ranges = (0..N).filter(|&at| marks[at]).map(|at| at..at + 1).collect();
        Used::new(ranges, N, dtype, &Device::Cpu).unwrap()
    }

    /// What devices compute, and what processors do in one pass.
    #[test]
    fn tensors_and_slices_move_alike() {
        let tensor = |values: [f64; 3]| Tensor::new(&values, &Device::Cpu).unwrap();
        let mut values = [tensor([1.0, -2.0, 0.5]), tensor([1.0, -2.0, 0.5])];
        let used = used([true, false, true], DType::F64);
        let mut adams = [Adam::new(&values[0]).unwrap(), Adam::new(&values[0]).unwrap()];
        for t in 1..=4 {
            let gradient = tensor([t as f64, 3.0, -0.1 * t as f64]);
            let step = config().step(0.1, 1.0, t);
            adams[0].update_slices::<f64>(&values[0], &gradient, Some(&used), &step).unwrap();
            adams[1].update_tensors(&mut values[1], &gradient, Some(&used), &step).unwrap();
            let [a, b] = [&values[0], &values[1]].map(|values| values.to_vec1::<f64>().unwrap());
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
            assert_eq!((a[1], b[1]), (-2.0, -2.0));
        }
    }

    #[test]
    fn on_processors_clones_move_along_and_copies_stay() {
        let mut values = Tensor::new(&[1.0f32, -2.0], &Device::Cpu).unwrap();
        let (clone, copy) = (values.clone(), values.copy().unwrap());
        let mut adam = Adam::new(&values).unwrap();
        adam.update(&mut values, &clone.ones_like().unwrap(), None, 0.1, &config()).unwrap();
        let [values, clone, copy] = [values, clone, copy].map(|tensor| tensor.to_vec1::<f32>().unwrap());
        assert_eq!(clone, values);
        assert_eq!(copy, [1.0, -2.0]);
        // A transposed matrix is not dense.
        let mut columns = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap().t().unwrap();
        let gradient = columns.ones_like().unwrap();
        let refused = Adam::new(&columns).unwrap().update(&mut columns, &gradient, None, 0.1, &config());
        assert_eq!(refused.unwrap_err().code(), "AMDIM_INTERNAL");
    }

    #[test]
    fn masked_parameters_stay() {
        let mut values = Tensor::new(&[1.0f32, 1.0], &Device::Cpu).unwrap();
        let gradient = Tensor::new(&[0.5f32, 0.5], &Device::Cpu).unwrap();
        let used = used([false, true], DType::F32);
        let mut adam = Adam::new(&values).unwrap();
        adam.update(&mut values, &gradient, Some(&used), 0.1, &config()).unwrap();
        let moved = values.to_vec1::<f32>().unwrap();
        assert_eq!(moved[0], 1.0);
        assert!(moved[1] < 1.0);
    }

    #[test]
    fn nan_and_other_bad_settings_are_refused() {
        for bad in [
            AdamConfig { learning_rate: f64::NAN, ..config() },
            AdamConfig { learning_rate: 0.0, ..config() },
            AdamConfig { beta1: 1.0, ..config() },
            AdamConfig { weight_decay: -1.0, ..config() },
            AdamConfig { gradient_clip: Some(0.0), ..config() },
        ] {
            assert_eq!(bad.validate().unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
        config().validate().unwrap();
    }

    #[test]
    fn a_long_gradient_is_scaled_to_the_limit() {
        assert_eq!(clip_factor(4.0, Some(2.0)), 0.5);
        assert_eq!(clip_factor(1.0, Some(2.0)), 1.0);
        assert_eq!(clip_factor(4.0, None), 1.0);
        assert_eq!(norm(&Tensor::new(&[3.0f32, 4.0], &Device::Cpu).unwrap()).unwrap(), 5.0);
    }
}
