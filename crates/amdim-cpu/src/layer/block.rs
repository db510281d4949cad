//! Residual blocks and projections: `y = norm(conv2(relu(norm(conv1(x)))) + shortcut(x))`.

use std::array;
use std::mem::take;
use std::ops::Range;

use amdim_kernels::gemm::{Addend, Destination, Factor, Finish, Gemm, Rows};
use amdim_kernels::{Buffer, Stored, vectorized};
use amdim_network::{Network, Padding, Projection, ResidualBlock, Window};

use super::patch_product::{Incoming, PatchProduct, Round};
use super::{InputGradients, Kept, Layout, Maps, Pass, Weights, Workspace, Write, next_norm, normalise};
use crate::CpuError;
use crate::elementwise::relu;
use crate::filter::Filter;
use crate::groups::MAX_GROUPS;
use crate::norm::{Norm, NormState};
use crate::workers::{Scratch, ScratchSize};

/// What goes round the hidden layer.
#[derive(Debug)]
enum Shortcut {
    /// Average over the window, with channels of zeros where the block widens the map.
    AveragePool,
    /// 1x1 convolution with bias.
    Linear { filter: Filter, bias: Range<usize> },
}

/// A hidden layer with a window, a 1x1 layer after it, a shortcut round both; batch norm after the first
/// (`hidden_norm`) and after the sum (`output_norm`), or not.
#[derive(Debug)]
pub(crate) struct Block {
    hidden: PatchProduct,
    conv2: Filter,
    hidden_norm: Option<Norm>,
    shortcut: Shortcut,
    output_norm: Option<Norm>,
    /// Channels of the hidden map and of the result.
    out: usize,
}

/// A group's part of everything that forward touches.
struct ForwardTask<'a, S> {
    x: &'a [S],
    hidden: &'a mut [S],
    y: &'a mut [S],
}

/// A group's part of everything that backward touches.
struct BackwardTask<'a, S: Stored> {
    x: &'a [S],
    hidden: &'a [S],
    sum: &'a [S],
    y_gradients: &'a mut [S],
    hidden_gradients: &'a mut [S],
    x_gradients: &'a mut [S],
    partial: &'a mut [S::Real],
}

