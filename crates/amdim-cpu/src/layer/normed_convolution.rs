//! Convolution, batch norm, optional sum with another map, optional ReLU.

use std::array;
use std::mem::take;

use amdim_kernels::gemm::Gemm;
use amdim_kernels::{Buffer, Kernel, Stored, vectorized};
use amdim_network::{Network, NormedConvolution as Description};

use super::patch_product::{Incoming, PatchProduct, Round};
use super::{InputGradients, Inputs, Kept, Layout, Maps, Pass, Weights, Workspace, Write, next_norm};
use crate::CpuError;
use crate::elementwise::{add_converted, convert, relu_backward};
use crate::filter::Filter;
use crate::groups::MAX_GROUPS;
use crate::norm::{Norm, NormState};
use crate::workers::{Scratch, ScratchSize};

/// `y = relu(norm(convolution(x)) + added)`; kept is the convolution's result.
#[derive(Debug)]
pub(crate) struct NormedConvolution {
    product: PatchProduct,
    norm: Norm,
    relu: bool,
}

/// A group's part of everything that the second half of forward touches.
struct FinishTask<'a, S> {
    sum: &'a [S],
    added: &'a [S],
    y: &'a mut [S],
}

/// A group's part of everything that the first half of backward touches.
struct OutputTask<'a, S> {
    y: &'a [S],
    y_gradients: &'a mut [S],
    added_gradients: &'a mut [S],
}

/// A group's part of everything that the second half of backward touches.
struct InputTask<'a, S: Stored> {
    x: &'a [S],
    sum: &'a [S],
    y_gradients: &'a mut [S],
    x_gradients: &'a mut [S],
    partial: &'a mut [S::Real],
}

