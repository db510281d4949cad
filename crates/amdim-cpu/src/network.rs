//! The executor: a compiled network and its memory.

use std::iter;
use std::mem::take;
use std::sync::Arc;

use amdim_kernels::gemm::Gemm;
use amdim_kernels::{Buffer, Kernel, KernelError, Pool, Stored, vectorized};
use amdim_network::{MapShape, Network, Node, Source};

use crate::CpuError;
use crate::elementwise::{add_converted, convert};
use crate::error::check_length;
use crate::filter::Filter;
use crate::groups::{Groups, MAX_GROUPS};
use crate::layer::{InputGradients, Inputs, Layer, Layout, Maps, Pass, Weights, Workspace, Write};
use crate::norm::NormState;
use crate::registers::Registers;
use crate::slot::Slot;
use crate::vectors::Vectors;
use crate::workers::{Scratch, ScratchSize, Workers};

/// Most pictures that a thread takes through the whole network at once in [`CpuNetwork::infer`].
/// Layers with few pixels a picture need several pictures for their products to pay for reading the weights.
const INFER_PICTURES: usize = 16;

/// Parts a thread that [`CpuNetwork::infer`] cuts a small batch into, at least.
const INFER_PARTS: usize = 2;

/// Values that a thread copies at a time.
const COPIED: usize = 1 << 14;

/// Bytes that a [`CpuNetwork`] takes to train; see [`CpuNetwork::memory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkMemory {
    /// Its copies of the parameters, filters packed; state of the batch norms; tables of windows.
    pub parameters: usize,
    /// Maps of all slots, and gradients of maps: proportional to the batch.
    pub maps: usize,
    /// What threads work in, and each group's share of weight gradients.
    pub scratch: usize,
}

/// A network ready to run on the CPU, with all the memory that it needs.
///
/// `S` is what maps are kept as: `f32`, `f64`, or [`Bf16`](amdim_kernels::Bf16) or
/// [`WideBf16`](amdim_kernels::WideBf16) with parameters, running statistics, gradients of parameters and sums in `f32`.
/// Running statistics ("buffers") and gradients stay with the caller, in the flat vectors that [`Network`] describes;
/// parameters are handed in once after each change and packed for the products. Memory grows to the largest batch seen
/// and is reused after that: later passes allocate nothing.
///
/// The batch is cut up by its size and the network's shapes alone, and partial sums are added in a fixed order:
/// results are the same, bit for bit, for any number of threads.
///
/// ```
/// use std::sync::Arc;
/// use amdim_cpu::CpuNetwork;
/// use amdim_kernels::{Kernel, Pool};
/// use amdim_network::{Builder, MapShape, Padding, Source, Window};
///
/// let mut builder = Builder::new(MapShape { channels: 1, height: 2, width: 2 });
/// let conv = builder.convolution("conv", Source::Picture, 1, Window::new(2, 1, Padding::none()), true, false)?;
/// let pool = Arc::new(Pool::new(2)?);
/// let mut network = CpuNetwork::<f32>::new(Arc::new(builder.finish(vec![conv])), Kernel::selected()?, pool, 1)?;
///
/// let (weight_and_bias, picture) = ([1.0, 2.0, 3.0, 4.0, 0.5], [1.0, 0.0, 0.0, 1.0]);
/// network.set_parameters(&weight_and_bias)?;
/// network.forward(0, &mut [], &picture, 1)?;
/// assert_eq!(network.output(0, 0), [5.5]);
///
/// let mut gradients = [0.0; 5];
/// network.backward(0, &[&[2.0]], &mut gradients)?;
/// assert_eq!(gradients, [2.0, 0.0, 0.0, 2.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CpuNetwork<S: Stored> {
    network: Arc<Network>,
    layers: Vec<Layer>,
    registers: Registers,
    gemm: Gemm<S>,
    workers: Workers<S>,
    slots: Vec<Slot<S>>,
    /// Normalisation by running statistics.
    running: Vec<NormState<S::Real>>,
    parameters: Vectors<S::Real>,
    /// The filters as the products read them, forward and backward.
    packed: [Buffer<S::Packed>; 2],
    /// A filter on its way there.
    unpacked: Buffer<S::Packed>,
    /// Bytes of the tables of windows and tiles.
    table_bytes: usize,
    workspace: Workspace<S>,
    /// Gradients of the maps, a register each.
    map_gradients: Vec<Buffer<S>>,
    /// Whether gradients of a node's map have been left in its register.
    has_gradients: Vec<bool>,
    /// Whether batch norms of training passes take running statistics.
    frozen: bool,
}

