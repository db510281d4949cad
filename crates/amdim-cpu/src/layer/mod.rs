//! The kinds of layers, compiled for one network: sizes, places in the flat vectors and chunks are settled.

mod block;
mod convolution;
mod patch_product;

pub(crate) use block::Block;
pub(crate) use convolution::Convolution;

use std::array;
use std::mem::take;
use std::ops::Range;

use amdim_network::{BatchNorm, Layer as Description, Network, ParameterId, Window};

use crate::elementwise::add_values;
use crate::gemm::Write;
use crate::groups::{Groups, MAX_GROUPS};
use crate::norm::{Norm, NormState, Statistics};
use crate::patches::Patches;
use crate::workers::{Scratch, ScratchSize, Workers};
use crate::{CpuError, Real};

/// The weights of a pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights<'a, T> {
    /// The flat parameter vector.
    pub(crate) parameters: &'a [T],
    /// The kernels of the pass' direction, packed.
    pub(crate) packed: &'a [T],
}

/// One pass over a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a, T> {
    pub(crate) workers: &'a Workers<T>,
    pub(crate) groups: Groups,
    pub(crate) weights: Weights<'a, T>,
}

impl<'a, T> Pass<'a, T> {
    pub(crate) fn statistics(&self, sums: &'a mut [f64]) -> Statistics<'a, T> {
        Statistics { workers: self.workers, groups: self.groups, sums }
    }
}

/// What a layer keeps of a training pass for its backward, beside its result.
#[derive(Debug, Default)]
pub(crate) struct Kept<T> {
    /// Hidden activations; before the batch norm, where there is one.
    pub(crate) hidden: Vec<T>,
    /// The result before its batch norm.
    pub(crate) sum: Vec<T>,
}

/// Memory that layers take turns in.
#[derive(Debug)]
pub(crate) struct Workspace<T> {
    /// Channel sums of each group.
    pub(crate) sums: Vec<f64>,
    /// Weight gradients of each group.
    pub(crate) partials: Vec<Vec<T>>,
    /// Gradients of a block's hidden activations, `[batch, locations, channels]`.
    pub(crate) hidden_gradients: Vec<T>,
}

/// Where a layer leaves the gradients of its input.
pub(crate) struct InputGradients<'a, T> {
    pub(crate) values: &'a mut [T],
    /// Whether another reader of the same map has left its share already.
    pub(crate) write: Write,
}

/// A layer of a compiled network.
#[derive(Debug)]
pub(crate) enum Layer {
    Convolution(Convolution),
    Block(Box<Block>),
    Norm(Norm),
}

