//! The kinds of layers, compiled for one network: sizes, places in the flat vectors and chunks are settled.

mod block;
mod convolution;
mod coupling;
mod global_average;
mod max_pool;
mod mixture;
mod normed_convolution;
mod patch_product;
mod select;
mod tanh;
mod tile_product;

pub(crate) use block::Block;
pub(crate) use convolution::Convolution;
pub(crate) use coupling::Coupling;
pub(crate) use global_average::GlobalAverage;
pub(crate) use max_pool::MaxPool;
pub(crate) use mixture::Mixture;
pub(crate) use normed_convolution::NormedConvolution;
pub(crate) use select::Select;
pub(crate) use tanh::Tanh;
pub(crate) use tile_product::{TileRoom, TileRoomSize};

use std::array;
use std::mem::take;
use std::ops::Range;

use amdim_kernels::gemm::Gemm;
use amdim_kernels::{Buffer, Kernel, Real, Stored, vectorized};
use amdim_network::{BatchNorm, Layer as Description, MapShape, Network, ParameterId, Window};

use crate::CpuError;
use crate::elementwise::{add_converted, add_rows, convert};
use crate::filter::Filter;
use crate::groups::{Groups, MAX_GROUPS};
use crate::norm::{Norm, NormState, Statistics};
use crate::patches::{self, Patches};
use crate::vectors::Vectors;
use crate::workers::{Scratch, ScratchSize, Workers};

/// What happens to the values that a destination holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// They are overwritten, unread.
    Replace,
    /// The new ones are added to them.
    Add,
}

impl Write {
    /// `Replace` for the first of several contributions, `Add` for those that follow.
    pub(crate) fn first(first: bool) -> Self {
        if first { Self::Replace } else { Self::Add }
    }
}

/// Where the layers' packed weights and batch norms have their places, while a network is compiled.
#[derive(Debug)]
pub(crate) struct Layout<S: Stored> {
    gemm: Gemm<S>,
    /// Batch norms so far.
    norms: usize,
    /// Packed values so far, of the forward and of the backward direction.
    packed: [usize; 2],
    /// The different windows so far.
    patches: Vec<Patches>,
    /// Bytes of the tables of tiles so far.
    tilings: usize,
}

impl<S: Stored> Layout<S> {
    pub(crate) fn new(gemm: Gemm<S>) -> Self {
        Self { gemm, norms: 0, packed: [0; 2], patches: vec![], tilings: 0 }
    }

    /// Lengths of the packed weights of all layers, forward and backward.
    pub(crate) fn packed(&self) -> [usize; 2] {
        self.packed
    }

    /// Bytes of the tables of all windows and tiles.
    pub(crate) fn table_bytes(&self) -> usize {
        self.patches.iter().map(Patches::table_bytes).sum::<usize>() + self.tilings
    }

    /// The window of a node over its input.
    pub(crate) fn patches(
        &mut self,
        network: &Network,
        index: usize,
        window: Window,
    ) -> Result<Patches, CpuError> {
        let input = check_window(network, index, window)?;
        if let Some(known) = self.patches.iter().find(|known| known.is(window, input)) {
            return Ok(known.shared());
        }
        let patches = Patches::new(input, network.nodes[index].shape, window);
        self.patches.push(patches.shared());
        Ok(patches)
    }

    /// Ranges of a convolution's packed weights, forward and backward: of `count` matrices.
    pub(crate) fn place_filter(&mut self, count: usize, out: usize, inner: usize) -> [Range<usize>; 2] {
        let lens =
            [self.gemm.packed_len(inner, out), self.gemm.packed_len(out, inner)].map(|len| count * len);
        array::from_fn(|direction| {
            let start = self.packed[direction];
            self.packed[direction] += lens[direction];
            start..self.packed[direction]
        })
    }
}

/// The shape of a node's input, from which its window must lead to its own.
fn check_window(network: &Network, index: usize, window: Window) -> Result<MapShape, CpuError> {
    let (input, node) = (network.input_shape(index), &network.nodes[index]);
    if patches::leads(window, input, node.shape) {
        return Ok(input);
    }
    let problem = "its window doesn't lead from its input's shape to its own";
    Err(CpuError::Network { layer: node.name.clone(), problem })
}

