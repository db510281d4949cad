//! Residual blocks and projections: `y = norm(conv2(relu(norm(conv1(x)))) + shortcut(x))`.

use std::array;
use std::mem::take;
use std::ops::Range;

use amdim_network::{Network, Padding, Projection, ResidualBlock, Window};

use super::patch_product::PatchProduct;
use super::{InputGradients, Kept, Maps, Pass, Weights, Workspace, next_norm, normalise, patches};
use crate::elementwise::{fill_rows, relu, relu_backward};
use crate::gemm::{Matrix, Write, multiply};
use crate::groups::MAX_GROUPS;
use crate::kernel::Kernel;
use crate::norm::{Norm, NormState};
use crate::workers::{Scratch, ScratchSize};
use crate::{CpuError, Real};

/// What goes round the hidden layer.
#[derive(Debug)]
enum Shortcut {
    /// Average over the window, with channels of zeros where the block widens the map.
    AveragePool,
    /// 1x1 convolution with bias.
    Linear { kernel: Kernel, bias: Range<usize> },
}

/// A hidden layer with a window, a 1x1 layer after it, a shortcut round both; batch norm after the first
/// (`hidden_norm`) and after the sum (`output_norm`), or not.
#[derive(Debug)]
pub(crate) struct Block {
    hidden: PatchProduct,
    conv2: Kernel,
    hidden_norm: Option<Norm>,
    shortcut: Shortcut,
    output_norm: Option<Norm>,
    /// Channels of the hidden map and of the result.
    out: usize,
}

/// A group's part of everything that forward touches.
struct ForwardTask<'a, T> {
    x: &'a [T],
    hidden: &'a mut [T],
    y: &'a mut [T],
}

/// A group's part of everything that backward touches.
struct BackwardTask<'a, T> {
    x: &'a [T],
    hidden: &'a [T],
    sum: &'a [T],
    y_gradients: &'a mut [T],
    hidden_gradients: &'a mut [T],
    x_gradients: &'a mut [T],
    partial: &'a mut [T],
}