impl Layer {
    /// Compiles node `index`; `norms` counts the batch norms so far.
    pub(crate) fn new(network: &Network, index: usize, norms: &mut usize) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        match &node.layer {
            Description::Convolution(layer) => Convolution::new(network, index, layer).map(Self::Convolution),
            Description::ResidualBlock(layer) => {
                Block::residual(network, index, layer, norms).map(Box::new).map(Self::Block)
            }
            Description::Projection(layer) => {
                Block::projection(network, index, layer, norms).map(Box::new).map(Self::Block)
            }
            Description::BatchNorm(layer) => {
                next_norm(network, layer, node.shape.channels, norms, &node.name).map(Self::Norm)
            }
        }
    }

    /// The batch norms in it.
    pub(crate) fn norms(&self) -> impl Iterator<Item = &Norm> {
        let [a, b] = match self {
            Self::Convolution(_) => [None, None],
            Self::Block(block) => block.norms(),
            Self::Norm(norm) => [Some(norm), None],
        };
        a.into_iter().chain(b)
    }

    /// Longest stretches that it works on at once.
    pub(crate) fn scratch_size(&self) -> ScratchSize {
        match self {
            Self::Convolution(layer) => layer.scratch_size(),
            Self::Block(layer) => layer.scratch_size(),
            Self::Norm(norm) => ScratchSize { channels: norm.channels(), ..ScratchSize::default() },
        }
    }

    /// Number of weight gradients that a group collects.
    pub(crate) fn partial_len(&self) -> usize {
        match self {
            Self::Convolution(layer) => layer.partial_len(),
            Self::Block(layer) => layer.partial_len(),
            Self::Norm(_) => 0,
        }
    }

    /// Values a location of [`Kept::hidden`], of [`Kept::sum`] and of [`Workspace::hidden_gradients`].
    pub(crate) fn kept_channels(&self) -> [usize; 3] {
        match self {
            Self::Block(block) => block.kept_channels(),
            Self::Convolution(_) | Self::Norm(_) => [0; 3],
        }
    }

    /// Packs the weights for [`Layer::forward`] and [`Layer::infer`].
    pub(crate) fn pack_forward<T: Real>(&self, workers: &Workers<T>, parameters: &[T], packed: &mut [T]) {
        match self {
            Self::Convolution(layer) => layer.kernel().pack_forward(workers, parameters, packed),
            Self::Block(layer) => {
                layer.kernels().for_each(|kernel| kernel.pack_forward(workers, parameters, packed));
            }
            Self::Norm(_) => {}
        }
    }

    /// Packs the weights for [`Layer::backward`].
    pub(crate) fn pack_backward<T: Real>(&self, workers: &Workers<T>, parameters: &[T], packed: &mut [T]) {
        match self {
            Self::Convolution(layer) => layer.kernel().pack_backward(workers, parameters, packed),
            Self::Block(layer) => {
                layer.kernels().for_each(|kernel| kernel.pack_backward(workers, parameters, packed));
            }
            Self::Norm(_) => {}
        }
    }

    /// Evaluation: `y` of a few pictures, on the calling thread.
    pub(crate) fn infer<T: Real>(
        &self,
        weights: Weights<T>,
        norms: &[NormState<T>],
        x: &[T],
        y: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        match self {
            Self::Convolution(layer) => layer.forward_pictures(weights, x, y, scratch),
            Self::Block(layer) => layer.infer(weights, norms, x, y, scratch),
            Self::Norm(norm) => {
                y.copy_from_slice(x);
                norms[norm.index].apply(y);
            }
        }
    }

    /// Training: `y` of the whole batch.
    pub(crate) fn forward<T: Real>(
        &self,
        pass: Pass<T>,
        norms: &mut [NormState<T>],
        buffers: &mut [T],
        sums: &mut [f64],
        x: &[T],
        kept: &mut Kept<T>,
        y: &mut [T],
    ) {
        match self {
            Self::Convolution(layer) => layer.forward(pass, x, y),
            Self::Block(layer) => layer.forward(pass, norms, buffers, sums, x, kept, y),
            Self::Norm(norm) => {
                let state = &mut norms[norm.index];
                norm.use_batch(pass.statistics(sums), x, pass.weights.parameters, buffers, state);
                normalise(pass, state, x, y);
            }
        }
    }

    /// Training: from the gradients of `y`, which are spent, to those of the parameters and of `x`.
    pub(crate) fn backward<T: Real>(
        &self,
        pass: Pass<T>,
        norms: &mut [NormState<T>],
        workspace: &mut Workspace<T>,
        maps: Maps<T>,
        y_gradients: &mut [T],
        x_gradients: Option<InputGradients<T>>,
        gradients: &mut [T],
    ) {
        match self {
            Self::Convolution(layer) => {
                layer.backward(pass, workspace, maps, y_gradients, x_gradients, gradients);
            }
            Self::Block(layer) => {
                layer.backward(pass, norms, workspace, maps, y_gradients, x_gradients, gradients);
            }
            Self::Norm(norm) => {
                let state = &mut norms[norm.index];
                norm.backward(pass.statistics(&mut workspace.sums), y_gradients, maps.x, gradients, state);
                if let Some(to) = x_gradients {
                    norm_input_backward(pass, state, maps.x, y_gradients, to);
                }
            }
        }
    }
}