impl<S: Stored> CpuNetwork<S> {
    /// Compiles `network` for `kernel` and the threads of `pool`. `slots` is the number of training passes that can
    /// wait for their backward at once: 2 for a loss over two views, 0 for evaluation alone. All parameters are zero
    /// until [`CpuNetwork::set_parameters`].
    ///
    /// # Errors
    /// [`CpuError::Kernel`] for a kernel that this processor doesn't support; [`CpuError::Network`] for a description
    /// that [`amdim_network::Builder`] would not have made.
    pub fn new(
        network: Arc<Network>,
        kernel: Kernel,
        pool: Arc<Pool>,
        slots: usize,
    ) -> Result<Self, CpuError> {
        if !Gemm::<S>::exists(kernel) {
            return Err(KernelError::Unsupported { kernel }.into());
        }
        check_description(&network)?;
        let gemm = Gemm::new(kernel);
        let mut layout = Layout::new(gemm);
        let layers = (0..network.nodes.len())
            .map(|index| Layer::new(&network, index, &mut layout))
            .collect::<Result<Vec<_>, _>>()?;
        let states: Vec<_> = layers.iter().flat_map(Layer::norms).map(NormState::new).collect();
        let scratch = layers
            .iter()
            .map(|layer| layer.scratch_size(gemm))
            .fold(ScratchSize::default(), ScratchSize::max);
        let unpacked = |filter: &Filter| filter.scratch_len(gemm, pool.threads());
        let unpacked = layers.iter().flat_map(Layer::filters).map(unpacked).max().unwrap_or(0);
        let filters = layers.iter().flat_map(Layer::filters).map(Filter::range);
        let trains = slots > 0;
        let [forward, backward] = layout.packed();
        Ok(Self {
            gemm,
            workers: Workers::new(pool, kernel, scratch, trains),
            slots: (0..slots).map(|_| Slot::new(states.clone())).collect(),
            running: states,
            parameters: Vectors::all_but(filters, network.parameter_len()),
            packed: [forward, if trains { backward } else { 0 }].map(Buffer::zeros),
            unpacked: Buffer::zeros(unpacked),
            table_bytes: layout.table_bytes(),
            workspace: Workspace {
                sums: vec![0.0; 2 * scratch.channels * MAX_GROUPS],
                partials: iter::repeat_with(Buffer::default).take(MAX_GROUPS).collect(),
                hidden_gradients: Buffer::default(),
            },
            registers: Registers::new(&network),
            map_gradients: vec![],
            has_gradients: vec![false; layers.len()],
            frozen: false,
            layers,
            network,
        })
    }

    /// Takes over the parameters of the passes that follow, `[network.parameter_len()]`.
    ///
    /// # Errors
    /// [`CpuError::Length`].
    pub fn set_parameters(&mut self, parameters: &[S::Real]) -> Result<(), CpuError> {
        check_length("parameters", parameters.len(), self.network.parameter_len())?;
        self.parameters.copy_from(parameters);
        let [forward, backward] = &mut self.packed;
        for filter in self.layers.iter().flat_map(Layer::filters) {
            filter.pack(&self.workers, self.gemm, parameters, [forward, backward], &mut self.unpacked);
        }
        Ok(())
    }

