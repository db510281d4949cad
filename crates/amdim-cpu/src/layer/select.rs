//! Some of the values of a map as a map of their own.

use amdim_kernels::{Stored, vectorized};
use amdim_network::{MapShape, Network, Parity};

use super::{InputGradients, Pass, Weights, Write};
use crate::CpuError;

/// `y[i] = x[step * i + first]`, over the values of a picture as they lie.
#[derive(Debug)]
pub(crate) struct Select {
    first: usize,
    step: usize,
}

impl Select {
    /// All values as one vector.
    pub(crate) fn all(network: &Network, index: usize) -> Result<Self, CpuError> {
        let shape = network.nodes[index].shape;
        let expected = MapShape { channels: network.input_shape(index).len(), height: 1, width: 1 };
        let problem = "it gives one location with all values of its input";
        expect(network, index, shape == expected, problem)?;
        Ok(Self { first: 0, step: 1 })
    }

    /// Every other channel.
    pub(crate) fn alternate(network: &Network, index: usize, parity: Parity) -> Result<Self, CpuError> {
        let (from, shape) = (network.input_shape(index), network.nodes[index].shape);
        let problem = "it gives half of the channels of its input, which has an even number";
        expect(network, index, from == MapShape { channels: 2 * shape.channels, ..shape }, problem)?;
        Ok(Self { first: parity.first(), step: 2 })
    }

    /// `y` of a few pictures, on the calling thread.
    pub(crate) fn forward_pictures<S: Stored>(&self, weights: Weights<S>, x: &[S], y: &mut [S]) {
        vectorized!(weights.instructions, {
            for (y, x) in y.iter_mut().zip(x.chunks_exact(self.step)) {
                *y = x[self.first];
            }
        });
    }

    pub(crate) fn forward<S: Stored>(&self, pass: Pass<S>, x: &[S], y: &mut [S]) {
        pass.for_each_group(x, y, |x, y, _| self.forward_pictures(pass.weights, x, y));
    }

    /// What was not selected has no gradient from here.
    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        y_gradients: &[S],
        x_gradients: Option<InputGradients<S>>,
    ) {
        let Some(InputGradients { values, write }) = x_gradients else { return };
        pass.for_each_group(y_gradients, values, |gradients, x_gradients, _| {
            vectorized!(pass.weights.instructions, {
                for (to, &gradient) in x_gradients.chunks_exact_mut(self.step).zip(gradients) {
                    match write {
                        Write::Replace => {
                            to.fill(S::from_real(S::Real::default()));
                            to[self.first] = gradient;
                        }
                        Write::Add => {
                            let sum = to[self.first].to_real() + gradient.to_real();
                            to[self.first] = S::from_real(sum);
                        }
                    }
                }
            });
        });
    }
}

fn expect(network: &Network, index: usize, fits: bool, problem: &'static str) -> Result<(), CpuError> {
    let layer = || network.nodes[index].name.clone();
    if fits { Ok(()) } else { Err(CpuError::Network { layer: layer(), problem }) }
}
