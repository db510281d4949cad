//! Critics: what scores pairs of vectors, for any of the [bounds](crate::estimator). One file each; `critics!` below lists
//! them.

mod bilinear;
mod concatenated;
mod dot;
mod separable;

use std::fmt;

use amdim_network::Parameter;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::estimator::Scores;
use crate::{Error, Result};

pub use bilinear::Bilinear;
pub use concatenated::Concatenated;
pub use dot::Dot;
pub(crate) use dot::DotsOfLeaves;
pub use separable::Separable;

/// Makes [`CriticKind`] of lines `Variant = "name"`, the variant being the critic's type.
macro_rules! critics {
    ($($critic:ident = $name:literal,)*) => {
        /// A critic by its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum CriticKind {
            $(
                #[doc = concat!("[`", stringify!($critic), "`].")]
                #[serde(rename = $name)]
                $critic,
            )*
        }

        impl CriticKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$critic),*];

            /// A critic of vectors with `x` and `y` dimensions, with `units` units where it has hidden layers.
            ///
            /// # Errors
            /// [`Error::InvalidArgument`] for a dot product of vectors with different dimensions.
            pub fn build(self, x: usize, y: usize, units: usize) -> Result<Box<dyn Critic>> {
                Ok(match self {
                    $(Self::$critic => Box::new($critic::new(x, y, units)?),)*
                })
            }
        }

        impl fmt::Display for CriticKind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$critic => $name,)*
                })
            }
        }
    };
}

critics! {
    Dot = "dot",
    Bilinear = "bilinear",
    Separable = "separable",
    Concatenated = "concatenated",
}

/// Scores pairs of vectors.
pub trait Critic: Send {
    /// Description of its parameters; none of a dot product.
    fn parameters(&self) -> &[Parameter];

    /// Scores of every x against the y of its own sample and of the `others` samples that follow it, round the end.
    ///
    /// # Shapes
    /// - values: the parameters, each in its shape
    /// - x: `[n, x]`, y: `[n, locations, y]`
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for fewer than two samples or a number of others out of `1..n`.
    fn scores(&self, values: &[Tensor], x: &Tensor, y: &Tensor, others: usize) -> Result<Scores>;
}

/// Checks an option for how many of the other pictures of a batch are a picture's negatives.
pub(crate) fn check_negatives(option: &str, negatives: Option<usize>, batch: usize) -> Result<()> {
    match negatives {
        Some(negatives) if !(1..batch).contains(&negatives) => {
            let expected = format!("1 to {} (the other pictures of a batch), or null", batch - 1);
            Err(Error::argument(option, expected, negatives))
        }
        _ => Ok(()),
    }
}

/// Scores of every row of `x` against every location of `y` by their product: `[n, d] x [n, l, d] -> [n, n, l]`.
fn products(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let (n, locations, dimensions) = y.dims3()?;
    let targets = y.reshape((n * locations, dimensions))?;
    Ok(x.matmul(&targets.t()?)?.reshape((x.dim(0)?, n, locations))?)
}

#[cfg(test)]
mod tests {
    use amdim_random::{Purpose, Stream};
    use candle_core::{Device, Var};

    use super::*;
    use crate::estimator::{Bound, Compat};
    use crate::parameters;

    const N: usize = 4;
    const LOCATIONS: usize = 2;
    const X: usize = 3;
    const UNITS: usize = 5;

    fn drawn(dims: &[usize], seed: u64) -> Tensor {
        let mut stream = Stream::new(seed, Purpose::HeadOrder, 2);
        let values: Vec<f64> = (0..dims.iter().product::<usize>()).map(|_| stream.normal()).collect();
        Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
    }

    fn inputs(kind: CriticKind) -> (Box<dyn Critic>, Tensor, Tensor, Tensor) {
        let y = if kind == CriticKind::Dot { X } else { 2 };
        let critic = kind.build(X, y, UNITS).unwrap();
        let flat = critic.parameters().iter().map(Parameter::len).sum();
        (critic, drawn(&[flat], 1), drawn(&[N, X], 2), drawn(&[N, LOCATIONS, y], 3))
    }

    fn scores(critic: &dyn Critic, flat: &Tensor, x: &Tensor, y: &Tensor, others: usize) -> Scores {
        let values = parameters_of(critic, flat);
        critic.scores(&values, x, y, others).unwrap()
    }

    fn parameters_of(critic: &dyn Critic, flat: &Tensor) -> Vec<Tensor> {
        if critic.parameters().is_empty() {
            vec![]
        } else {
            parameters::views(flat, critic.parameters()).unwrap()
        }
    }