    /// Whether the batch norms of the training passes that follow take the running statistics, which then stay as they
    /// are and are constants of the derivative, in place of those of the batch. At first they do not.
    pub fn freeze_statistics(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    /// The description.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Evaluation: normalises with the running statistics and keeps nothing. `wanted` are places in `network.outputs`;
    /// what leads to no wanted output takes no time.
    ///
    /// # Shapes
    /// - `buffers`: `[network.buffer_len()]`
    /// - `images`: `[batch, channels, height, width]`
    /// - returns, for each of `wanted`: `[batch, locations, channels]`
    ///
    /// # Errors
    /// [`CpuError::Length`], [`CpuError::EmptyBatch`].
    ///
    /// # Panics
    /// If there is no such output.
    pub fn infer(
        &mut self,
        buffers: &[S::Real],
        images: &[S::Real],
        batch: usize,
        wanted: &[usize],
    ) -> Result<Vec<Vec<S::Real>>, CpuError> {
        self.check_inputs(buffers, images, batch)?;
        for norm in self.layers.iter().flat_map(Layer::norms) {
            norm.use_running(&self.parameters, buffers, &mut self.running[norm.index]);
        }
        let Self { network, layers, workers, running, registers, .. } = self;
        let weights = weights(self.gemm, workers, &self.parameters, &self.packed);
        let sources: Vec<usize> = wanted.iter().map(|&place| network.outputs[place]).collect();
        let is_needed = network.nodes_behind(wanted);
        let shapes: Vec<MapShape> = sources.iter().map(|&node| network.nodes[node].shape).collect();
        let infer = Infer {
            network,
            layers,
            registers,
            norms: running,
            weights,
            sources: &sources,
            is_needed: &is_needed,
        };
        let mut outputs: Vec<Vec<S::Real>> =
            shapes.iter().map(|shape| vec![S::Real::default(); batch * shape.len()]).collect();
        // Pictures do not meet, so results don't depend on how they are shared out.
        let pictures = batch.div_ceil(INFER_PARTS * workers.pool().threads()).min(INFER_PICTURES);
        let mut parts: Vec<_> = outputs
            .iter_mut()
            .zip(&shapes)
            .map(|(output, shape)| output.chunks_mut(pictures * shape.len()))
            .collect();
        let mut tasks: Vec<(&[_], Vec<&mut [_]>)> = images
            .chunks(pictures * network.input.len())
            .map(|images| (images, parts.iter_mut().filter_map(Iterator::next).collect()))
            .collect();
        workers.for_each(&mut tasks, |_, (images, outputs), scratch| {
            infer.pictures(images, outputs, scratch);
        });
        Ok(outputs)
    }

    /// Training: normalises with the statistics of the batch, moves the running ones in `buffers` towards them, and
    /// keeps in `slot` what [`CpuNetwork::backward`] needs; what the slot held before is dropped.
    ///
    /// Batch norms move `buffers` as `PyTorch` does: `running = (1 - momentum) * running + momentum * batch`, with the
    /// unbiased variance of the batch.
    ///
    /// # Shapes
    /// - `buffers`: `[network.buffer_len()]`
    /// - `images`: `[batch, channels, height, width]`
    ///
    /// # Errors
    /// [`CpuError::Length`], [`CpuError::EmptyBatch`], [`CpuError::NoSuchSlot`]; [`CpuError::SingleValue`] where a
    /// batch norm would see one value a channel.
    pub fn forward(
        &mut self,
        slot: usize,
        buffers: &mut [S::Real],
        images: &[S::Real],
        batch: usize,
    ) -> Result<(), CpuError> {
        self.check_inputs(buffers, images, batch)?;
        self.check_slot(slot)?;
        if !self.frozen {
            self.check_norms(batch)?;
        }
        let Self { network, layers, workers, slots, workspace, frozen, .. } = self;
        let frozen = *frozen;
        let weights = weights(self.gemm, workers, &self.parameters, &self.packed);
        let slot = &mut slots[slot];
        slot.resize(network, layers, batch);
        slot.batch = batch;
        slot.open = true;
        slot.frozen = frozen;
        let groups = |shape: MapShape| Groups::new(batch, shape.locations());
        let pass = |shape: MapShape| Pass { workers, groups: groups(shape), weights, frozen };
        images_to_maps(pass(network.input), network.input, images, &mut slot.pictures);
        for (index, (layer, node)) in layers.iter().zip(&network.nodes).enumerate() {
            let (before, rest) = slot.maps.split_at_mut(index);
            let beside = node.beside().map_or(&[][..], |at| &before[at]);
            let inputs = Inputs { x: input_map(node, &slot.pictures, before), beside };
            let (kept, y) = (&mut slot.kept[index], &mut rest[0]);
            layer.forward(pass(node.shape), &mut slot.norms, buffers, &mut workspace.sums, inputs, kept, y);
        }
        Ok(())
    }

    /// The map number `index` of the forward pass in `slot`: `[batch, locations, channels]`, in the order of
    /// `network.outputs`; readable until the slot's next forward pass. Empty if there is no such output or was no pass.
    pub fn output(&self, slot: usize, index: usize) -> &[S] {
        match (self.slots.get(slot), self.network.outputs.get(index)) {
            (Some(slot), Some(&node)) if slot.batch > 0 => &slot.maps[node],
            _ => &[],
        }
    }

    /// Adds `d(sum of outputs * output_gradients) / d parameters` to `gradients`, and frees `slot`.
    ///
    /// Parameters that no output depends on are left alone. The derivative goes through the batch statistics.
    ///
    /// # Shapes
    /// - `output_gradients`: for each of `network.outputs`, `[batch, locations, channels]`, or empty where the sum is
    ///   without it; what leads to no other output takes no time then
    /// - `gradients`: `[network.parameter_len()]`
    ///
    /// # Errors
    /// [`CpuError::Length`], [`CpuError::NoSuchSlot`], [`CpuError::EmptySlot`].
    pub fn backward(
        &mut self,
        slot: usize,
        output_gradients: &[&[S::Real]],
        gradients: &mut [S::Real],
    ) -> Result<(), CpuError> {
        let batch = self.check_slot(slot)?;
        if !self.slots[slot].open {
            return Err(CpuError::EmptySlot { slot });
        }
        self.check_gradients(batch, output_gradients, gradients)?;
        self.resize_workspace(batch);
        let Self { network, layers, workers, slots, workspace, registers, .. } = self;
        let weights = weights(self.gemm, workers, &self.parameters, &self.packed);
        let (maps, has_gradients) = (&mut self.map_gradients, &mut self.has_gradients);
        let slot = &mut slots[slot];
        slot.open = false;
        has_gradients.fill(false);
        let frozen = slot.frozen;
        for (index, (layer, node)) in layers.iter().zip(&network.nodes).enumerate().rev() {
            let mut register = take(&mut maps[registers.of_node[index]]);
            let y_gradients = &mut register[..batch * node.shape.len()];
            let given = output_gradients.iter().zip(&network.outputs);
            for (given, _) in given.filter(|&(given, &output)| output == index && !given.is_empty()) {
                let add = has_gradients[index];
                workers.for_each_run(y_gradients, COPIED, |run, to, _| {
                    let given = &given[run * COPIED..][..to.len()];
                    let copy = || if add { add_converted(given, to) } else { convert(given, to) };
                    workers.instructions().run(copy);
                });
                has_gradients[index] = true;
            }
            if has_gradients[index] {
                let x = input_map(node, &slot.pictures, &slot.maps);
                let mut beside_register =
                    node.beside().map(|at| (at, take(&mut maps[registers.of_node[at]])));
                let beside_gradients = beside_register.as_mut().map(|(at, register)| InputGradients {
                    values: &mut register[..y_gradients.len()],
                    write: Write::first(!has_gradients[*at]),
                });
                let x_gradients = match node.input {
                    Source::Picture => None,
                    Source::Node(input) => Some(InputGradients {
                        values: &mut maps[registers.of_node[input]][..x.len()],
                        write: Write::first(!has_gradients[input]),
                    }),
                };
                let beside = node.beside().map_or(&[][..], |at| &slot.maps[at]);
                let stored = Maps { x, beside, kept: &slot.kept[index], y: &slot.maps[index] };
                let pass = Pass { workers, groups: gradient_groups(layer, node, batch), weights, frozen };
                let norms = &mut slot.norms;
                let to = [x_gradients, beside_gradients];
                layer.backward(pass, norms, workspace, stored, y_gradients, to, gradients);
                if let Some((at, register)) = beside_register {
                    maps[registers.of_node[at]] = register;
                }
                node.reads().for_each(|read| has_gradients[read] = true);
            }
            maps[registers.of_node[index]] = register;
        }
        Ok(())
    }

    /// Bytes that training passes and their backward over `batch` pictures (at least one) need, in all slots; nothing
    /// is allocated for them.
    pub fn memory(&self, batch: usize) -> NetworkMemory {
        let (stored, real) = (size_of::<S>(), size_of::<S::Real>());
        let states: usize = self.layers.iter().flat_map(Layer::norms).map(NormState::<S::Real>::bytes).sum();
        let norms = (self.slots.len() + 1) * states;
        let packed = self.packed.iter().map(|packed| packed.len()).sum::<usize>() + self.unpacked.len();
        let slots = self.slots.len() * Slot::<S>::bytes(&self.network, &self.layers, batch);
        let gradients = batch * self.registers.total_len() + self.hidden_gradients_len(batch);
        NetworkMemory {
            parameters: self.parameters.len() * real
                + packed * size_of::<S::Packed>()
                + norms
                + self.table_bytes,
            maps: slots + gradients * stored,
            scratch: self.workers.scratch_bytes()
                + self.workspace.sums.len() * size_of::<f64>()
                + self.partial_lens(batch).iter().sum::<usize>() * real,
        }
    }

    fn resize_workspace(&mut self, batch: usize) {
        let (partials, hidden) = (self.partial_lens(batch), self.hidden_gradients_len(batch));
        self.registers.resize(&mut self.map_gradients, batch);
        let workspace = &mut self.workspace;
        for (values, len) in workspace.partials.iter_mut().zip(partials) {
            if values.len() < len {
                values.resize(len);
            }
        }
        if workspace.hidden_gradients.len() < hidden {
            workspace.hidden_gradients.resize(hidden);
        }
    }

    /// Lengths of [`Workspace::partials`] for `batch` pictures.
    fn partial_lens(&self, batch: usize) -> [usize; MAX_GROUPS] {
        let mut lens = [0; MAX_GROUPS];
        for (layer, node) in self.layers.iter().zip(&self.network.nodes) {
            for len in &mut lens[..gradient_groups(layer, node, batch).count()] {
                *len = layer.partial_len().max(*len);
            }
        }
        lens
    }

    /// Length of [`Workspace::hidden_gradients`] for `batch` pictures.
    fn hidden_gradients_len(&self, batch: usize) -> usize {
        let nodes = self.layers.iter().zip(&self.network.nodes);
        let lens = nodes.map(|(layer, node)| layer.kept_len(node.shape.locations())[2] * batch);
        lens.max().unwrap_or(0)
    }

    /// Returns the slot's number of pictures.
    fn check_slot(&self, slot: usize) -> Result<usize, CpuError> {
        let found = self.slots.get(slot).ok_or(CpuError::NoSuchSlot { slot, slots: self.slots.len() })?;
        Ok(found.batch)
    }

    fn check_inputs(&self, buffers: &[S::Real], images: &[S::Real], batch: usize) -> Result<(), CpuError> {
        if batch == 0 {
            return Err(CpuError::EmptyBatch);
        }
        check_length("buffers", buffers.len(), self.network.buffer_len())?;
        check_length("images", images.len(), batch.saturating_mul(self.network.input.len()))
    }

    fn check_norms(&self, batch: usize) -> Result<(), CpuError> {
        let single = |(layer, node): &(&Layer, &Node)| {
            batch * node.shape.locations() == 1 && layer.norms().next().is_some()
        };
        match self.layers.iter().zip(&self.network.nodes).find(single) {
            Some((_, node)) => Err(CpuError::SingleValue { layer: node.name.clone() }),
            None => Ok(()),
        }
    }

    fn check_gradients(
        &self,
        batch: usize,
        output_gradients: &[&[S::Real]],
        gradients: &[S::Real],
    ) -> Result<(), CpuError> {
        check_length("gradients", gradients.len(), self.network.parameter_len())?;
        check_length("list of output gradients", output_gradients.len(), self.network.outputs.len())?;
        let given = output_gradients.iter().zip(self.network.output_shapes());
        for (given, shape) in given.filter(|(given, _)| !given.is_empty()) {
            check_length("output gradients", given.len(), batch * shape.len())?;
        }
        Ok(())
    }
}

/// How `batch` pictures are cut up for the backward pass of a layer.
fn gradient_groups(layer: &Layer, node: &Node, batch: usize) -> Groups {
    Groups::with_gradients(batch, node.shape.locations(), layer.partial_len())
}

/// An evaluation.
struct Infer<'a, S: Stored> {
    network: &'a Network,
    layers: &'a [Layer],
    registers: &'a Registers,
    norms: &'a [NormState<S::Real>],
    weights: Weights<'a, S>,
    /// The nodes of the wanted outputs.
    sources: &'a [usize],
    /// Whether they need each node.
    is_needed: &'a [bool],
}

