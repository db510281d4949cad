//! Affine coupling: half of the channels scaled and moved by what is made of the others.

use std::array;
use std::mem::take;

use amdim_kernels::{Real, Stored, vectorized};
use amdim_network::{Coupling as Description, Network, Parity, Source};

use super::{InputGradients, Inputs, Maps, Pass, Weights, Write};
use crate::CpuError;
use crate::groups::MAX_GROUPS;

/// Factors that are computed one after the other, apart from what they multiply: loops over neighbouring values become
/// vector code, loops over every other value do not.
const BLOCK: usize = 64;

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
        let fits = shape == network.input_shape(index) && shape.locations() == 1;
        if fits && shape.channels.is_multiple_of(2) && node.input != Source::Picture {
            Ok(Self { kept: layer.kept, channels: shape.channels })
        } else {
            let problem = "a coupling needs a node's scale and shift for every other channel of one location";
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
                let pairs = beside.chunks(2 * BLOCK).zip(y.chunks_mut(2 * BLOCK));
                for ((x, y), (scales, shifts)) in pairs.zip(scales.chunks(BLOCK).zip(shifts.chunks(BLOCK))) {
                    let factors = Factors::new(scales);
                    let pairs = x.chunks_exact(2).zip(y.chunks_exact_mut(2));
                    for ((x, y), (&factor, shift)) in pairs.zip(factors.factors.iter().zip(shifts)) {
                        y[kept] = x[kept];
                        y[moved] = S::from_real(x[moved].to_real() * factor + shift.to_real());
                    }
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

    /// To the input (scales and shifts) and to the map beside. With `f = exp(tanh(a))`: `dx = f dy`, `da = x f (1 - tanh(a)^2) dy`, `db = dy`.
    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        maps: Maps<S>,
        y_gradients: &[S],
        to: [Option<InputGradients<S>>; 2],
    ) {
        let [Some(told_gradients), Some(beside_gradients)] = to else { return };
        let groups = pass.groups;
        let split = |map| groups.split(map, self.channels);
        let (told, beside, gs) = (split(maps.x), split(maps.beside), split(y_gradients));
        let writes = [told_gradients.write, beside_gradients.write];
        let [mut told_parts, mut beside_parts] = [told_gradients, beside_gradients]
            .map(|InputGradients { values, .. }| groups.split_mut(values, self.channels));
        let mut tasks: [_; MAX_GROUPS] =
            array::from_fn(|group| [take(&mut told_parts[group]), take(&mut beside_parts[group])]);
        pass.workers.for_each(&mut tasks[..groups.count()], |group, [told_to, beside_to], _| {
            let from = [told[group], beside[group], gs[group]].map(|part| part.chunks_exact(self.channels));
            let to = [told_to, beside_to].map(|part| part.chunks_exact_mut(self.channels));
            let ([told, beside, gradients], [told_to, beside_to]) = (from, to);
            vectorized!(pass.weights.instructions, {
                for ((told, (beside, gradients)), to) in
                    told.zip(beside.zip(gradients)).zip(told_to.zip(beside_to))
                {
                    self.backward_picture([told, beside, gradients], to.into(), writes);
                }
            });
        });
    }

    #[inline(always)]
    fn backward_picture<S: Stored>(
        &self,
        [told, beside, gradients]: [&[S]; 3],
        [told_to, beside_to]: [&mut [S]; 2],
        [told_write, beside_write]: [Write; 2],
    ) {
        let (kept, moved) = (self.kept.first(), self.kept.other().first());
        let (scale_to, shift_to) = told_to.split_at_mut(self.channels / 2);
        let from = told[..self.channels / 2].chunks(BLOCK);
        let from = from.zip(beside.chunks(2 * BLOCK).zip(gradients.chunks(2 * BLOCK)));
        let to = scale_to.chunks_mut(BLOCK).zip(shift_to.chunks_mut(BLOCK));
        let to = to.zip(beside_to.chunks_mut(2 * BLOCK));
        for ((scales, (x, gradients)), ((scale_to, shift_to), x_to)) in from.zip(to) {
            let Factors { factors, slopes } = Factors::new(scales);
            let from = x.chunks_exact(2).zip(gradients.chunks_exact(2)).zip(factors.iter().zip(&slopes));
            let to = scale_to.iter_mut().zip(shift_to).zip(x_to.chunks_exact_mut(2));
            for (((x, gradient), (&factor, &slope)), ((scale_to, shift_to), x_to)) in from.zip(to) {
                let (stayed, gradient) = (gradient[kept], gradient[moved].to_real());
                put(gradient * (x[moved].to_real() * slope), scale_to, told_write);
                put(gradient, shift_to, told_write);
                put(stayed.to_real(), &mut x_to[kept], beside_write);
                put(gradient * factor, &mut x_to[moved], beside_write);
            }
        }
    }
}

/// What a block of scales multiplies by.
struct Factors<R> {
    /// `exp(tanh(a))`
    factors: [R; BLOCK],
    /// Their slopes over a.
    slopes: [R; BLOCK],
}

impl<R: Real> Factors<R> {
    #[inline(always)]
    fn new<S: Stored<Real = R>>(scales: &[S]) -> Self {
        let one = R::from_f64(1.0);
        let (mut factors, mut slopes) = ([R::default(); BLOCK], [R::default(); BLOCK]);
        for ((factor, slope), scale) in factors.iter_mut().zip(&mut slopes).zip(scales) {
            let bent = scale.to_real().tanh();
            *factor = bent.exp();
            *slope = *factor * (one - bent * bent);
        }
        Self { factors, slopes }
    }
}

#[inline(always)]
fn put<S: Stored>(gradient: S::Real, to: &mut S, write: Write) {
    *to = S::from_real(match write {
        Write::Replace => gradient,
        Write::Add => to.to_real() + gradient,
    });
}