/// The weights of a pass, and what multiplies them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights<'a, S: Stored> {
    pub(crate) gemm: Gemm<S>,
    pub(crate) instructions: Kernel,
    /// The parameters that are not filters, by their place in the flat vector.
    pub(crate) parameters: &'a Vectors<S::Real>,
    /// The filters, packed for the forward direction.
    pub(crate) forward: &'a [S::Packed],
    /// The filters, packed for the backward direction.
    pub(crate) backward: &'a [S::Packed],
}

/// One pass over a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a, S: Stored> {
    pub(crate) workers: &'a Workers<S>,
    pub(crate) groups: Groups,
    pub(crate) weights: Weights<'a, S>,
    /// Whether batch norms take running statistics, which stay.
    pub(crate) frozen: bool,
}

impl<'a, S: Stored> Pass<'a, S> {
    pub(crate) fn statistics(&self, sums: &'a mut [f64]) -> Statistics<'a, S> {
        Statistics { workers: self.workers, groups: self.groups, sums, frozen: self.frozen }
    }

    /// Does `work` on each group's part of `from` and of `to`, which hold the whole batch, in parallel.
    pub(crate) fn for_each_group<A: Sync, B: Send>(
        &self,
        from: &[A],
        to: &mut [B],
        work: impl Fn(&[A], &mut [B], &mut Scratch<S>) + Sync,
    ) {
        let groups = self.groups;
        let froms = groups.split(from, from.len() / groups.batch());
        let mut tos = groups.split_mut(to, to.len() / groups.batch());
        self.workers.for_each(&mut tos[..groups.count()], |group, to, scratch| {
            work(froms[group], to, scratch);
        });
    }
}

/// What a layer keeps of a training pass for its backward, beside its result.
#[derive(Debug, Default)]
pub(crate) struct Kept<S> {
    /// Hidden activations; before the batch norm, where there is one.
    pub(crate) hidden: Buffer<S>,
    /// The result before its batch norm.
    pub(crate) sum: Buffer<S>,
}

/// Memory that layers take turns in.
#[derive(Debug)]
pub(crate) struct Workspace<S: Stored> {
    /// Channel sums of each group.
    pub(crate) sums: Vec<f64>,
    /// Weight gradients of each group.
    pub(crate) partials: Vec<Buffer<S::Real>>,
    /// Gradients of a block's hidden activations, `[batch, locations, channels]`.
    pub(crate) hidden_gradients: Buffer<S>,
}

/// What a layer reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a, S> {
    pub(crate) x: &'a [S],
    /// The map of [`Node::beside`](amdim_network::Node::beside); empty where there is none.
    pub(crate) beside: &'a [S],
}

/// Where a layer leaves the gradients of its input.
pub(crate) struct InputGradients<'a, S> {
    pub(crate) values: &'a mut [S],
    /// Whether another reader of the same map has left its share already.
    pub(crate) write: Write,
}

/// A layer of a compiled network.
#[derive(Debug)]
pub(crate) enum Layer {
    Convolution(Box<Convolution>),
    Block(Box<Block>),
    Norm(Norm),
    Mixture(Box<Mixture>),
    NormedConvolution(Box<NormedConvolution>),
    MaxPool(MaxPool),
    GlobalAverage(GlobalAverage),
    Tanh(Tanh),
    Select(Select),
    Coupling(Coupling),
}