    /// The function of one pair, number by number.
    fn slow(kind: CriticKind, values: &[Tensor], x: &[f64], y: &[f64]) -> f64 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let network = |values: &[Tensor], input: &[f64]| {
            let mut h = input.to_vec();
            for (layer, pair) in values.chunks(2).enumerate() {
                if layer > 0 {
                    h = h.iter().map(|value| value.max(0.0)).collect();
                }
                let (weight, bias) = (pair[0].to_vec2::<f64>().unwrap(), pair[1].to_vec1::<f64>().unwrap());
                h = weight.iter().zip(bias).map(|(row, bias)| dot(row, &h) + bias).collect();
            }
            h
        };
        match kind {
            CriticKind::Dot => dot(x, y),
            CriticKind::Bilinear => {
                let weight = values[0].to_vec2::<f64>().unwrap();
                x.iter().zip(&weight).map(|(x, row)| x * dot(row, y)).sum()
            }
            CriticKind::Separable => dot(&network(&values[..6], x), &network(&values[6..], y)),
            CriticKind::Concatenated => network(values, &[x, y].concat())[0],
        }
    }

    #[test]
    fn scores_are_those_of_the_functions() {
        for &kind in CriticKind::ALL {
            let (critic, flat, x, y) = inputs(kind);
            let (rows, maps) = (x.to_vec2::<f64>().unwrap(), y.to_vec3::<f64>().unwrap());
            let values = parameters_of(critic.as_ref(), &flat);
            for others in 1..N {
                let found = scores(critic.as_ref(), &flat, &x, &y, others);
                let (positives, negatives) =
                    (found.positives.to_vec2::<f64>().unwrap(), found.negatives.to_vec3::<f64>().unwrap());
                assert_eq!(found.negatives.dims(), [N, others, LOCATIONS]);
                for i in 0..N {
                    for l in 0..LOCATIONS {
                        let expected = slow(kind, &values, &rows[i], &maps[i][l]);
                        assert!((positives[i][l] - expected).abs() < 1e-12, "{kind}");
                        for k in 0..others {
                            let expected = slow(kind, &values, &rows[i], &maps[(i + k + 1) % N][l]);
                            assert!((negatives[i][k][l] - expected).abs() < 1e-12, "{kind}");
                        }
                    }
                }
            }
        }
    }

    /// Every critic with every bound: gradients by parameters, x and y.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        for &kind in CriticKind::ALL {
            let (critic, flat, x, y) = inputs(kind);
            for &bound in Bound::ALL {
                let loss = |leaves: &[Tensor]| {
                    let scores = scores(critic.as_ref(), &leaves[0], &leaves[1], &leaves[2], N - 1);
                    bound.value(&scores, Compat::None).unwrap()
                };
                let leaves = [&flat, &x, &y].map(|tensor| Var::from_tensor(tensor).unwrap());
                let taped: Vec<Tensor> = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
                let gradients = loss(&taped).backward().unwrap();
                for (place, leaf) in leaves.iter().enumerate().filter(|(_, leaf)| leaf.elem_count() > 0) {
                    let own: Vec<f64> =
                        gradients.get(leaf).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                    let values: Vec<f64> = leaf.flatten_all().unwrap().to_vec1().unwrap();
                    for at in (0..values.len()).step_by(3) {
                        let moved = |by: f64| {
                            let mut values = values.clone();
                            values[at] += by;
                            let mut all = taped.clone();
                            all[place] = Tensor::from_vec(values, leaf.dims(), &Device::Cpu).unwrap();
                            loss(&all).to_scalar::<f64>().unwrap()
                        };
                        let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                        let near = (slope - own[at]).abs() < 1e-5 * (1.0 + own[at].abs());
                        assert!(near, "{kind} {bound} {place} {at}: {} instead of {slope}", own[at]);
                    }
                }
            }
        }
    }

    #[test]
    fn vectors_that_do_not_fit_are_refused() {
        let code = |kind: CriticKind| kind.build(2, 3, 4).err().map(|error| error.code());
        assert_eq!(code(CriticKind::Dot), Some("AMDIM_INVALID_ARGUMENT"));
        assert_eq!(code(CriticKind::Bilinear), None);
        let (critic, flat, x, y) = inputs(CriticKind::Concatenated);
        let values = parameters_of(critic.as_ref(), &flat);
        for others in [0, N] {
            assert_eq!(critic.scores(&values, &x, &y, others).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
        }
    }
}