impl NormedConvolution {
    pub(crate) fn new<S: Stored>(
        network: &Network,
        index: usize,
        layer: &Description,
        layout: &mut Layout<S>,
    ) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        let product = PatchProduct::new(network, index, layer.window, layer.weight, layout)?;
        let norm = next_norm(network, &layer.norm, product.out, layout, &node.name)?;
        Ok(Self { product, norm, relu: layer.relu })
    }

    pub(crate) fn norm(&self) -> &Norm {
        &self.norm
    }

    pub(crate) fn filter(&self) -> &Filter {
        &self.product.filter
    }

    pub(crate) fn scratch_size<S: Stored>(&self, gemm: Gemm<S>) -> ScratchSize {
        self.product.scratch_size(gemm)
    }

    pub(crate) fn partial_len(&self) -> usize {
        self.filter().len()
    }

    pub(crate) fn kept_channels(&self) -> [usize; 3] {
        [0, self.product.out, 0]
    }

    /// `y` of a few pictures, on the calling thread.
    pub(crate) fn infer<S: Stored>(
        &self,
        weights: Weights<S>,
        norms: &[NormState<S::Real>],
        Inputs { x, beside: added }: Inputs<S>,
        y: &mut [S],
        scratch: &mut Scratch<S>,
    ) {
        let (out, state) = (self.product.out, &norms[self.norm.index]);
        let mut sums = take(&mut scratch.hidden);
        for rows in self.product.chunks(y.len() / out) {
            let part = rows.start * out..rows.end * out;
            let sum = &mut sums[..part.len()];
            self.product.forward(weights, x, rows, (None, false), sum, scratch);
            let added = added.get(part.clone()).unwrap_or_default();
            self.finish(weights.instructions, state, sum, added, &mut y[part]);
        }
        scratch.hidden = sums;
    }

    pub(crate) fn forward<S: Stored>(
        &self,
        pass: Pass<S>,
        norms: &mut [NormState<S::Real>],
        buffers: &mut [S::Real],
        sums: &mut [f64],
        Inputs { x, beside: added }: Inputs<S>,
        kept: &mut Kept<S>,
        y: &mut [S],
    ) {
        let (groups, out) = (pass.groups, self.product.out);
        let (in_len, out_len) = (x.len() / groups.batch(), y.len() / groups.batch());
        let xs = groups.split(x, in_len);
        let mut sum_parts = groups.split_mut(&mut kept.sum, out_len);
        pass.workers.for_each(&mut sum_parts[..groups.count()], |group, sum, scratch| {
            for rows in self.product.chunks(sum.len() / out) {
                let to = &mut sum[rows.start * out..rows.end * out];
                self.product.forward(pass.weights, xs[group], rows, (None, false), to, scratch);
            }
        });
        let state = &mut norms[self.norm.index];
        self.norm.use_batch(pass.statistics(sums), &kept.sum, pass.weights.parameters, buffers, state);
        let (sum_parts, added_parts) = (groups.split(&kept.sum, out_len), groups.split(added, out_len));
        let mut y_parts = groups.split_mut(y, out_len);
        let mut tasks: [FinishTask<S>; MAX_GROUPS] = array::from_fn(|group| FinishTask {
            sum: sum_parts[group],
            added: added_parts[group],
            y: take(&mut y_parts[group]),
        });
        pass.workers.for_each(&mut tasks[..groups.count()], |_, task, _| {
            self.finish(pass.weights.instructions, state, task.sum, task.added, task.y);
        });
    }

    /// `y = relu(norm(sum) + added)`
    fn finish<S: Stored>(
        &self,
        instructions: Kernel,
        state: &NormState<S::Real>,
        sum: &[S],
        added: &[S],
        y: &mut [S],
    ) {
        vectorized!(
            instructions,
            match (added.is_empty(), self.relu) {
                (true, true) => finish_rows::<S, false, true>(state, sum, added, y),
                (true, false) => finish_rows::<S, false, false>(state, sum, added, y),
                (false, true) => finish_rows::<S, true, true>(state, sum, added, y),
                (false, false) => finish_rows::<S, true, false>(state, sum, added, y),
            }
        );
    }

    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        norms: &mut [NormState<S::Real>],
        workspace: &mut Workspace<S>,
        maps: Maps<S>,
        y_gradients: &mut [S],
        [x_gradients, added_gradients]: [Option<InputGradients<S>>; 2],
        gradients: &mut [S::Real],
    ) {
        let Workspace { sums, partials, .. } = workspace;
        self.output_backward(pass, maps.y, y_gradients, added_gradients);
        let state = &mut norms[self.norm.index];
        self.norm.backward(pass.statistics(sums), y_gradients, &maps.kept.sum, gradients, state);
        self.input_backward(pass, state, maps, y_gradients, x_gradients, partials);
        self.filter().add_gradients(pass.workers, &partials[..pass.groups.count()], 0, gradients);
    }

    /// Through the ReLU, to the map that was added.
    fn output_backward<S: Stored>(
        &self,
        pass: Pass<S>,
        y: &[S],
        y_gradients: &mut [S],
        added_gradients: Option<InputGradients<S>>,
    ) {
        if !self.relu && added_gradients.is_none() {
            return;
        }
        let groups = pass.groups;
        let length = y.len() / groups.batch();
        let write = added_gradients.as_ref().map_or(Write::Replace, |to| to.write);
        let ys = groups.split(y, length);
        let mut y_parts = groups.split_mut(y_gradients, length);
        let mut added_parts = groups.split_mut(added_gradients.map_or(&mut [], |to| to.values), length);
        let mut tasks: [OutputTask<S>; MAX_GROUPS] = array::from_fn(|group| OutputTask {
            y: ys[group],
            y_gradients: take(&mut y_parts[group]),
            added_gradients: take(&mut added_parts[group]),
        });
        // Runs that stay in the first-level cache between the two loops.
        let run = 1 << 12;
        pass.workers.for_each(&mut tasks[..groups.count()], |_, task, _| {
            let mut added = task.added_gradients.chunks_mut(run);
            for (gradients, y) in task.y_gradients.chunks_mut(run).zip(task.y.chunks(run)) {
                vectorized!(pass.weights.instructions, {
                    if self.relu {
                        relu_backward(gradients, y);
                    }
                    match (added.next(), write) {
                        (Some(to), Write::Replace) => convert(gradients, to),
                        (Some(to), Write::Add) => add_converted(gradients, to),
                        (None, _) => {}
                    }
                });
            }
        });
    }

    /// Through the batch norm and the convolution.
    fn input_backward<S: Stored>(
        &self,
        pass: Pass<S>,
        state: &NormState<S::Real>,
        maps: Maps<S>,
        y_gradients: &mut [S],
        x_gradients: Option<InputGradients<S>>,
        partials: &mut [Buffer<S::Real>],
    ) {
        let (groups, weights, product) = (pass.groups, pass.weights, &self.product);
        let (in_len, out_len) = (maps.x.len() / groups.batch(), maps.y.len() / groups.batch());
        let write = x_gradients.as_ref().map_or(Write::Replace, |to| to.write);
        let (xs, sums) = (groups.split(maps.x, in_len), groups.split(&maps.kept.sum, out_len));
        let mut y_parts = groups.split_mut(y_gradients, out_len);
        let mut x_parts = groups.split_mut(x_gradients.map_or(&mut [], |to| to.values), in_len);
        let mut partials = super::rooms(partials, groups, self.partial_len());
        let mut tasks: [InputTask<S>; MAX_GROUPS] = array::from_fn(|group| InputTask {
            x: xs[group],
            sum: sums[group],
            y_gradients: take(&mut y_parts[group]),
            x_gradients: take(&mut x_parts[group]),
            partial: take(&mut partials[group]),
        });
        pass.workers.for_each(&mut tasks[..groups.count()], |_, task, scratch| {
            for rows in product.chunks(task.sum.len() / product.out) {
                let part = rows.start * product.out..rows.end * product.out;
                let g = &mut task.y_gradients[part.clone()];
                state.apply_backward(weights.instructions, g, &task.sum[part]);
                let incoming = Incoming { product: g, shortcut: Round::Nothing };
                let to = (&mut *task.x_gradients, write);
                product.backward(weights, task.x, incoming, rows, task.partial, to, scratch);
            }
        });
    }
}

#[inline(always)]
fn finish_rows<S: Stored, const ADD: bool, const RELU: bool>(
    state: &NormState<S::Real>,
    sum: &[S],
    added: &[S],
    y: &mut [S],
) {
    let [mean, scale, shift] = state.affine();
    let (row_len, zero) = (mean.len(), S::Real::default());
    let mut added = added.chunks(row_len);
    for (row, y) in sum.chunks(row_len).zip(y.chunks_mut(row_len)) {
        let added = if ADD { added.next().unwrap_or_default() } else { row };
        let affine = mean.iter().zip(scale).zip(shift);
        for (((x, y), a), ((&mean, &scale), &shift)) in row.iter().zip(y).zip(added).zip(affine) {
            let mut value = (x.to_real() - mean) * scale + shift;
            if ADD {
                value += a.to_real();
            }
            // NaN stays.
            *y = S::from_real(if RELU && value < zero { zero } else { value });
        }
    }
}