impl Layer {
    /// Compiles node `index`.
    pub(crate) fn new<S: Stored>(
        network: &Network,
        index: usize,
        layout: &mut Layout<S>,
    ) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        match &node.layer {
            Description::Convolution(layer) => {
                Convolution::new(network, index, layer, layout).map(Box::new).map(Self::Convolution)
            }
            Description::ResidualBlock(layer) => {
                Block::residual(network, index, layer, layout).map(Box::new).map(Self::Block)
            }
            Description::Projection(layer) => {
                Block::projection(network, index, layer, layout).map(Box::new).map(Self::Block)
            }
            Description::BatchNorm(layer) => {
                next_norm(network, layer, node.shape.channels, layout, &node.name).map(Self::Norm)
            }
            Description::Mixture(layer) => {
                Mixture::new(network, index, layer, layout).map(Box::new).map(Self::Mixture)
            }
            Description::NormedConvolution(layer) => NormedConvolution::new(network, index, layer, layout)
                .map(Box::new)
                .map(Self::NormedConvolution),
            Description::MaxPool(window) => MaxPool::new(network, index, *window).map(Self::MaxPool),
            Description::GlobalAverage => GlobalAverage::new(network, index).map(Self::GlobalAverage),
            Description::Tanh => Tanh::new(network, index).map(Self::Tanh),
            Description::Flatten => Select::all(network, index).map(Self::Select),
            Description::Alternate(parity) => Select::alternate(network, index, *parity).map(Self::Select),
            Description::Coupling(layer) => Coupling::new(network, index, layer).map(Self::Coupling),
        }
    }

    /// The batch norms in it.
    pub(crate) fn norms(&self) -> impl Iterator<Item = &Norm> {
        let [a, b] = match self {
            Self::Convolution(_)
            | Self::MaxPool(_)
            | Self::GlobalAverage(_)
            | Self::Tanh(_)
            | Self::Select(_)
            | Self::Coupling(_)
            | Self::Mixture(_) => [None, None],
            Self::Block(block) => block.norms(),
            Self::Norm(norm) => [Some(norm), None],
            Self::NormedConvolution(layer) => [Some(layer.norm()), None],
        };
        a.into_iter().chain(b)
    }

    /// Longest stretches that it works on at once.
    pub(crate) fn scratch_size<S: Stored>(&self, gemm: Gemm<S>) -> ScratchSize {
        let size = match self {
            Self::Convolution(layer) => layer.scratch_size(gemm),
            Self::Block(layer) => layer.scratch_size(gemm),
            Self::Mixture(layer) => layer.scratch_size(gemm),
            Self::NormedConvolution(layer) => layer.scratch_size(gemm),
            Self::MaxPool(layer) => layer.scratch_size(),
            Self::GlobalAverage(layer) => layer.scratch_size(),
            Self::Norm(_) | Self::Tanh(_) | Self::Select(_) | Self::Coupling(_) => ScratchSize::default(),
        };
        let rows = self.norms().map(Norm::row_len).max().unwrap_or(0);
        ScratchSize { channels: size.channels.max(rows), ..size }
    }

    /// Number of weight gradients that a group collects.
    pub(crate) fn partial_len(&self) -> usize {
        match self {
            Self::Convolution(layer) => layer.partial_len(),
            Self::Block(layer) => layer.partial_len(),
            Self::NormedConvolution(layer) => layer.partial_len(),
            Self::Norm(_)
            | Self::MaxPool(_)
            | Self::GlobalAverage(_)
            | Self::Tanh(_)
            | Self::Select(_)
            | Self::Coupling(_) => 0,
            Self::Mixture(layer) => layer.partial_len(),
        }
    }

    /// Values a picture of [`Kept::hidden`], of [`Kept::sum`] and of [`Workspace::hidden_gradients`], where the result
    /// has this many locations.
    pub(crate) fn kept_len(&self, locations: usize) -> [usize; 3] {
        match self {
            Self::Block(block) => block.kept_channels().map(|channels| channels * locations),
            Self::NormedConvolution(layer) => layer.kept_channels().map(|channels| channels * locations),
            Self::Convolution(_)
            | Self::Norm(_)
            | Self::MaxPool(_)
            | Self::GlobalAverage(_)
            | Self::Tanh(_)
            | Self::Select(_)
            | Self::Coupling(_) => [0; 3],
            Self::Mixture(layer) => [layer.units(), 0, layer.units()],
        }
    }

    /// The convolutions' weights in it.
    pub(crate) fn filters(&self) -> impl Iterator<Item = &Filter> {
        let (single, pair, several) = match self {
            Self::Convolution(layer) => (Some(layer.filter()), None, None),
            Self::Block(block) => (None, None, Some(block.filters())),
            Self::NormedConvolution(layer) => (Some(layer.filter()), None, None),
            Self::Norm(_)
            | Self::MaxPool(_)
            | Self::GlobalAverage(_)
            | Self::Tanh(_)
            | Self::Select(_)
            | Self::Coupling(_) => (None, None, None),
            Self::Mixture(layer) => (None, Some(layer.filters()), None),
        };
        single.into_iter().chain(pair.into_iter().flatten()).chain(several.into_iter().flatten())
    }

    /// Evaluation: `y` of a few pictures, on the calling thread.
    pub(crate) fn infer<S: Stored>(
        &self,
        weights: Weights<S>,
        norms: &[NormState<S::Real>],
        inputs: Inputs<S>,
        y: &mut [S],
        scratch: &mut Scratch<S>,
    ) {
        let x = inputs.x;
        match self {
            Self::Convolution(layer) => layer.forward_pictures(weights, x, y, scratch),
            Self::Block(layer) => layer.infer(weights, norms, x, y, scratch),
            Self::Norm(norm) => {
                y.copy_from_slice(x);
                norms[norm.index].apply(weights.instructions, y);
            }
            Self::Mixture(layer) => layer.infer(weights, x, y, scratch),
            Self::NormedConvolution(layer) => layer.infer(weights, norms, inputs, y, scratch),
            Self::MaxPool(layer) => layer.forward_pictures(weights, x, y),
            Self::GlobalAverage(layer) => layer.forward_pictures(weights, x, y, scratch),
            Self::Tanh(layer) => layer.forward_pictures(weights, x, y),
            Self::Select(layer) => layer.forward_pictures(weights, x, y),
            Self::Coupling(layer) => layer.forward_pictures(weights, inputs, y),
        }
    }

    /// Training: `y` of the whole batch.
    pub(crate) fn forward<S: Stored>(
        &self,
        pass: Pass<S>,
        norms: &mut [NormState<S::Real>],
        buffers: &mut [S::Real],
        sums: &mut [f64],
        inputs: Inputs<S>,
        kept: &mut Kept<S>,
        y: &mut [S],
    ) {
        let x = inputs.x;
        match self {
            Self::Convolution(layer) => layer.forward(pass, x, y),
            Self::Block(layer) => layer.forward(pass, norms, buffers, sums, x, kept, y),
            Self::Norm(norm) => {
                let state = &mut norms[norm.index];
                norm.use_batch(pass.statistics(sums), x, pass.weights.parameters, buffers, state);
                normalise(pass, state, x, y);
            }
            Self::Mixture(layer) => layer.forward(pass, x, &mut kept.hidden, y),
            Self::NormedConvolution(layer) => layer.forward(pass, norms, buffers, sums, inputs, kept, y),
            Self::MaxPool(layer) => layer.forward(pass, x, y),
            Self::GlobalAverage(layer) => layer.forward(pass, x, y),
            Self::Tanh(layer) => layer.forward(pass, x, y),
            Self::Select(layer) => layer.forward(pass, x, y),
            Self::Coupling(layer) => layer.forward(pass, inputs, y),
        }
    }

    /// Training: from the gradients of `y`, which are spent, to those of the parameters, of `x` and of the map beside it.
    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        norms: &mut [NormState<S::Real>],
        workspace: &mut Workspace<S>,
        maps: Maps<S>,
        y_gradients: &mut [S],
        [x_gradients, beside_gradients]: [Option<InputGradients<S>>; 2],
        gradients: &mut [S::Real],
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
            Self::Mixture(layer) => {
                layer.backward(pass, workspace, maps, y_gradients, x_gradients, gradients);
            }
            Self::NormedConvolution(layer) => {
                let to = [x_gradients, beside_gradients];
                layer.backward(pass, norms, workspace, maps, y_gradients, to, gradients);
            }
            Self::MaxPool(layer) => layer.backward(pass, maps, y_gradients, x_gradients),
            Self::GlobalAverage(layer) => layer.backward(pass, y_gradients, x_gradients),
            Self::Tanh(layer) => layer.backward(pass, maps, y_gradients, x_gradients),
            Self::Select(layer) => layer.backward(pass, y_gradients, x_gradients),
            Self::Coupling(layer) => layer.backward(pass, maps, y_gradients, [x_gradients, beside_gradients]),
        }
    }
}

