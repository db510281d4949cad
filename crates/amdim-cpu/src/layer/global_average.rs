//! The average of a map, a channel.

use amdim_kernels::{Real, Stored, vectorized};
use amdim_network::{MapShape, Network};

use super::{InputGradients, Pass, Weights, Write};
use crate::CpuError;
use crate::elementwise::{add_converted, add_rows, convert, scale, scaled};
use crate::workers::{Scratch, ScratchSize};

/// `y = mean over all locations of x`.
#[derive(Debug)]
pub(crate) struct GlobalAverage {
    channels: usize,
    /// Locations of `x`.
    locations: usize,
}

impl GlobalAverage {
    pub(crate) fn new(network: &Network, index: usize) -> Result<Self, CpuError> {
        let (from, node) = (network.input_shape(index), &network.nodes[index]);
        if node.shape == (MapShape { channels: from.channels, height: 1, width: 1 }) {
            Ok(Self { channels: from.channels, locations: from.locations() })
        } else {
            let problem = "a global average gives one location of as many channels as its input";
            Err(CpuError::Network { layer: node.name.clone(), problem })
        }
    }

    /// The sum of one picture.
    pub(crate) fn scratch_size(&self) -> ScratchSize {
        ScratchSize { channels: self.channels, ..ScratchSize::default() }
    }

    fn share<R: Real>(&self) -> R {
        R::from_f64(1.0 / self.locations as f64)
    }

    /// `y` of a few pictures, on the calling thread.
    pub(crate) fn forward_pictures<S: Stored>(
        &self,
        weights: Weights<S>,
        x: &[S],
        y: &mut [S],
        scratch: &mut Scratch<S>,
    ) {
        let sum = &mut scratch.centre[..self.channels];
        vectorized!(weights.instructions, {
            for (x, y) in
                x.chunks_exact(self.locations * self.channels).zip(y.chunks_exact_mut(self.channels))
            {
                sum.fill(S::Real::default());
                add_rows(x, sum);
                scale(sum, self.share());
                convert(sum, y);
            }
        });
    }

    pub(crate) fn forward<S: Stored>(&self, pass: Pass<S>, x: &[S], y: &mut [S]) {
        pass.for_each_group(x, y, |x, y, scratch| self.forward_pictures(pass.weights, x, y, scratch));
    }

    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        y_gradients: &[S],
        x_gradients: Option<InputGradients<S>>,
    ) {
        let Some(InputGradients { values, write }) = x_gradients else { return };
        pass.for_each_group(y_gradients, values, |gradients, x_gradients, scratch| {
            let share = &mut scratch.centre[..self.channels];
            let pictures = x_gradients.chunks_exact_mut(self.locations * self.channels);
            vectorized!(pass.weights.instructions, {
                for (gradients, picture) in gradients.chunks_exact(self.channels).zip(pictures) {
                    scaled(gradients, self.share(), share);
                    for pixel in picture.chunks_exact_mut(self.channels) {
                        match write {
                            Write::Replace => convert(share, pixel),
                            Write::Add => add_converted(share, pixel),
                        }
                    }
                }
            });
        });
    }
}
