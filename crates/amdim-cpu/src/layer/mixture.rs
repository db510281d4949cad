//! Mixture features of a vector: `y_j = x + weight_j relu(hidden_weight x + hidden_bias) + bias_j`.

use std::array;
use std::mem::take;
use std::ops::Range;

use amdim_kernels::gemm::{Addend, Destination, Factor, Finish, Gemm, Rows};
use amdim_kernels::{Stored, vectorized};
use amdim_network::{Mixture as Description, Network};

use super::{InputGradients, Layout, Maps, Pass, Weights, Workspace, Write};
use crate::CpuError;
use crate::elementwise::add_rows;
use crate::filter::Filter;
use crate::groups::{MAX_GROUPS, chunks};
use crate::workers::{Scratch, ScratchSize};

/// Most pictures whose gradients are worked on at once.
const ROWS: usize = 128;
/// Rows of a weight's gradient that a thread takes at a time.
const OUTPUTS: usize = 64;

/// A hidden layer, a linear layer to all components, and the vector itself added to each of them.
#[derive(Debug)]
pub(crate) struct Mixture {
    hidden: Filter,
    hidden_bias: Range<usize>,
    output: Filter,
    output_bias: Range<usize>,
    /// Dimensions of the vector and of a component.
    channels: usize,
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
    y_gradients: &'a [S],
    hidden_gradients: &'a mut [S],
    x_gradients: &'a mut [S],
    partial: &'a mut [S::Real],
}