/// What a training pass left for a layer's backward.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maps<'a, S> {
    /// The layer's input.
    pub(crate) x: &'a [S],
    /// As in [`Inputs`].
    pub(crate) beside: &'a [S],
    pub(crate) kept: &'a Kept<S>,
    /// The layer's result.
    pub(crate) y: &'a [S],
}

/// `y` = normalised `x`, in parallel.
fn normalise<S: Stored>(pass: Pass<S>, state: &NormState<S::Real>, x: &[S], y: &mut [S]) {
    pass.for_each_group(x, y, |x, y, _| {
        y.copy_from_slice(x);
        state.apply(pass.weights.instructions, y);
    });
}

/// The gradients of a batch norm's input from those of its result, which are spent, in parallel.
fn norm_input_backward<S: Stored>(
    pass: Pass<S>,
    state: &NormState<S::Real>,
    x: &[S],
    y_gradients: &mut [S],
    to: InputGradients<S>,
) {
    let per_picture = x.len() / pass.groups.batch();
    let xs = pass.groups.split(x, per_picture);
    let InputGradients { values, write } = to;
    let mut from = pass.groups.split_mut(y_gradients, per_picture);
    let mut into = pass.groups.split_mut(values, per_picture);
    let mut tasks: [_; MAX_GROUPS] = array::from_fn(|group| (take(&mut from[group]), take(&mut into[group])));
    pass.workers.for_each(&mut tasks[..pass.groups.count()], |group, (gradients, to_gradients), _| {
        let instructions = pass.weights.instructions;
        state.apply_backward(instructions, gradients, xs[group]);
        vectorized!(
            instructions,
            match write {
                Write::Replace => convert(gradients, to_gradients),
                Write::Add => add_converted(gradients, to_gradients),
            }
        );
    });
}