impl Block {
    pub(crate) fn residual(
        network: &Network,
        index: usize,
        layer: &ResidualBlock,
        norms: &mut usize,
    ) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        let out = node.shape.channels;
        if network.input_shape(index).channels > out {
            return Err(CpuError::Network { layer: node.name.clone(), problem: "it narrows its input" });
        }
        let norm = |description| next_norm(network, description, out, norms, &node.name);
        Ok(Self {
            hidden: hidden(network, index, layer.window, layer.conv1)?,
            conv2: Kernel::new(network, layer.conv2, [out, out, 1], &node.name)?,
            hidden_norm: layer.norm.as_ref().map(norm).transpose()?,
            shortcut: Shortcut::AveragePool,
            output_norm: None,
            out,
        })
    }

    pub(crate) fn projection(
        network: &Network,
        index: usize,
        layer: &Projection,
        norms: &mut usize,
    ) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        let out = node.shape.channels;
        let inputs = network.input_shape(index).channels;
        let mut norm = |description| next_norm(network, description, out, norms, &node.name);
        Ok(Self {
            hidden: hidden(network, index, Window::new(1, 1, Padding::none()), layer.conv1)?,
            conv2: Kernel::new(network, layer.conv2, [out, out, 1], &node.name)?,
            hidden_norm: layer.hidden_norm.as_ref().map(&mut norm).transpose()?,
            shortcut: Shortcut::Linear {
                kernel: Kernel::new(network, layer.shortcut_weight, [out, inputs, 1], &node.name)?,
                bias: super::vector(network, layer.shortcut_bias, out, &node.name)?,
            },
            output_norm: Some(norm(&layer.output_norm)?),
            out,
        })
    }

    pub(crate) fn norms(&self) -> [Option<&Norm>; 2] {
        [self.hidden_norm.as_ref(), self.output_norm.as_ref()]
    }

    pub(crate) fn kernels(&self) -> impl Iterator<Item = &Kernel> {
        let shortcut = match &self.shortcut {
            Shortcut::AveragePool => None,
            Shortcut::Linear { kernel, .. } => Some(kernel),
        };
        [&self.hidden.kernel, &self.conv2].into_iter().chain(shortcut)
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        self.kernels().fold(self.hidden.scratch_size(), |size, kernel| {
            size.max(ScratchSize { weights: kernel.fan_in(), ..ScratchSize::default() })
        })
    }

    /// The weights of `conv1`, of `conv2`, and of a linear shortcut; then its bias.
    pub(crate) fn partial_len(&self) -> usize {
        let bias = match &self.shortcut {
            Shortcut::AveragePool => 0,
            Shortcut::Linear { bias, .. } => bias.len(),
        };
        self.kernels().map(Kernel::len).sum::<usize>() + bias
    }

    pub(crate) fn kept_channels(&self) -> [usize; 3] {
        let where_normed = |norm: &Option<Norm>| if norm.is_some() { self.out } else { 0 };
        [self.out, where_normed(&self.output_norm), where_normed(&self.hidden_norm)]
    }

    pub(crate) fn infer<T: Real>(
        &self,
        weights: Weights<T>,
        norms: &[NormState<T>],
        x: &[T],
        y: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        for rows in self.hidden.chunks(y.len() / self.out) {
            let y = &mut y[rows.start * self.out..rows.end * self.out];
            let h = &mut scratch.hidden[..y.len()];
            self.hidden.forward(weights, x, rows.clone(), h, Write::Replace, &mut scratch.columns);
            if let Some(norm) = &self.hidden_norm {
                norms[norm.index].apply(h);
            }
            relu(h);
            self.output(weights, x, rows, h, y);
            if let Some(norm) = &self.output_norm {
                norms[norm.index].apply(y);
            }
        }
    }

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
        let parameters = pass.weights.parameters;
        let sum = if self.output_norm.is_some() { &mut kept.sum[..] } else { &mut y[..] };
        if let Some(norm) = &self.hidden_norm {
            forward_groups(pass, x, &mut kept.hidden, &mut [], |task, scratch| {
                self.hidden_group(pass.weights, task, scratch);
            });
            let state = &mut norms[norm.index];
            norm.use_batch(pass.statistics(sums), &kept.hidden, parameters, buffers, state);
            forward_groups(pass, x, &mut kept.hidden, sum, |task, scratch| {
                self.output_group(pass.weights, Some(state), task, scratch);
            });
        } else {
            forward_groups(pass, x, &mut kept.hidden, sum, |task, scratch| {
                self.output_group(pass.weights, None, task, scratch);
            });
        }
        if let Some(norm) = &self.output_norm {
            let state = &mut norms[norm.index];
            norm.use_batch(pass.statistics(sums), &kept.sum, parameters, buffers, state);
            normalise(pass, state, &kept.sum, y);
        }
    }

    /// `hidden = conv1(x)`, of a group.
    fn hidden_group<T: Real>(
        &self,
        weights: Weights<T>,
        task: &mut ForwardTask<T>,
        scratch: &mut Scratch<T>,
    ) {
        for rows in self.hidden.chunks(task.hidden.len() / self.out) {
            let h = &mut task.hidden[rows.start * self.out..rows.end * self.out];
            self.hidden.forward(weights, task.x, rows, h, Write::Replace, &mut scratch.columns);
        }
    }

    /// `y = conv2(relu(norm(hidden))) + shortcut(x)`, of a group; without `norm`, `hidden = relu(conv1(x))` first.
    fn output_group<T: Real>(
        &self,
        weights: Weights<T>,
        norm: Option<&NormState<T>>,
        task: &mut ForwardTask<T>,
        scratch: &mut Scratch<T>,
    ) {
        for rows in self.hidden.chunks(task.y.len() / self.out) {
            let part = rows.start * self.out..rows.end * self.out;
            let (h, y) = (&mut task.hidden[part.clone()], &mut task.y[part]);
            if norm.is_none() {
                self.hidden.forward(weights, task.x, rows.clone(), h, Write::Replace, &mut scratch.columns);
                relu(h);
            }
            let h = activation(h, norm, &mut scratch.activation);
            self.output(weights, task.x, rows, h, y);
        }
    }

    /// `y = conv2(h) + shortcut(x)`, of a chunk.
    fn output<T: Real>(&self, weights: Weights<T>, x: &[T], rows: Range<usize>, h: &[T], y: &mut [T]) {
        let count = rows.len();
        match &self.shortcut {
            Shortcut::AveragePool => self.hidden.patches.average(x, rows, self.out, y),
            Shortcut::Linear { kernel, bias } => {
                fill_rows(y, &weights.parameters[bias.clone()]);
                multiply(self.pixels(x, rows), kernel.forward(weights.packed), y, Write::Add);
            }
        }
        multiply(Matrix::new(h, count, self.out), self.conv2.forward(weights.packed), y, Write::Add);
    }

    /// The rows of `x` that a linear shortcut reads; its window is 1x1.
    fn pixels<'a, T: Real>(&self, x: &'a [T], rows: Range<usize>) -> Matrix<'a, T> {
        let channels = self.hidden.patches.input().channels;
        Matrix::new(&x[rows.start * channels..rows.end * channels], rows.len(), channels)
    }

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
        let Workspace { sums, partials, hidden_gradients } = workspace;
        if let Some(norm) = &self.output_norm {
            let state = &mut norms[norm.index];
            norm.backward(pass.statistics(sums), y_gradients, &maps.kept.sum, gradients, state);
        }
        let hidden_gradients = match self.hidden_norm {
            Some(_) => &mut hidden_gradients[..maps.kept.hidden.len()],
            None => &mut [],
        };
        let (x_gradients, write) = match x_gradients {
            Some(InputGradients { values, write }) => (values, write),
            None => (&mut [][..], Write::Replace),
        };
        let backward = Backward { block: self, weights: pass.weights, norms: self.states(norms), write };
        self.backward_groups(
            pass,
            maps,
            (&mut *y_gradients, &mut *hidden_gradients, &mut *x_gradients),
            partials,
            |task, scratch| backward.output_group(task, scratch),
        );
        if let Some(norm) = &self.hidden_norm {
            let state = &mut norms[norm.index];
            norm.backward(pass.statistics(sums), hidden_gradients, &maps.kept.hidden, gradients, state);
            let backward = Backward { block: self, weights: pass.weights, norms: self.states(norms), write };
            self.backward_groups(
                pass,
                maps,
                (y_gradients, hidden_gradients, x_gradients),
                partials,
                |task, scratch| backward.hidden_group(task, scratch),
            );
        }
        self.add_gradients(pass, partials, gradients);
    }

    fn states<'a, T>(&self, norms: &'a [NormState<T>]) -> [Option<&'a NormState<T>>; 2] {
        self.norms().map(|norm| norm.map(|norm| &norms[norm.index]))
    }

    fn backward_groups<T: Real>(
        &self,
        pass: Pass<T>,
        maps: Maps<T>,
        (y_gradients, hidden_gradients, x_gradients): (&mut [T], &mut [T], &mut [T]),
        partials: &mut [Vec<T>],
        work: impl Fn(&mut BackwardTask<T>, &mut Scratch<T>) + Send + Sync,
    ) {
        let groups = pass.groups;
        let per_picture = |length: usize| length / groups.batch();
        let (in_len, out_len) = (per_picture(maps.x.len()), per_picture(maps.y.len()));
        let xs = groups.split(maps.x, in_len);
        let hiddens = groups.split(&maps.kept.hidden, out_len);
        let sums = groups.split(&maps.kept.sum, out_len);
        let mut y_parts = groups.split_mut(y_gradients, out_len);
        let mut hidden_parts = groups.split_mut(hidden_gradients, out_len);
        let mut x_parts = groups.split_mut(x_gradients, in_len);
        let mut partials = partials.iter_mut();
        let mut tasks: [BackwardTask<T>; MAX_GROUPS] = array::from_fn(|group| BackwardTask {
            x: xs[group],
            hidden: hiddens[group],
            sum: sums[group],
            y_gradients: take(&mut y_parts[group]),
            hidden_gradients: take(&mut hidden_parts[group]),
            x_gradients: take(&mut x_parts[group]),
            partial: partials.next().map(|partial| &mut partial[..self.partial_len()]).unwrap_or_default(),
        });
        pass.workers.for_each(&mut tasks[..groups.count()], |_, task, scratch| work(task, scratch));
    }

    fn add_gradients<T: Real>(&self, pass: Pass<T>, partials: &[Vec<T>], gradients: &mut [T]) {
        let partials = &partials[..pass.groups.count()];
        let mut offset = 0;
        for kernel in self.kernels() {
            kernel.add_gradients(pass.workers, partials, offset, gradients);
            offset += kernel.len();
        }
        if let Shortcut::Linear { bias, .. } = &self.shortcut {
            super::add_vector(partials, offset, &mut gradients[bias.clone()]);
        }
    }
}

