//! The hyperbolic tangent of every value.

use std::array;
use std::mem::take;

use amdim_kernels::{Real, Stored, vectorized};
use amdim_network::Network;

use super::{InputGradients, Maps, Pass, Weights, Write};
use crate::CpuError;
use crate::groups::MAX_GROUPS;

/// `y = tanh(x)`.
#[derive(Debug)]
pub(crate) struct Tanh;

impl Tanh {
    pub(crate) fn new(network: &Network, index: usize) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        if node.shape == network.input_shape(index) {
            Ok(Self)
        } else {
            let problem = "an activation keeps the shape of its input";
            Err(CpuError::Network { layer: node.name.clone(), problem })
        }
    }

    /// `y` of a few pictures, on the calling thread.
    #[expect(clippy::unused_self, reason = "layers have one form")]
    pub(crate) fn forward_pictures<S: Stored>(&self, weights: Weights<S>, x: &[S], y: &mut [S]) {
        vectorized!(weights.instructions, {
            for (y, x) in y.iter_mut().zip(x) {
                *y = S::from_real(x.to_real().tanh());
            }
        });
    }

    pub(crate) fn forward<S: Stored>(&self, pass: Pass<S>, x: &[S], y: &mut [S]) {
        pass.for_each_group(x, y, |x, y, _| self.forward_pictures(pass.weights, x, y));
    }

    /// `dx = dy (1 - y^2)`.
    #[expect(clippy::unused_self, reason = "layers have one form")]
    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        maps: Maps<S>,
        y_gradients: &[S],
        x_gradients: Option<InputGradients<S>>,
    ) {
        let Some(InputGradients { values, write }) = x_gradients else { return };
        let groups = pass.groups;
        let per_picture = maps.y.len() / groups.batch();
        let (ys, gs) = (groups.split(maps.y, per_picture), groups.split(y_gradients, per_picture));
        let mut x_parts = groups.split_mut(values, per_picture);
        let mut tasks: [_; MAX_GROUPS] =
            array::from_fn(|group| (ys[group], gs[group], take(&mut x_parts[group])));
        pass.workers.for_each(&mut tasks[..groups.count()], |_, (ys, gradients, x_gradients), _| {
            let one = S::Real::from_f64(1.0);
            vectorized!(pass.weights.instructions, {
                for ((y, gradient), to) in ys.iter().zip(*gradients).zip(x_gradients.iter_mut()) {
                    let y = y.to_real();
                    let gradient = gradient.to_real() * (one - y * y);
                    *to = match write {
                        Write::Replace => S::from_real(gradient),
                        Write::Add => S::from_real(to.to_real() + gradient),
                    };
                }
            });
        });
    }
}
