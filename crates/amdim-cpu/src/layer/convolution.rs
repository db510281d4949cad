//! Convolution, optional bias, optional ReLU.

use std::array;
use std::ops::Range;

use amdim_network::{Convolution as Description, Network};

use super::patch_product::PatchProduct;
use super::{InputGradients, Maps, Pass, Weights, Workspace, patches};
use crate::elementwise::{fill_rows, relu, relu_backward};
use crate::gemm::Write;
use crate::groups::MAX_GROUPS;
use crate::kernel::Kernel;
use crate::workers::{Scratch, ScratchSize};
use crate::{CpuError, Real};

/// `y = relu(convolution(x) + bias)`.
#[derive(Debug)]
pub(crate) struct Convolution {
    product: PatchProduct,
    bias: Option<Range<usize>>,
    relu: bool,
}

/// A group's part of everything that backward touches.
struct BackwardTask<'a, T> {
    x: &'a [T],
    y: &'a [T],
    y_gradients: &'a mut [T],
    x_gradients: &'a mut [T],
    partial: &'a mut [T],
}

impl Convolution {
    pub(crate) fn new(network: &Network, index: usize, layer: &Description) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        let patches = patches(network, index, layer.window)?;
        let out = node.shape.channels;
        let shape = [out, patches.input().channels, patches.taps()];
        let kernel = Kernel::new(network, layer.weight, shape, &node.name)?;
        let bias = match layer.bias {
            Some(id) => Some(super::vector(network, id, out, &node.name)?),
            None => None,
        };
        Ok(Self { product: PatchProduct { patches, kernel, out }, bias, relu: layer.relu })
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        &self.product.kernel
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        self.product.scratch_size()
    }

    /// Weights, then bias.
    pub(crate) fn partial_len(&self) -> usize {
        self.kernel().len() + self.bias.as_ref().map_or(0, Range::len)
    }

    /// `y` of a few pictures, on the calling thread.
    pub(crate) fn forward_pictures<T: Real>(
        &self,
        weights: Weights<T>,
        x: &[T],
        y: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let out = self.product.out;
        for rows in self.product.chunks(y.len() / out) {
            let y = &mut y[rows.start * out..rows.end * out];
            if let Some(bias) = &self.bias {
                fill_rows(y, &weights.parameters[bias.clone()]);
            }
            let write = Write::first(self.bias.is_none());
            self.product.forward(weights, x, rows, y, write, &mut scratch.columns);
            if self.relu {
                relu(y);
            }
        }
    }

    pub(crate) fn forward<T: Real>(&self, pass: Pass<T>, x: &[T], y: &mut [T]) {
        let groups = pass.groups;
        let xs = groups.split(x, x.len() / groups.batch());
        let mut ys = groups.split_mut(y, y.len() / groups.batch());
        pass.workers.for_each(&mut ys[..groups.count()], |group, y, scratch| {
            self.forward_pictures(pass.weights, xs[group], y, scratch);
        });
    }

    pub(crate) fn backward<T: Real>(
        &self,
        pass: Pass<T>,
        workspace: &mut Workspace<T>,
        maps: Maps<T>,
        y_gradients: &mut [T],
        x_gradients: Option<InputGradients<T>>,
        gradients: &mut [T],
    ) {
        let groups = pass.groups;
        let per_picture = |values: &[T]| values.len() / groups.batch();
        let (in_len, out_len) = (per_picture(maps.x), per_picture(maps.y));
        let write = x_gradients.as_ref().map_or(Write::Replace, |to| to.write);
        let mut x_parts = groups.split_mut(x_gradients.map_or(&mut [], |to| to.values), in_len);
        let mut y_parts = groups.split_mut(y_gradients, out_len);
        let (xs, ys) = (groups.split(maps.x, in_len), groups.split(maps.y, out_len));
        let mut partials = workspace.partials.iter_mut();
        let mut tasks: [BackwardTask<T>; MAX_GROUPS] = array::from_fn(|group| BackwardTask {
            x: xs[group],
            y: ys[group],
            y_gradients: std::mem::take(&mut y_parts[group]),
            x_gradients: std::mem::take(&mut x_parts[group]),
            partial: partials.next().map(Vec::as_mut_slice).unwrap_or_default(),
        });
        pass.workers.for_each(&mut tasks[..groups.count()], |_, task, scratch| {
            self.backward_group(pass.weights, task, write, scratch);
        });
        let partials = &workspace.partials[..groups.count()];
        self.kernel().add_gradients(pass.workers, partials, 0, gradients);
        if let Some(bias) = &self.bias {
            super::add_vector(partials, self.kernel().len(), &mut gradients[bias.clone()]);
        }
    }

    fn backward_group<T: Real>(
        &self,
        weights: Weights<T>,
        task: &mut BackwardTask<T>,
        write: Write,
        scratch: &mut Scratch<T>,
    ) {
        let product = &self.product;
        let out = product.out;
        let (weight_partial, bias_partial) =
            task.partial[..self.partial_len()].split_at_mut(self.kernel().len());
        bias_partial.fill(T::default());
        if write == Write::Replace && !product.patches.is_identity() {
            task.x_gradients.fill(T::default());
        }
        for rows in product.chunks(task.y.len() / out) {
            let part = rows.start * out..rows.end * out;
            let g = &mut task.y_gradients[part.clone()];
            if self.relu {
                relu_backward(g, &task.y[part]);
            }
            if self.bias.is_some() {
                super::add_row_sums(g, bias_partial, &mut scratch.centre);
            }
            let first = Write::first(rows.start == 0);
            product.weight_backward(task.x, rows.clone(), g, weight_partial, first, &mut scratch.columns);
            if !task.x_gradients.is_empty() {
                let to = (&mut *task.x_gradients, write);
                product.input_backward(weights, g, None, rows, to, &mut scratch.columns);
            }
        }
    }
}