impl<S: Stored> Infer<'_, S> {
    /// Takes a few pictures through what is needed of the network.
    fn pictures(&self, images: &[S::Real], outputs: &mut [&mut [S::Real]], scratch: &mut Scratch<S>) {
        let Self { network, layers, registers, norms, weights, sources, is_needed } = self;
        let batch = images.len() / network.input.len();
        let mut pictures = take(&mut scratch.pictures);
        let mut maps = take(&mut scratch.maps);
        pictures.resize(images.len());
        registers.resize(&mut maps, batch);
        channels_last(network.input, images, &mut pictures);
        for (index, (layer, node)) in layers.iter().zip(&network.nodes).enumerate() {
            if !is_needed[index] {
                continue;
            }
            let mut register = take(&mut maps[registers.of_node[index]]);
            let y = &mut register[..batch * node.shape.len()];
            let map = |node: usize| &maps[registers.of_node[node]][..batch * network.nodes[node].shape.len()];
            let x = match node.input {
                Source::Picture => &pictures[..],
                Source::Node(input) => map(input),
            };
            let inputs = Inputs { x, beside: node.beside().map_or(&[], map) };
            layer.infer(*weights, norms, inputs, y, scratch);
            for (output, _) in outputs.iter_mut().zip(*sources).filter(|&(_, &source)| source == index) {
                vectorized!(weights.instructions, convert(y, output));
            }
            maps[registers.of_node[index]] = register;
        }
        scratch.pictures = pictures;
        scratch.maps = maps;
    }
}