/// What a training pass left for a layer's backward.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maps<'a, T> {
    /// The layer's input.
    pub(crate) x: &'a [T],
    pub(crate) kept: &'a Kept<T>,
    /// The layer's result.
    pub(crate) y: &'a [T],
}

/// `y` = normalised `x`, in parallel.
fn normalise<T: Real>(pass: Pass<T>, state: &NormState<T>, x: &[T], y: &mut [T]) {
    let per_picture = x.len() / pass.groups.batch();
    let xs = pass.groups.split(x, per_picture);
    let mut ys = pass.groups.split_mut(y, per_picture);
    pass.workers.for_each(&mut ys[..pass.groups.count()], |group, y, _| {
        y.copy_from_slice(xs[group]);
        state.apply(y);
    });
}

/// The gradients of a batch norm's input from those of its result, which are spent, in parallel.
fn norm_input_backward<T: Real>(
    pass: Pass<T>,
    state: &NormState<T>,
    x: &[T],
    y_gradients: &mut [T],
    to: InputGradients<T>,
) {
    let per_picture = x.len() / pass.groups.batch();
    let xs = pass.groups.split(x, per_picture);
    let InputGradients { values, write } = to;
    let mut from = pass.groups.split_mut(y_gradients, per_picture);
    let mut into = pass.groups.split_mut(values, per_picture);
    let mut tasks: [_; MAX_GROUPS] = array::from_fn(|group| (take(&mut from[group]), take(&mut into[group])));
    pass.workers.for_each(&mut tasks[..pass.groups.count()], |group, (gradients, to_gradients), _| {
        state.apply_backward(gradients, xs[group]);
        match write {
            Write::Replace => to_gradients.copy_from_slice(gradients),
            Write::Add => to_gradients.iter_mut().zip(gradients.iter()).for_each(|(to, &g)| *to += g),
        }
    });
}

/// Compiles a batch norm and numbers it.
fn next_norm(
    network: &Network,
    norm: &BatchNorm,
    channels: usize,
    norms: &mut usize,
    layer: &str,
) -> Result<Norm, CpuError> {
    let norm = Norm::new(network, norm, channels, *norms, layer)?;
    *norms += 1;
    Ok(norm)
}

/// The window of a node over its input.
fn patches(network: &Network, index: usize, window: Window) -> Result<Patches, CpuError> {
    let node = &network.nodes[index];
    Patches::new(network.input_shape(index), node.shape, window).ok_or_else(|| CpuError::Network {
        layer: node.name.clone(),
        problem: "its window doesn't lead from its input's shape to its own",
    })
}

/// The place of a vector parameter.
fn vector(network: &Network, id: ParameterId, len: usize, layer: &str) -> Result<Range<usize>, CpuError> {
    match network.parameters.get(id.0) {
        Some(parameter) if parameter.len() == len => Ok(parameter.range()),
        _ => Err(CpuError::Network {
            layer: layer.into(),
            problem: "its bias doesn't have one value a channel",
        }),
    }
}

/// Adds the groups' shares of a vector, at `offset` of each partial, group after group.
fn add_vector<T: Real>(partials: &[Vec<T>], offset: usize, to: &mut [T]) {
    for (at, to) in to.iter_mut().enumerate() {
        let mut sum = T::default();
        for partial in partials {
            sum += partial[offset + at];
        }
        *to += sum;
    }
}

/// Adds the sum of a chunk's rows to `sums`. The chunk is summed by itself first, which loses less to rounding.
fn add_row_sums<T: Real>(chunk: &[T], sums: &mut [T], scratch: &mut [T]) {
    let chunk_sums = &mut scratch[..sums.len()];
    chunk_sums.fill(T::default());
    add_values(chunk, chunk_sums);
    add_values(chunk_sums, sums);
}
