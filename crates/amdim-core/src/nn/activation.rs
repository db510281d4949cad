//! Functions of single numbers, and of rows, that stay finite for any finite input.

use amdim_kernels::{Kernel, Real, vectorized};
use candle_core::{CpuStorage, CustomOp1, D, DType, Device, Layout, Shape, Tensor};
use rayon::prelude::*;

use crate::Result;
use crate::executor::Element;

/// `log(1 + exp(x))`, element by element; its gradient is the [`sigmoid`] everywhere.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    if is_on_processor(x) {
        return Ok(x.contiguous()?.apply_op1(Softplus)?);
    }
    // The larger of x and 0 is a constant of the tape.
    let larger = x.detach().relu()?;
    Ok((((x - &larger)?.exp()? + larger.neg()?.exp()?)?.log()? + larger)?)
}

/// `1 / (1 + exp(-x))`, element by element.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((((x / 2.0)?.tanh()? + 1.0)? / 2.0)?)
}

/// Whether [`OnProcessor`] has it.
fn is_on_processor(x: &Tensor) -> bool {
    matches!(x.device(), Device::Cpu) && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// Values that a thread takes at a time.
const CHUNK: usize = 1 << 13;

/// A function of single numbers in one pass over dense memory, where a tape of tensors takes one for each operation.
trait OnProcessor: CustomOp1 {
    fn at<R: Real>(x: R) -> R;

    fn map(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let storage = match storage {
            CpuStorage::F32(values) => CpuStorage::F32(Self::each(values, layout)?),
            CpuStorage::F64(values) => CpuStorage::F64(Self::each(values, layout)?),
            _ => candle_core::bail!("{} of f32 or f64", self.name()),
        };
        Ok((storage, layout.shape().clone()))
    }

    fn each<R: Element>(values: &[R], layout: &Layout) -> candle_core::Result<Vec<R>> {
        let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("dense values") };
        let kernel = Kernel::selected().map_err(candle_core::Error::wrap)?;
        let mut results = values[start..end].to_vec();
        results.par_chunks_mut(CHUNK).for_each(|chunk| {
            vectorized!(kernel, chunk.iter_mut().for_each(|value| *value = Self::at(*value)));
        });
        Ok(results)
    }
}

struct Softplus;

impl OnProcessor for Softplus {
    #[allow(clippy::inline_always, reason = "part of a vectorised loop")]
    #[inline(always)]
    fn at<R: Real>(x: R) -> R {
        let zero = R::default();
        let larger = if x > zero { x } else { zero };
        larger + (-x.abs()).exp().ln_1p()
    }
}

impl CustomOp1 for Softplus {
    fn name(&self) -> &'static str {
        "softplus"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.map(storage, layout)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some((x.apply_op1_no_bwd(&Sigmoid)? * gradient)?))
    }
}

/// The slope of [`Softplus`].
struct Sigmoid;

impl OnProcessor for Sigmoid {
    #[allow(clippy::inline_always, reason = "part of a vectorised loop")]
    #[inline(always)]
    fn at<R: Real>(x: R) -> R {
        let one = R::from_f64(1.0);
        // The power of e does not overflow.
        let small = (-x.abs()).exp();
        let upper = if x > R::default() { one } else { small };
        upper / (one + small)
    }
}

impl CustomOp1 for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.map(storage, layout)
    }
}

/// Logarithm of the softmax over the last dimension.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
    Ok(shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_definitions() {
        let at = [-700.0f64, -3.0, -1e-3, 0.0, 0.5, 40.0, 700.0];
        let x = Var::new(&at, &Device::Cpu).unwrap();
        let values = softplus(&x).unwrap();
        let slope = values.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec1::<f64>().unwrap();
        let values = values.to_vec1::<f64>().unwrap();
        let sigmoids = sigmoid(&x).unwrap().to_vec1::<f64>().unwrap();
        for (i, &x) in at.iter().enumerate() {
            let expected = if x > 30.0 { x + (-x).exp() } else { x.exp().ln_1p() };
            assert!((values[i] - expected).abs() <= 1e-12 * (1.0 + expected), "{x}");
            let expected = 1.0 / (1.0 + (-x).exp());
            assert!((slope[i] - expected).abs() < 1e-12 && (sigmoids[i] - expected).abs() < 1e-12, "{x}");
        }
    }

    /// In f32 it is our own arithmetic; below -87 the power of e stays where it is.
    #[test]
    fn in_single_precision_softplus_and_its_slope_are_near() {
        let at: Vec<f32> = (-8700..=8700).map(|i| i as f32 / 100.0).collect();
        let x = Var::new(at.as_slice(), &Device::Cpu).unwrap();
        let values = softplus(&x).unwrap();
        let slope = values.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec1::<f32>().unwrap();
        let near = |found: f32, expected: f64| ((f64::from(found) - expected) / expected).abs() < 6e-7;
        for ((&x, value), slope) in at.iter().zip(values.to_vec1::<f32>().unwrap()).zip(slope) {
            let x = f64::from(x);
            assert!(near(value, x.max(0.0) + (-x.abs()).exp().ln_1p()), "{x}: {value}");
            assert!(near(slope, 1.0 / (1.0 + (-x).exp())), "{x}: {slope}");
        }
    }

    #[test]
    fn a_log_softmax_is_normalised() {
        let x = Tensor::new(&[[1000.0f64, 1000.0, -1000.0], [0.0, 1.0, 2.0]], &Device::Cpu).unwrap();
        let rows = log_softmax(&x).unwrap();
        let sums = rows.exp().unwrap().sum(1).unwrap().to_vec1::<f64>().unwrap();
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-12));
        assert!((rows.to_vec2::<f64>().unwrap()[0][0] + 2f64.ln()).abs() < 1e-12);
    }
}