fn forward_groups<T: Real>(
    pass: Pass<T>,
    x: &[T],
    hidden: &mut [T],
    y: &mut [T],
    work: impl Fn(&mut ForwardTask<T>, &mut Scratch<T>) + Send + Sync,
) {
    let groups = pass.groups;
    let per_picture = |length: usize| length / groups.batch();
    let xs = groups.split(x, per_picture(x.len()));
    let out_len = per_picture(hidden.len());
    let mut hiddens = groups.split_mut(hidden, out_len);
    let mut ys = groups.split_mut(y, out_len);
    let mut tasks: [ForwardTask<T>; MAX_GROUPS] = array::from_fn(|group| ForwardTask {
        x: xs[group],
        hidden: take(&mut hiddens[group]),
        y: take(&mut ys[group]),
    });
    pass.workers.for_each(&mut tasks[..groups.count()], |_, task, scratch| work(task, scratch));
}

/// A backward pass of one block.
struct Backward<'a, T> {
    block: &'a Block,
    weights: Weights<'a, T>,
    /// Of the hidden layer and of the result.
    norms: [Option<&'a NormState<T>>; 2],
    /// Whether the gradients of `x` are the first.
    write: Write,
}

impl<T: Real> Backward<'_, T> {
    /// From the gradients of `y` to those of `conv2`, of the shortcut's parameters and of the hidden map; without
    /// a batch norm in between, on to those of `conv1` and `x`.
    fn output_group(&self, task: &mut BackwardTask<T>, scratch: &mut Scratch<T>) {
        let block = self.block;
        let out = block.out;
        if self.norms[0].is_none() {
            self.clear_input_gradients(task);
        }
        let shortcut_at = block.hidden.kernel.len() + block.conv2.len();
        task.partial[shortcut_at..].fill(T::default());
        for rows in block.hidden.chunks(task.y_gradients.len() / out) {
            let part = rows.start * out..rows.end * out;
            let g = &mut task.y_gradients[part.clone()];
            if let Some(norm) = self.norms[1] {
                norm.apply_backward(g, &task.sum[part.clone()]);
            }
            let h = activation(&task.hidden[part.clone()], self.norms[0], &mut scratch.activation);
            let hidden_gradients = match self.norms[0] {
                Some(_) => &mut task.hidden_gradients[part],
                None => &mut scratch.hidden[..h.len()],
            };
            let matrix = Matrix::new(g, rows.len(), out);
            let conv2 = block.conv2.backward(self.weights.parameters, self.weights.packed);
            multiply(matrix, conv2, hidden_gradients, Write::Replace);
            relu_backward(hidden_gradients, h);
            let (first, second) = task.partial.split_at_mut(block.hidden.kernel.len());
            let (second, shortcut) = second.split_at_mut(block.conv2.len());
            let write = Write::first(rows.start == 0);
            multiply(matrix.transposed(), Matrix::new(h, rows.len(), out), second, write);
            if let Shortcut::Linear { kernel, .. } = &block.shortcut {
                let (weights, bias) = shortcut.split_at_mut(kernel.len());
                multiply(matrix.transposed(), block.pixels(task.x, rows.clone()), weights, Write::Add);
                super::add_row_sums(g, bias, &mut scratch.centre);
            }
            if self.norms[0].is_none() {
                let columns = &mut scratch.columns;
                self.input(task.x, rows, hidden_gradients, g, first, task.x_gradients, columns);
            }
        }
    }

    /// From the gradients of the normalised hidden map to those of `conv1` and `x`.
    fn hidden_group(&self, task: &mut BackwardTask<T>, scratch: &mut Scratch<T>) {
        let Some(norm) = self.norms[0] else { return };
        let out = self.block.out;
        self.clear_input_gradients(task);
        for rows in self.block.hidden.chunks(task.y_gradients.len() / out) {
            let part = rows.start * out..rows.end * out;
            let hidden_gradients = &mut task.hidden_gradients[part.clone()];
            norm.apply_backward(hidden_gradients, &task.hidden[part.clone()]);
            let first = &mut task.partial[..self.block.hidden.kernel.len()];
            let (g, columns) = (&task.y_gradients[part], &mut scratch.columns);
            self.input(task.x, rows, hidden_gradients, g, first, task.x_gradients, columns);
        }
    }

    /// Scattered gradients are added up, so they start from zero.
    fn clear_input_gradients(&self, task: &mut BackwardTask<T>) {
        if self.write == Write::Replace && !self.block.hidden.patches.is_identity() {
            task.x_gradients.fill(T::default());
        }
    }

    /// From the gradients of the hidden map (before its batch norm) and of the sum to those of `conv1` and `x`.
    fn input(
        &self,
        x: &[T],
        rows: Range<usize>,
        hidden_gradients: &[T],
        sum_gradients: &[T],
        weight_gradients: &mut [T],
        x_gradients: &mut [T],
        columns: &mut [T],
    ) {
        let product = &self.block.hidden;
        let first = Write::first(rows.start == 0);
        product.weight_backward(x, rows.clone(), hidden_gradients, weight_gradients, first, columns);
        if x_gradients.is_empty() {
            return;
        }
        match &self.block.shortcut {
            Shortcut::AveragePool => {
                let to = (x_gradients, self.write);
                let pooled = Some(sum_gradients);
                product.input_backward(self.weights, hidden_gradients, pooled, rows, to, columns);
            }
            Shortcut::Linear { kernel, .. } => {
                let channels = product.patches.input().channels;
                let pixels = &mut x_gradients[rows.start * channels..rows.end * channels];
                let kernel = kernel.backward(self.weights.parameters, self.weights.packed);
                multiply(Matrix::new(sum_gradients, rows.len(), self.block.out), kernel, pixels, self.write);
                let to = (x_gradients, Write::Add);
                product.input_backward(self.weights, hidden_gradients, None, rows, to, columns);
            }
        }
    }
}

/// The activation of a kept hidden chunk: the chunk itself, or made anew in `scratch` where a batch norm follows it.
fn activation<'a, T: Real>(hidden: &'a [T], norm: Option<&NormState<T>>, scratch: &'a mut [T]) -> &'a [T] {
    let Some(norm) = norm else { return hidden };
    let activation = &mut scratch[..hidden.len()];
    activation.copy_from_slice(hidden);
    norm.apply(activation);
    relu(activation);
    activation
}

fn hidden(
    network: &Network,
    index: usize,
    window: Window,
    conv1: amdim_network::ParameterId,
) -> Result<PatchProduct, CpuError> {
    let node = &network.nodes[index];
    let patches = patches(network, index, window)?;
    let out = node.shape.channels;
    let shape = [out, patches.input().channels, patches.taps()];
    let kernel = Kernel::new(network, conv1, shape, &node.name)?;
    Ok(PatchProduct { patches, kernel, out })
}