impl Block {
    pub(crate) fn residual<S: Stored>(
        network: &Network,
        index: usize,
        layer: &ResidualBlock,
        layout: &mut Layout<S>,
    ) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        let out = node.shape.channels;
        if network.input_shape(index).channels > out {
            return Err(CpuError::Network { layer: node.name.clone(), problem: "it narrows its input" });
        }
        let hidden = PatchProduct::new(network, index, layer.window, layer.conv1, layout)?;
        let conv2 = Filter::new(network, layer.conv2, [out, out, 1], None, layout, &node.name)?;
        let norm = |description| next_norm(network, description, out, layout, &node.name);
        let hidden_norm = layer.norm.as_ref().map(norm).transpose()?;
        Ok(Self { hidden, conv2, hidden_norm, shortcut: Shortcut::AveragePool, output_norm: None, out })
    }

    pub(crate) fn projection<S: Stored>(
        network: &Network,
        index: usize,
        layer: &Projection,
        layout: &mut Layout<S>,
    ) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        let out = node.shape.channels;
        let inputs = network.input_shape(index).channels;
        let one = Window::new(1, 1, Padding::none());
        let hidden = PatchProduct::new(network, index, one, layer.conv1, layout)?;
        let conv2 = Filter::new(network, layer.conv2, [out, out, 1], None, layout, &node.name)?;
        let filter = Filter::new(network, layer.shortcut_weight, [out, inputs, 1], None, layout, &node.name)?;
        let bias = super::vector(network, layer.shortcut_bias, out, &node.name)?;
        let mut norm = |description| next_norm(network, description, out, layout, &node.name);
        let hidden_norm = layer.hidden_norm.as_ref().map(&mut norm).transpose()?;
        let output_norm = Some(norm(&layer.output_norm)?);
        Ok(Self { hidden, conv2, hidden_norm, shortcut: Shortcut::Linear { filter, bias }, output_norm, out })
    }

    pub(crate) fn norms(&self) -> [Option<&Norm>; 2] {
        [self.hidden_norm.as_ref(), self.output_norm.as_ref()]
    }

    pub(crate) fn filters(&self) -> impl Iterator<Item = &Filter> {
        let shortcut = match &self.shortcut {
            Shortcut::AveragePool => None,
            Shortcut::Linear { filter, .. } => Some(filter),
        };
        [&self.hidden.filter, &self.conv2].into_iter().chain(shortcut)
    }

    pub(crate) fn scratch_size<S: Stored>(&self, gemm: Gemm<S>) -> ScratchSize {
        self.filters().fold(self.hidden.scratch_size(gemm), |size, filter| {
            size.max(ScratchSize { weights: filter.fan_in(), ..ScratchSize::default() })
        })
    }

    /// The weights of `conv1`, of `conv2`, and of a linear shortcut; then its bias.
    pub(crate) fn partial_len(&self) -> usize {
        let bias = match &self.shortcut {
            Shortcut::AveragePool => 0,
            Shortcut::Linear { bias, .. } => bias.len(),
        };
        self.filters().map(Filter::len).sum::<usize>() + bias
    }

    pub(crate) fn kept_channels(&self) -> [usize; 3] {
        let where_normed = |norm: &Option<Norm>| if norm.is_some() { self.out } else { 0 };
        [self.out, where_normed(&self.output_norm), where_normed(&self.hidden_norm)]
    }

    pub(crate) fn infer<S: Stored>(
        &self,
        weights: Weights<S>,
        norms: &[NormState<S::Real>],
        x: &[S],
        y: &mut [S],
        scratch: &mut Scratch<S>,
    ) {
        let [hidden_norm, output_norm] = self.states(norms);
        let mut hidden = take(&mut scratch.hidden);
        for rows in self.hidden.chunks(y.len() / self.out) {
            let y = &mut y[rows.start * self.out..rows.end * self.out];
            let h = &mut hidden[..y.len()];
            self.hidden(weights, hidden_norm.is_none(), x, rows.clone(), h, scratch);
            if let Some(norm) = hidden_norm {
                norm.apply(weights.instructions, h);
                vectorized!(weights.instructions, relu(h));
            }
            self.output(weights, x, rows, h, y, (&mut scratch.patches.framed, &mut scratch.averages));
            if let Some(norm) = output_norm {
                norm.apply(weights.instructions, y);
            }
        }
        scratch.hidden = hidden;
    }

    pub(crate) fn forward<S: Stored>(
        &self,
        pass: Pass<S>,
        norms: &mut [NormState<S::Real>],
        buffers: &mut [S::Real],
        sums: &mut [f64],
        x: &[S],
        kept: &mut Kept<S>,
        y: &mut [S],
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
    fn hidden_group<S: Stored>(
        &self,
        weights: Weights<S>,
        task: &mut ForwardTask<S>,
        scratch: &mut Scratch<S>,
    ) {
        for rows in self.hidden.chunks(task.hidden.len() / self.out) {
            let h = &mut task.hidden[rows.start * self.out..rows.end * self.out];
            self.hidden(weights, false, task.x, rows, h, scratch);
        }
    }

    /// `y = conv2(relu(norm(hidden))) + shortcut(x)`, of a group; without `norm`, `hidden = relu(conv1(x))` first.
    fn output_group<S: Stored>(
        &self,
        weights: Weights<S>,
        norm: Option<&NormState<S::Real>>,
        task: &mut ForwardTask<S>,
        scratch: &mut Scratch<S>,
    ) {
        for rows in self.hidden.chunks(task.y.len() / self.out) {
            let part = rows.start * self.out..rows.end * self.out;
            let (h, y) = (&mut task.hidden[part.clone()], &mut task.y[part]);
            if norm.is_none() {
                self.hidden(weights, true, task.x, rows.clone(), h, scratch);
            }
            let h = activation(weights, h, norm, &mut scratch.activation);
            self.output(weights, task.x, rows, h, y, (&mut scratch.patches.framed, &mut scratch.averages));
        }
    }

    /// `h = conv1(x)`, rectified or not, of a chunk.
    fn hidden<S: Stored>(
        &self,
        weights: Weights<S>,
        relu: bool,
        x: &[S],
        rows: Range<usize>,
        h: &mut [S],
        scratch: &mut Scratch<S>,
    ) {
        self.hidden.forward(weights, x, rows, (None, relu), h, scratch);
    }

    /// `y = conv2(h) + shortcut(x)`, of a chunk.
    fn output<S: Stored>(
        &self,
        weights: Weights<S>,
        x: &[S],
        rows: Range<usize>,
        h: &[S],
        y: &mut [S],
        (framed, averages): (&mut [S], &mut [S::Real]),
    ) {
        let conv2 = Factor { left: Rows::new(h, self.out).into(), right: self.conv2.forward(weights) };
        let patches = &self.hidden.patches;
        let channels = patches.input().channels;
        let pixels = |rows: Range<usize>| Rows::new(&x[rows.start * channels..rows.end * channels], channels);
        let to = Destination::Stored(y);
        match &self.shortcut {
            Shortcut::AveragePool => {
                let add = if patches.is_identity() {
                    Addend::Stored(pixels(rows))
                } else {
                    let averages = &mut averages[..rows.len() * channels];
                    let framed = patches.framed(x, &rows, framed);
                    vectorized!(weights.instructions, patches.average(framed, rows, averages));
                    Addend::Real(Rows::new(averages, channels))
                };
                let finish = Finish { add: Some(add), ..Finish::default() };
                weights.gemm.multiply(&[conv2], self.out, finish, to);
            }
            Shortcut::Linear { filter, bias } => {
                let shortcut = Factor { left: pixels(rows).into(), right: filter.forward(weights) };
                let finish = Finish { bias: Some(&weights.parameters[bias.clone()]), ..Finish::default() };
                weights.gemm.multiply(&[conv2, shortcut], self.out, finish, to);
            }
        }
    }

    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        norms: &mut [NormState<S::Real>],
        workspace: &mut Workspace<S>,
        maps: Maps<S>,
        y_gradients: &mut [S],
        x_gradients: Option<InputGradients<S>>,
        gradients: &mut [S::Real],
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

    fn states<'a, R>(&self, norms: &'a [NormState<R>]) -> [Option<&'a NormState<R>>; 2] {
        self.norms().map(|norm| norm.map(|norm| &norms[norm.index]))
    }

    fn backward_groups<S: Stored>(
        &self,
        pass: Pass<S>,
        maps: Maps<S>,
        (y_gradients, hidden_gradients, x_gradients): (&mut [S], &mut [S], &mut [S]),
        partials: &mut [Buffer<S::Real>],
        work: impl Fn(&mut BackwardTask<S>, &mut Scratch<S>) + Sync,
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
        let mut partials = super::rooms(partials, groups, self.partial_len());
        let mut tasks: [BackwardTask<S>; MAX_GROUPS] = array::from_fn(|group| BackwardTask {
            x: xs[group],
            hidden: hiddens[group],
            sum: sums[group],
            y_gradients: take(&mut y_parts[group]),
            hidden_gradients: take(&mut hidden_parts[group]),
            x_gradients: take(&mut x_parts[group]),
            partial: take(&mut partials[group]),
        });
        pass.workers.for_each(&mut tasks[..groups.count()], |_, task, scratch| work(task, scratch));
    }

    fn add_gradients<S: Stored>(
        &self,
        pass: Pass<S>,
        partials: &[Buffer<S::Real>],
        gradients: &mut [S::Real],
    ) {
        let partials = &partials[..pass.groups.count()];
        let mut offset = 0;
        for filter in self.filters() {
            filter.add_gradients(pass.workers, partials, offset, gradients);
            offset += filter.len();
        }
        if let Shortcut::Linear { bias, .. } = &self.shortcut {
            super::add_vector(partials, offset, &mut gradients[bias.clone()]);
        }
    }
}