impl Mixture {
    pub(crate) fn new<S: Stored>(
        network: &Network,
        index: usize,
        layer: &Description,
        layout: &mut Layout<S>,
    ) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        let (from, channels) = (network.input_shape(index), node.shape.channels);
        let wrong = |problem| CpuError::Network { layer: node.name.clone(), problem };
        if from.locations() != 1 || from.channels != channels {
            return Err(wrong("it needs one vector a picture, as long as its components"));
        }
        let bias = network.parameters.get(layer.hidden_bias.0);
        let units = bias.map(amdim_network::Parameter::len).filter(|&units| units > 0);
        let units = units.ok_or_else(|| wrong("it has no hidden units"))?;
        let out = node.shape.len();
        Ok(Self {
            hidden: Filter::new(
                network,
                layer.hidden_weight,
                [units, channels, 1],
                None,
                layout,
                &node.name,
            )?,
            hidden_bias: super::vector(network, layer.hidden_bias, units, &node.name)?,
            output: Filter::new(network, layer.weight, [out, units, 1], None, layout, &node.name)?,
            output_bias: super::vector(network, layer.bias, out, &node.name)?,
            channels,
        })
    }

    /// Units of the hidden layer.
    pub(crate) fn units(&self) -> usize {
        self.hidden_bias.len()
    }

    /// Values of all components of a picture.
    fn out(&self) -> usize {
        self.output_bias.len()
    }

    pub(crate) fn filters(&self) -> [&Filter; 2] {
        [&self.hidden, &self.output]
    }

    pub(crate) fn scratch_size<S: Stored>(&self, gemm: Gemm<S>) -> ScratchSize {
        let (units, out) = (self.units(), self.out());
        ScratchSize {
            chunk: ROWS * units,
            channels: out.max(units),
            weights: units.max(self.channels),
            packed: gemm.transposed_scratch(ROWS, OUTPUTS),
            averages: ROWS * self.channels,
            ..ScratchSize::default()
        }
    }

    /// Both biases. The weights are many and their rows few, so that groups would write more than they compute.
    pub(crate) fn partial_len(&self) -> usize {
        self.units() + self.out()
    }

    /// Evaluation: the components of a few pictures, on the calling thread.
    pub(crate) fn infer<S: Stored>(
        &self,
        weights: Weights<S>,
        x: &[S],
        y: &mut [S],
        scratch: &mut Scratch<S>,
    ) {
        let rows = chunks(x.len() / self.channels, ROWS);
        for rows in rows {
            let x = &x[rows.start * self.channels..rows.end * self.channels];
            let y = &mut y[rows.start * self.out()..rows.end * self.out()];
            let hidden = &mut scratch.hidden[..rows.len() * self.units()];
            self.forward_pictures(weights, &mut ForwardTask { x, hidden, y });
        }
    }

    /// Training: keeps the rectified hidden layer in `hidden`.
    pub(crate) fn forward<S: Stored>(&self, pass: Pass<S>, x: &[S], hidden: &mut [S], y: &mut [S]) {
        let groups = pass.groups;
        let xs = groups.split(x, self.channels);
        let mut hiddens = groups.split_mut(hidden, self.units());
        let mut ys = groups.split_mut(y, self.out());
        let mut tasks: [ForwardTask<S>; MAX_GROUPS] = array::from_fn(|group| ForwardTask {
            x: xs[group],
            hidden: take(&mut hiddens[group]),
            y: take(&mut ys[group]),
        });
        pass.workers.for_each(&mut tasks[..groups.count()], |_, task, _| {
            self.forward_pictures(pass.weights, task);
        });
    }

    fn forward_pictures<S: Stored>(&self, weights: Weights<S>, task: &mut ForwardTask<S>) {
        let ForwardTask { x, hidden, y } = task;
        let bias = |range: &Range<usize>| Some(&weights.parameters[range.clone()]);
        let factor = Factor { left: Rows::new(x, self.channels).into(), right: self.hidden.forward(weights) };
        let finish = Finish { bias: bias(&self.hidden_bias), relu: true, ..Finish::default() };
        weights.gemm.multiply(&[factor], self.units(), finish, Destination::Stored(hidden));
        // The product is added to the residual connection's values, which are there first.
        for (y, x) in y.chunks_exact_mut(self.out()).zip(x.chunks_exact(self.channels)) {
            y.chunks_exact_mut(self.channels).for_each(|component| component.copy_from_slice(x));
        }
        let factor =
            Factor { left: Rows::new(hidden, self.units()).into(), right: self.output.forward(weights) };
        let finish = Finish { bias: bias(&self.output_bias), accumulate: true, ..Finish::default() };
        weights.gemm.multiply(&[factor], self.out(), finish, Destination::Stored(y));
    }

    pub(crate) fn backward<S: Stored>(
        &self,
        pass: Pass<S>,
        workspace: &mut Workspace<S>,
        maps: Maps<S>,
        y_gradients: &[S],
        x_gradients: Option<InputGradients<S>>,
        gradients: &mut [S::Real],
    ) {
        let Workspace { partials, hidden_gradients, .. } = workspace;
        let hidden_gradients = &mut hidden_gradients[..maps.kept.hidden.len()];
        let groups = pass.groups;
        let write = x_gradients.as_ref().map_or(Write::Replace, |to| to.write);
        let mut x_parts = groups.split_mut(x_gradients.map_or(&mut [], |to| to.values), self.channels);
        let (xs, hiddens) =
            (groups.split(maps.x, self.channels), groups.split(&maps.kept.hidden, self.units()));
        let y_parts = groups.split(y_gradients, self.out());
        let mut hidden_parts = groups.split_mut(hidden_gradients, self.units());
        let mut group_partials = super::rooms(partials, groups, self.partial_len());
        let mut tasks: [BackwardTask<S>; MAX_GROUPS] = array::from_fn(|group| BackwardTask {
            x: xs[group],
            hidden: hiddens[group],
            y_gradients: y_parts[group],
            hidden_gradients: take(&mut hidden_parts[group]),
            x_gradients: take(&mut x_parts[group]),
            partial: take(&mut group_partials[group]),
        });
        pass.workers.for_each(&mut tasks[..groups.count()], |_, task, scratch| {
            self.backward_pictures(pass.weights, task, write, scratch);
        });
        let mut offset = 0;
        for bias in [&self.hidden_bias, &self.output_bias] {
            super::add_vector(&partials[..groups.count()], offset, &mut gradients[bias.clone()]);
            offset += bias.len();
        }
        let (out, units) = (self.out(), self.units());
        add_products(pass, y_gradients, out, &maps.kept.hidden, units, &mut gradients[self.output.range()]);
        let of_hidden = &mut gradients[self.hidden.range()];
        add_products(pass, hidden_gradients, units, maps.x, self.channels, of_hidden);
    }

    fn backward_pictures<S: Stored>(
        &self,
        weights: Weights<S>,
        task: &mut BackwardTask<S>,
        write: Write,
        scratch: &mut Scratch<S>,
    ) {
        let (channels, units, out) = (self.channels, self.units(), self.out());
        let (hidden_bias, output_bias) = task.partial.split_at_mut(units);
        hidden_bias.fill(S::Real::default());
        output_bias.fill(S::Real::default());
        for rows in chunks(task.x.len() / channels, ROWS) {
            let part = |width: usize| rows.start * width..rows.end * width;
            let g = &task.y_gradients[part(out)];
            super::add_row_sums(weights, g, output_bias, &mut scratch.centre);
            let to_hidden = Factor { left: Rows::new(g, out).into(), right: self.output.backward(weights) };
            let hidden_gradients = &mut task.hidden_gradients[part(units)];
            let mask = Some(Rows::new(&task.hidden[part(units)], units));
            let finish = Finish { mask, ..Finish::default() };
            weights.gemm.multiply(&[to_hidden], units, finish, Destination::Stored(hidden_gradients));
            super::add_row_sums(weights, hidden_gradients, hidden_bias, &mut scratch.centre);
            if task.x_gradients.is_empty() {
                continue;
            }
            // Round the hidden layer: the sum over components.
            let round = &mut scratch.averages[..rows.len() * channels];
            round.fill(S::Real::default());
            vectorized!(weights.instructions, {
                for (sum, g) in round.chunks_exact_mut(channels).zip(g.chunks_exact(out)) {
                    add_rows(g, sum);
                }
            });
            let h_rows = Rows::new(hidden_gradients, units);
            let to_x = Factor { left: h_rows.into(), right: self.hidden.backward(weights) };
            let add = Some(Addend::Real(Rows::new(round, channels)));
            let finish = Finish { add, accumulate: write == Write::Add, ..Finish::default() };
            let to = Destination::Stored(&mut task.x_gradients[part(channels)]);
            weights.gemm.multiply(&[to_x], channels, finish, to);
        }
    }
}

/// `gradient += outputs^T inputs`, `[out, inner]`, over all pictures; threads take rows of the result.
fn add_products<S: Stored>(
    pass: Pass<S>,
    outputs: &[S],
    out: usize,
    inputs: &[S],
    inner: usize,
    gradient: &mut [S::Real],
) {
    let pictures = pass.groups.batch();
    pass.workers.for_each_run(gradient, OUTPUTS * inner, |run, gradient, scratch| {
        for rows in chunks(pictures, ROWS) {
            let width = gradient.len() / inner;
            let left = Rows::strided(&outputs[rows.start * out + run * OUTPUTS..rows.end * out], out, width);
            let right = Rows::new(&inputs[rows.start * inner..rows.end * inner], inner);
            pass.weights.gemm.multiply_transposed(left, right.into(), gradient, true, &mut scratch.packed);
        }
    });
}