/// Compiles a batch norm and numbers it.
fn next_norm<S: Stored>(
    network: &Network,
    norm: &BatchNorm,
    channels: usize,
    layout: &mut Layout<S>,
    layer: &str,
) -> Result<Norm, CpuError> {
    let norm = Norm::new(network, norm, channels, layout.norms, layer)?;
    layout.norms += 1;
    Ok(norm)
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

/// Room for `len` weight gradients of each group.
fn rooms<R>(partials: &mut [Buffer<R>], groups: Groups, len: usize) -> [&mut [R]; MAX_GROUPS] {
    let mut rooms = partials.iter_mut().take(groups.count());
    array::from_fn(|_| rooms.next().map(|room| &mut room[..len]).unwrap_or_default())
}

/// Adds the groups' shares of a vector, at `offset` of each partial, group after group.
fn add_vector<R: Real>(partials: &[Buffer<R>], offset: usize, to: &mut [R]) {
    for (at, to) in to.iter_mut().enumerate() {
        *to += partials.iter().map(|partial| partial[offset + at]).sum();
    }
}

/// Adds the sum of a chunk's rows to `sums`. The chunk is summed by itself first, which loses less to rounding.
fn add_row_sums<S: Stored>(weights: Weights<S>, chunk: &[S], sums: &mut [S::Real], scratch: &mut [S::Real]) {
    let chunk_sums = &mut scratch[..sums.len()];
    chunk_sums.fill(S::Real::default());
    vectorized!(weights.instructions, add_rows(chunk, chunk_sums));
    sums.iter_mut().zip(&*chunk_sums).for_each(|(sum, &value)| *sum += value);
}