fn forward_groups<S: Stored>(
    pass: Pass<S>,
    x: &[S],
    hidden: &mut [S],
    y: &mut [S],
    work: impl Fn(&mut ForwardTask<S>, &mut Scratch<S>) + Sync,
) {
    let groups = pass.groups;
    let per_picture = |length: usize| length / groups.batch();
    let xs = groups.split(x, per_picture(x.len()));
    let out_len = per_picture(hidden.len());
    let mut hiddens = groups.split_mut(hidden, out_len);
    let mut ys = groups.split_mut(y, out_len);
    let mut tasks: [ForwardTask<S>; MAX_GROUPS] = array::from_fn(|group| ForwardTask {
        x: xs[group],
        hidden: take(&mut hiddens[group]),
        y: take(&mut ys[group]),
    });
    pass.workers.for_each(&mut tasks[..groups.count()], |_, task, scratch| work(task, scratch));
}

/// A backward pass of one block.
struct Backward<'a, S: Stored> {
    block: &'a Block,
    weights: Weights<'a, S>,
    /// Of the hidden layer and of the result.
    norms: [Option<&'a NormState<S::Real>>; 2],
    /// Whether the gradients of `x` are the first.
    write: Write,
}

impl<S: Stored> Backward<'_, S> {
    /// From the gradients of `y` to those of `conv2`, of the shortcut's parameters and of the hidden map; without
    /// a batch norm in between, on to those of `conv1` and `x`.
    fn output_group(&self, task: &mut BackwardTask<S>, scratch: &mut Scratch<S>) {
        let Self { block, weights, .. } = *self;
        let out = block.out;
        let shortcut_at = block.hidden.filter.len() + block.conv2.len();
        if let Shortcut::Linear { filter, .. } = &block.shortcut {
            task.partial[shortcut_at + filter.len()..].fill(S::Real::default());
        }
        let mut hidden_scratch = take(&mut scratch.hidden);
        for rows in block.hidden.chunks(task.y_gradients.len() / out) {
            let part = rows.start * out..rows.end * out;
            let add = rows.start > 0;
            let g = &mut task.y_gradients[part.clone()];
            if let Some(norm) = self.norms[1] {
                norm.apply_backward(weights.instructions, g, &task.sum[part.clone()]);
            }
            let h = activation(weights, &task.hidden[part.clone()], self.norms[0], &mut scratch.activation);
            let hidden_gradients = match self.norms[0] {
                Some(_) => &mut task.hidden_gradients[part],
                None => &mut hidden_scratch[..h.len()],
            };
            let (g_rows, h_rows) = (Rows::new(g, out), Rows::new(h, out));
            let conv2 = Factor { left: g_rows.into(), right: block.conv2.backward(weights) };
            let finish = Finish { mask: Some(h_rows), ..Finish::default() };
            weights.gemm.multiply(&[conv2], out, finish, Destination::Stored(&mut *hidden_gradients));
            let (first, second) = task.partial.split_at_mut(block.hidden.filter.len());
            let (second, shortcut) = second.split_at_mut(block.conv2.len());
            weights.gemm.multiply_transposed(g_rows, h_rows.into(), second, add, &mut scratch.packed);
            if let Shortcut::Linear { filter, .. } = &block.shortcut {
                let channels = block.hidden.patches.input().channels;
                let pixels = Rows::new(&task.x[rows.start * channels..rows.end * channels], channels);
                let (filter_gradients, bias) = shortcut.split_at_mut(filter.len());
                weights.gemm.multiply_transposed(
                    g_rows,
                    pixels.into(),
                    filter_gradients,
                    add,
                    &mut scratch.packed,
                );
                super::add_row_sums(weights, g, bias, &mut scratch.centre);
            }
            if self.norms[0].is_none() {
                self.input(task.x, rows, hidden_gradients, g, first, task.x_gradients, scratch);
            }
        }
        scratch.hidden = hidden_scratch;
    }

    /// From the gradients of the normalised hidden map to those of `conv1` and `x`.
    fn hidden_group(&self, task: &mut BackwardTask<S>, scratch: &mut Scratch<S>) {
        let Some(norm) = self.norms[0] else { return };
        let out = self.block.out;
        for rows in self.block.hidden.chunks(task.y_gradients.len() / out) {
            let part = rows.start * out..rows.end * out;
            let hidden_gradients = &mut task.hidden_gradients[part.clone()];
            norm.apply_backward(self.weights.instructions, hidden_gradients, &task.hidden[part.clone()]);
            let first = &mut task.partial[..self.block.hidden.filter.len()];
            let g = &task.y_gradients[part];
            self.input(task.x, rows, hidden_gradients, g, first, task.x_gradients, scratch);
        }
    }

    /// From the gradients of the hidden map (before its batch norm) and of the sum to those of `conv1` and `x`.
    fn input(
        &self,
        x: &[S],
        rows: Range<usize>,
        hidden_gradients: &[S],
        sum_gradients: &[S],
        weight_gradients: &mut [S::Real],
        x_gradients: &mut [S],
        scratch: &mut Scratch<S>,
    ) {
        let shortcut = match &self.block.shortcut {
            Shortcut::AveragePool => Round::Average(sum_gradients),
            Shortcut::Linear { filter, .. } => Round::Linear(sum_gradients, filter),
        };
        let incoming = Incoming { product: hidden_gradients, shortcut };
        let to = (x_gradients, self.write);
        self.block.hidden.backward(self.weights, x, incoming, rows, weight_gradients, to, scratch);
    }
}

/// The activation of a kept hidden chunk: the chunk itself, or made anew in `scratch` where a batch norm follows it.
fn activation<'a, S: Stored>(
    weights: Weights<S>,
    hidden: &'a [S],
    norm: Option<&NormState<S::Real>>,
    scratch: &'a mut [S],
) -> &'a [S] {
    let Some(norm) = norm else { return hidden };
    let activation = &mut scratch[..hidden.len()];
    activation.copy_from_slice(hidden);
    norm.apply(weights.instructions, activation);
    vectorized!(weights.instructions, relu(activation));
    activation
}
