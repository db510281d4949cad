//! Functions of single numbers, and of rows, that stay finite for any finite input.

use candle_core::{D, Tensor};

use crate::Result;

/// `log(1 + exp(x))`, element by element.
///
/// The larger of x and 0 is taken out first, as a constant of the tape, so that the gradient is the sigmoid everywhere.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    let larger = x.detach().relu()?;
    Ok((((x - &larger)?.exp()? + larger.neg()?.exp()?)?.log()? + larger)?)
}

/// `1 / (1 + exp(-x))`, element by element.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((((x / 2.0)?.tanh()? + 1.0)? / 2.0)?)
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

    #[test]
    fn a_log_softmax_is_normalised() {
        let x = Tensor::new(&[[1000.0f64, 1000.0, -1000.0], [0.0, 1.0, 2.0]], &Device::Cpu).unwrap();
        let rows = log_softmax(&x).unwrap();
        let sums = rows.exp().unwrap().sum(1).unwrap().to_vec1::<f64>().unwrap();
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-12));
        assert!((rows.to_vec2::<f64>().unwrap()[0][0] + 2f64.ln()).abs() < 1e-12);
    }
}
