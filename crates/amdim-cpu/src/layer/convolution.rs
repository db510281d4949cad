//! Convolution, optional bias, optional ReLU.

use std::array;
use std::mem::take;
use std::ops::Range;

use amdim_kernels::gemm::Gemm;
use amdim_kernels::{Stored, vectorized};
use amdim_network::{Convolution as Description, Network};

use super::patch_product::{Incoming, PatchProduct, Round};
use super::{InputGradients, Layout, Maps, Pass, Weights, Workspace, Write};
use crate::CpuError;
use crate::elementwise::relu_backward;
use crate::filter::Filter;
use crate::groups::MAX_GROUPS;
use crate::workers::{Scratch, ScratchSize};

/// `y = relu(convolution(x) + bias)`.
#[derive(Debug)]
pub(crate) struct Convolution {
    product: PatchProduct,
    bias: Option<Range<usize>>,
    relu: bool,
}

/// A group's part of everything that backward touches.
struct BackwardTask<'a, S: Stored> {
    x: &'a [S],
    y: &'a [S],
    y_gradients: &'a mut [S],
    x_gradients: &'a mut [S],
    partial: &'a mut [S::Real],
}

impl Convolution {
    pub(crate) fn new<S: Stored>(
        network: &Network,
        index: usize,
        layer: &Description,
        layout: &mut Layout<S>,
    ) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        let product = PatchProduct::new(network, index, layer.window, layer.weight, layout)?;
        let bias = match layer.bias {
            Some(id) => Some(super::vector(network, id, product.out, &node.name)?),
            None => None,
        };
        Ok(Self { product, bias, relu: layer.relu })
    }

    pub(crate) fn filter(&self) -> &Filter {
        &self.product.filter
    }

    pub(crate) fn scratch_size<S: Stored>(&self, gemm: Gemm<S>) -> ScratchSize {
        self.product.scratch_size(gemm)
    }

    /// Weights, then bias.
    pub(crate) fn partial_len(&self) -> usize {
        self.filter().len() + self.bias.as_ref().map_or(0, Range::len)
    }

    /// `y` of a few pictures, on the calling thread.
    pub(crate) fn forward_pictures<S: Stored>(
        &self,
        weights: Weights<S>,
        x: &[S],
        y: &mut [S],
        scratch: &mut Scratch<S>,
    ) {
        let out = self.product.out;
        let bias = self.bias.clone().map(|bias| &weights.parameters[bias]);
        for rows in self.product.chunks(y.len() / out) {
            let y = &mut y[rows.start * out..rows.end * out];
            self.product.forward(weights, x, rows, (bias, self.relu), y, scratch);
        }
    }

    pub(crate) fn forward<S: Stored>(&self, pass: Pass<S>, x: &[S], y: &mut [S]) {
        pass.for_each_group(x, y, |x, y, scratch| self.forward_pictures(pass.weights, x, y, scratch));
    }

    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        workspace: &mut Workspace<S>,
        maps: Maps<S>,
        y_gradients: &mut [S],
        x_gradients: Option<InputGradients<S>>,
        gradients: &mut [S::Real],
    ) {
        let groups = pass.groups;
        let per_picture = |values: &[S]| values.len() / groups.batch();
        let (in_len, out_len) = (per_picture(maps.x), per_picture(maps.y));
        let write = x_gradients.as_ref().map_or(Write::Replace, |to| to.write);
        let mut x_parts = groups.split_mut(x_gradients.map_or(&mut [], |to| to.values), in_len);
        let mut y_parts = groups.split_mut(y_gradients, out_len);
        let (xs, ys) = (groups.split(maps.x, in_len), groups.split(maps.y, out_len));
        let mut partials = super::rooms(&mut workspace.partials, groups, self.partial_len());
        let mut tasks: [BackwardTask<S>; MAX_GROUPS] = array::from_fn(|group| BackwardTask {
            x: xs[group],
            y: ys[group],
            y_gradients: take(&mut y_parts[group]),
            x_gradients: take(&mut x_parts[group]),
            partial: take(&mut partials[group]),
        });
        pass.workers.for_each(&mut tasks[..groups.count()], |_, task, scratch| {
            self.backward_group(pass.weights, task, write, scratch);
        });
        let partials = &workspace.partials[..groups.count()];
        self.filter().add_gradients(pass.workers, partials, 0, gradients);
        if let Some(bias) = &self.bias {
            super::add_vector(partials, self.filter().len(), &mut gradients[bias.clone()]);
        }
    }

    fn backward_group<S: Stored>(
        &self,
        weights: Weights<S>,
        task: &mut BackwardTask<S>,
        write: Write,
        scratch: &mut Scratch<S>,
    ) {
        let product = &self.product;
        let out = product.out;
        let (weight_partial, bias_partial) = task.partial.split_at_mut(self.filter().len());
        bias_partial.fill(S::Real::default());
        for rows in product.chunks(task.y.len() / out) {
            let part = rows.start * out..rows.end * out;
            let g = &mut task.y_gradients[part.clone()];
            if self.relu {
                vectorized!(weights.instructions, relu_backward(g, &task.y[part]));
            }
            if self.bias.is_some() {
                super::add_row_sums(weights, g, bias_partial, &mut scratch.centre);
            }
            let incoming = Incoming { product: g, shortcut: Round::Nothing };
            let to = (&mut *task.x_gradients, write);
            product.backward(weights, task.x, incoming, rows, weight_partial, to, scratch);
        }
    }
}
