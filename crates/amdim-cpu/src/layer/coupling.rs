//! Affine coupling: half of the channels scaled and moved by what is made of the others.

use std::array;
use std::mem::take;

use amdim_kernels::{Real, Stored, vectorized};
use amdim_network::{Coupling as Description, Network, Parity};

use super::{InputGradients, Inputs, Maps, Pass, Weights, Write};
use crate::CpuError;
use crate::groups::MAX_GROUPS;

/// Channels of parity `kept` of the map beside stay; the k-th other one, x, becomes `x exp(tanh(a_k)) + b_k`, where a and b
/// are the halves of the input.
#[derive(Debug)]
pub(crate) struct Coupling {
    kept: Parity,
    channels: usize,
}

impl Coupling {
    pub(crate) fn new(network: &Network, index: usize, layer: &Description) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        let shape = node.shape;
        if shape == network.input_shape(index) && shape.locations() == 1 && shape.channels.is_multiple_of(2) {
            Ok(Self { kept: layer.kept, channels: shape.channels })
        } else {
            let problem = "a coupling needs a scale and a shift for every other channel of one location";
            Err(CpuError::Network { layer: node.name.clone(), problem })
        }
    }

    /// `y` of a few pictures, on the calling thread.
    pub(crate) fn forward_pictures<S: Stored>(
        &self,
        weights: Weights<S>,
        Inputs { x, beside }: Inputs<S>,
        y: &mut [S],
    ) {
        let (kept, moved) = (self.kept.first(), self.kept.other().first());
        let pictures = x.chunks_exact(self.channels).zip(beside.chunks_exact(self.channels));
        vectorized!(weights.instructions, {
            for ((told, beside), y) in pictures.zip(y.chunks_exact_mut(self.channels)) {
                let (scales, shifts) = told.split_at(self.channels / 2);
                let pairs = beside.chunks_exact(2).zip(y.chunks_exact_mut(2));
                for ((x, y), (scale, shift)) in pairs.zip(scales.iter().zip(shifts)) {
                    let factor = scale.to_real().tanh().exp();
                    y[kept] = x[kept];
                    y[moved] = S::from_real(x[moved].to_real() * factor + shift.to_real());
                }
            }
        });
    }

    pub(crate) fn forward<S: Stored>(&self, pass: Pass<S>, Inputs { x, beside }: Inputs<S>, y: &mut [S]) {
        let groups = pass.groups;
        let (xs, besides) = (groups.split(x, self.channels), groups.split(beside, self.channels));
        let mut ys = groups.split_mut(y, self.channels);
        pass.workers.for_each(&mut ys[..groups.count()], |group, y, _| {
            self.forward_pictures(pass.weights, Inputs { x: xs[group], beside: besides[group] }, y);
        });
    }

    /// With `f = exp(tanh(a))`: `dx = f dy`, `da = x f (1 - tanh(a)^2) dy`, `db = dy`.
    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        maps: Maps<S>,
        y_gradients: &[S],
        [told_gradients, beside_gradients]: [Option<InputGradients<S>>; 2],
    ) {
        let groups = pass.groups;
        let split = |map| groups.split(map, self.channels);
        let (told, beside, gs) = (split(maps.x), split(maps.beside), split(y_gradients));
        let write = |to: &Option<InputGradients<S>>| to.as_ref().map_or(Write::Replace, |to| to.write);
        let (told_write, beside_write) = (write(&told_gradients), write(&beside_gradients));
        let [mut told_parts, mut beside_parts] = [told_gradients, beside_gradients]
            .map(|to| groups.split_mut(to.map_or(&mut [], |to| to.values), self.channels));
        let mut tasks: [_; MAX_GROUPS] =
            array::from_fn(|group| [take(&mut told_parts[group]), take(&mut beside_parts[group])]);
        pass.workers.for_each(&mut tasks[..groups.count()], |group, [told_to, beside_to], _| {
            let from = [told[group], beside[group], gs[group]];
            vectorized!(pass.weights.instructions, {
                self.told_backward(from, told_to, told_write);
                self.beside_backward(from, beside_to, beside_write);
            });
        });
    }

    /// To scales and shifts.
    #[inline(always)]
    fn told_backward<S: Stored>(&self, [told, beside, gradients]: [&[S]; 3], to: &mut [S], write: Write) {
        let (half, moved) = (self.channels / 2, self.kept.other().first());
        let one = S::Real::from_f64(1.0);
        let pictures = told.chunks_exact(self.channels).zip(beside.chunks_exact(self.channels));
        let targets = gradients.chunks_exact(self.channels).zip(to.chunks_exact_mut(self.channels));
        for ((told, beside), (gradients, to)) in pictures.zip(targets) {
            let (scale_to, shift_to) = to.split_at_mut(half);
            let values = told.iter().zip(beside.chunks_exact(2)).zip(gradients.chunks_exact(2));
            for (((scale, x), gradient), (scale_to, shift_to)) in
                values.zip(scale_to.iter_mut().zip(shift_to))
            {
                let (bent, gradient) = (scale.to_real().tanh(), gradient[moved].to_real());
                let slope = x[moved].to_real() * bent.exp() * (one - bent * bent);
                put(gradient * slope, scale_to, write);
                put(gradient, shift_to, write);
            }
        }
    }

    /// To the map beside.
    #[inline(always)]
    fn beside_backward<S: Stored>(&self, [told, _, gradients]: [&[S]; 3], to: &mut [S], write: Write) {
        let (kept, moved) = (self.kept.first(), self.kept.other().first());
        let targets = gradients.chunks_exact(self.channels).zip(to.chunks_exact_mut(self.channels));
        for (told, (gradients, to)) in told.chunks_exact(self.channels).zip(targets) {
            let pairs = gradients.chunks_exact(2).zip(to.chunks_exact_mut(2));
            for (scale, (gradient, to)) in told.iter().zip(pairs) {
                put(gradient[kept].to_real(), &mut to[kept], write);
                put(gradient[moved].to_real() * scale.to_real().tanh().exp(), &mut to[moved], write);
            }
        }
    }
}

#[inline(always)]
fn put<S: Stored>(gradient: S::Real, to: &mut S, write: Write) {
    *to = S::from_real(match write {
        Write::Replace => gradient,
        Write::Add => to.to_real() + gradient,
    });
}