/// The weights of a pass.
fn weights<'a, S: Stored>(
    gemm: Gemm<S>,
    workers: &Workers<S>,
    parameters: &'a Vectors<S::Real>,
    [forward, backward]: &'a [Buffer<S::Packed>; 2],
) -> Weights<'a, S> {
    Weights { gemm, instructions: workers.instructions(), parameters, forward, backward }
}

fn input_map<'a, T>(node: &Node, pictures: &'a [T], maps: &'a [Buffer<T>]) -> &'a [T] {
    match node.input {
        Source::Picture => pictures,
        Source::Node(input) => &maps[input],
    }
}

fn images_to_maps<S: Stored>(pass: Pass<S>, shape: MapShape, images: &[S::Real], maps: &mut [S]) {
    let images = pass.groups.split(images, shape.len());
    let mut maps = pass.groups.split_mut(maps, shape.len());
    pass.workers.for_each(&mut maps[..pass.groups.count()], |group, maps, _| {
        channels_last(shape, images[group], maps);
    });
}

/// `[pictures, channels, locations]` -> `[pictures, locations, channels]`
fn channels_last<S: Stored>(shape: MapShape, images: &[S::Real], maps: &mut [S]) {
    for (image, map) in images.chunks_exact(shape.len()).zip(maps.chunks_exact_mut(shape.len())) {
        for (channel, plane) in image.chunks_exact(shape.locations()).enumerate() {
            for (to, &value) in map[channel..].iter_mut().step_by(shape.channels).zip(plane) {
                *to = S::from_real(value);
            }
        }
    }
}

/// What the layers themselves don't check.
fn check_description(network: &Network) -> Result<(), CpuError> {
    let wrong = |layer: &str, problem| Err(CpuError::Network { layer: layer.into(), problem });
    if network.input.is_empty() {
        return wrong("network", "its pictures hold no pixel");
    }
    for (index, node) in network.nodes.iter().enumerate() {
        if node.reads().any(|read| read >= index) {
            return wrong(&node.name, "it reads a node that doesn't come before it");
        }
        if let Some(at) = node.beside()
            && (network.nodes[at].shape != node.shape || node.input == Source::Node(at))
        {
            return wrong(&node.name, "beside its input it takes a map of another shape, or its own input");
        }
        if node.shape.is_empty() {
            return wrong(&node.name, "its map holds no value");
        }
    }
    if network.outputs.iter().any(|&output| output >= network.nodes.len()) {
        return wrong("network", "an output is not one of its nodes");
    }
    Ok(())
}
