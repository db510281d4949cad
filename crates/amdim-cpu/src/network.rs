//! The executor: a compiled network and its memory.

use std::mem::take;
use std::sync::Arc;

use amdim_network::{MapShape, Network, Node, Source};

use crate::elementwise::add_values;
use crate::error::check_length;
use crate::gemm::Write;
use crate::groups::{Groups, MAX_GROUPS};
use crate::layer::{InputGradients, Layer, Maps, Pass, Weights, Workspace};
use crate::norm::NormState;
use crate::registers::Registers;
use crate::slot::Slot;
use crate::workers::{ScratchSize, Workers};
use crate::{CpuError, Real};

/// Most pictures that a thread takes through the whole network at once in [`CpuNetwork::infer`].
const INFER_PICTURES: usize = 8;

/// Into how many parts [`CpuNetwork::infer`] cuts a small batch, at least, so that all threads have work.
const INFER_PARTS: usize = 16;

/// A network ready to run on the CPU, with all the memory that it needs.
///
/// Parameters, running statistics ("buffers") and gradients stay with the caller, in the flat vectors that
/// [`Network`] describes. Memory grows to the largest batch seen and is reused after that.
///
/// The batch is cut up by its size and the network's shapes alone, and partial sums are added in a fixed order:
/// results are the same, bit for bit, for any number of threads.
///
/// ```
/// use std::sync::Arc;
/// use amdim_cpu::CpuNetwork;
/// use amdim_network::{Builder, MapShape, Padding, Source, Window};
///
/// let mut builder = Builder::new(MapShape { channels: 1, height: 2, width: 2 });
/// let conv = builder.convolution("conv", Source::Picture, 1, Window::new(2, 1, Padding::none()), true, false)?;
/// let mut network = CpuNetwork::<f32>::new(Arc::new(builder.finish(vec![conv])), 2, 1)?;
///
/// let (weight_and_bias, picture) = ([1.0, 2.0, 3.0, 4.0, 0.5], [1.0, 0.0, 0.0, 1.0]);
/// network.forward(0, &weight_and_bias, &mut [], &picture, 1)?;
/// assert_eq!(network.output(0, 0), [5.5]);
///
/// let mut gradients = [0.0; 5];
/// network.backward(0, &weight_and_bias, &[&[2.0]], &mut gradients)?;
/// assert_eq!(gradients, [2.0, 0.0, 0.0, 2.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CpuNetwork<T: Real> {
    network: Arc<Network>,
    layers: Vec<Layer>,
    registers: Registers,
    workers: Workers<T>,
    slots: Vec<Slot<T>>,
    /// Normalisation by running statistics.
    running: Vec<NormState<T>>,
    packed: Vec<T>,
    workspace: Workspace<T>,
    /// Gradients of the maps, a register each.
    map_gradients: Vec<Vec<T>>,
    /// Whether gradients of a node's map have been left in its register.
    has_gradients: Vec<bool>,
}

impl<T: Real> CpuNetwork<T> {
    /// Compiles `network` for `threads` threads (at least 1). `slots` is the number of training passes that can
    /// wait for their backward at once: 2 for a loss over two views, 0 for evaluation alone.
    ///
    /// # Errors
    /// [`CpuError::NoThreads`], [`CpuError::Threads`]; [`CpuError::Network`] for a description that
    /// [`amdim_network::Builder`] would not have made.
    pub fn new(network: Arc<Network>, threads: usize, slots: usize) -> Result<Self, CpuError> {
        check_description(&network)?;
        let mut norms = 0;
        let layers = (0..network.nodes.len())
            .map(|index| Layer::new(&network, index, &mut norms))
            .collect::<Result<Vec<_>, _>>()?;
        let states: Vec<_> =
            layers.iter().flat_map(Layer::norms).map(|norm| NormState::new(norm.channels())).collect();
        let scratch = layers.iter().map(Layer::scratch_size).fold(ScratchSize::default(), ScratchSize::max);
        Ok(Self {
            workers: Workers::new(threads, scratch)?,
            slots: (0..slots).map(|_| Slot::new(states.clone())).collect(),
            running: states,
            packed: vec![T::default(); network.parameter_len()],
            workspace: Workspace {
                sums: vec![0.0; 2 * scratch.channels * MAX_GROUPS],
                partials: vec![],
                hidden_gradients: vec![],
            },
            registers: Registers::new(&network),
            map_gradients: vec![],
            has_gradients: vec![false; layers.len()],
            layers,
            network,
        })
    }

    /// The description.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Evaluation: normalises with the running statistics and keeps nothing.
    ///
    /// # Shapes
    /// - `parameters`: `[network.parameter_len()]`
    /// - `buffers`: `[network.buffer_len()]`
    /// - `images`: `[batch, channels, height, width]`
    /// - returns, for each of `network.outputs`: `[batch, locations, channels]`
    ///
    /// # Errors
    /// [`CpuError::Length`], [`CpuError::EmptyBatch`].
    pub fn infer(
        &mut self,
        parameters: &[T],
        buffers: &[T],
        images: &[T],
        batch: usize,
    ) -> Result<Vec<Vec<T>>, CpuError> {
        self.check_inputs(parameters, buffers, images, batch)?;
        for norm in self.layers.iter().flat_map(Layer::norms) {
            norm.use_running(parameters, buffers, &mut self.running[norm.index]);
        }
        let Self { network, layers, workers, packed, running, registers, .. } = self;
        for layer in layers.iter() {
            layer.pack_forward(workers, parameters, packed);
        }
        let infer =
            Infer { network, layers, registers, norms: running, weights: Weights { parameters, packed } };
        let shapes = network.output_shapes();
        let mut outputs: Vec<Vec<T>> =
            shapes.iter().map(|shape| vec![T::default(); batch * shape.len()]).collect();
        let pictures = batch.div_ceil(INFER_PARTS).min(INFER_PICTURES);
        let mut parts: Vec<_> = outputs
            .iter_mut()
            .zip(&shapes)
            .map(|(output, shape)| output.chunks_mut(pictures * shape.len()))
            .collect();
        let mut tasks: Vec<(&[T], Vec<&mut [T]>)> = images
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
    /// - `parameters`: `[network.parameter_len()]`
    /// - `buffers`: `[network.buffer_len()]`
    /// - `images`: `[batch, channels, height, width]`
    ///
    /// # Errors
    /// [`CpuError::Length`], [`CpuError::EmptyBatch`], [`CpuError::NoSuchSlot`]; [`CpuError::SingleValue`] where a
    /// batch norm would see one value a channel.
    pub fn forward(
        &mut self,
        slot: usize,
        parameters: &[T],
        buffers: &mut [T],
        images: &[T],
        batch: usize,
    ) -> Result<(), CpuError> {
        self.check_inputs(parameters, buffers, images, batch)?;
        self.check_slot(slot)?;
        self.check_norms(batch)?;
        let Self { network, layers, workers, slots, packed, workspace, .. } = self;
        let slot = &mut slots[slot];
        slot.resize(network, layers, batch);
        slot.batch = batch;
        workers.enter(|| {
            for layer in layers.iter() {
                layer.pack_forward(workers, parameters, packed);
            }
            let weights = Weights { parameters, packed };
            let pass =
                |shape: MapShape| Pass { workers, groups: Groups::new(batch, shape.locations()), weights };
            images_to_maps(pass(network.input), network.input, images, &mut slot.pictures);
            for (index, (layer, node)) in layers.iter().zip(&network.nodes).enumerate() {
                let (before, rest) = slot.maps.split_at_mut(index);
                let x = input_map(node, &slot.pictures, before);
                let (kept, y) = (&mut slot.kept[index], &mut rest[0]);
                layer.forward(pass(node.shape), &mut slot.norms, buffers, &mut workspace.sums, x, kept, y);
            }
        });
        Ok(())
    }

    /// The map number `index` of the forward pass in `slot`: `[batch, locations, channels]`, in the order of
    /// `network.outputs`. Empty if there is no such output or the slot holds no pass.
    pub fn output(&self, slot: usize, index: usize) -> &[T] {
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
    /// - `parameters`: `[network.parameter_len()]`, the same values as in the forward pass
    /// - `output_gradients`: for each of `network.outputs`, `[batch, locations, channels]`
    /// - `gradients`: `[network.parameter_len()]`
    ///
    /// # Errors
    /// [`CpuError::Length`], [`CpuError::NoSuchSlot`], [`CpuError::EmptySlot`].
    pub fn backward(
        &mut self,
        slot: usize,
        parameters: &[T],
        output_gradients: &[&[T]],
        gradients: &mut [T],
    ) -> Result<(), CpuError> {
        let batch = self.check_slot(slot)?;
        if batch == 0 {
            return Err(CpuError::EmptySlot { slot });
        }
        self.check_gradients(batch, parameters, output_gradients, gradients)?;
        self.resize_workspace(batch);
        let Self { network, layers, workers, slots, packed, workspace, registers, .. } = self;
        let (maps, has_gradients) = (&mut self.map_gradients, &mut self.has_gradients);
        let slot = &mut slots[slot];
        slot.batch = 0;
        has_gradients.fill(false);
        workers.enter(|| {
            for layer in layers.iter() {
                layer.pack_backward(workers, parameters, packed);
            }
            let weights = Weights { parameters, packed };
            let pass =
                |shape: MapShape| Pass { workers, groups: Groups::new(batch, shape.locations()), weights };
            for (index, (layer, node)) in layers.iter().zip(&network.nodes).enumerate().rev() {
                let mut register = take(&mut maps[registers.of_node[index]]);
                let y_gradients = &mut register[..batch * node.shape.len()];
                for (given, _) in output_gradients.iter().zip(&network.outputs).filter(|&(_, &o)| o == index)
                {
                    if has_gradients[index] {
                        add_values(given, y_gradients);
                    } else {
                        y_gradients.copy_from_slice(given);
                    }
                    has_gradients[index] = true;
                }
                if has_gradients[index] {
                    let x = input_map(node, &slot.pictures, &slot.maps);
                    let x_gradients = match node.input {
                        Source::Picture => None,
                        Source::Node(input) => Some(InputGradients {
                            values: &mut maps[registers.of_node[input]][..x.len()],
                            write: Write::first(!has_gradients[input]),
                        }),
                    };
                    let stored = Maps { x, kept: &slot.kept[index], y: &slot.maps[index] };
                    let norms = &mut slot.norms;
                    layer.backward(
                        pass(node.shape),
                        norms,
                        workspace,
                        stored,
                        y_gradients,
                        x_gradients,
                        gradients,
                    );
                    if let Source::Node(input) = node.input {
                        has_gradients[input] = true;
                    }
                }
                maps[registers.of_node[index]] = register;
            }
        });
        Ok(())
    }

    fn resize_workspace(&mut self, batch: usize) {
        let Self { network, layers, workspace, .. } = self;
        self.registers.resize(&mut self.map_gradients, batch);
        let partial = layers.iter().map(Layer::partial_len).max().unwrap_or(0);
        let groups =
            network.nodes.iter().map(|node| Groups::new(batch, node.shape.locations()).count()).max();
        if workspace.partials.len() < groups.unwrap_or(0) {
            workspace.partials.resize(groups.unwrap_or(0), vec![T::default(); partial]);
        }
        let hidden = layers
            .iter()
            .zip(&network.nodes)
            .map(|(layer, node)| layer.kept_channels()[2] * node.shape.locations() * batch)
            .max()
            .unwrap_or(0);
        if workspace.hidden_gradients.len() < hidden {
            workspace.hidden_gradients.resize(hidden, T::default());
        }
    }

    /// Returns the slot's number of pictures.
    fn check_slot(&self, slot: usize) -> Result<usize, CpuError> {
        let found = self.slots.get(slot).ok_or(CpuError::NoSuchSlot { slot, slots: self.slots.len() })?;
        Ok(found.batch)
    }

    fn check_inputs(
        &self,
        parameters: &[T],
        buffers: &[T],
        images: &[T],
        batch: usize,
    ) -> Result<(), CpuError> {
        if batch == 0 {
            return Err(CpuError::EmptyBatch);
        }
        check_length("parameters", parameters.len(), self.network.parameter_len())?;
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
        parameters: &[T],
        output_gradients: &[&[T]],
        gradients: &[T],
    ) -> Result<(), CpuError> {
        check_length("parameters", parameters.len(), self.network.parameter_len())?;
        check_length("gradients", gradients.len(), self.network.parameter_len())?;
        check_length("list of output gradients", output_gradients.len(), self.network.outputs.len())?;
        for (given, shape) in output_gradients.iter().zip(self.network.output_shapes()) {
            check_length("output gradients", given.len(), batch * shape.len())?;
        }
        Ok(())
    }
}

/// An evaluation.
struct Infer<'a, T> {
    network: &'a Network,
    layers: &'a [Layer],
    registers: &'a Registers,
    norms: &'a [NormState<T>],
    weights: Weights<'a, T>,
}

impl<T: Real> Infer<'_, T> {
    /// Takes a few pictures through the whole network.
    fn pictures(&self, images: &[T], outputs: &mut [&mut [T]], scratch: &mut crate::workers::Scratch<T>) {
        let Self { network, layers, registers, norms, weights } = self;
        let batch = images.len() / network.input.len();
        let mut pictures = take(&mut scratch.pictures);
        let mut maps = take(&mut scratch.maps);
        pictures.resize(images.len(), T::default());
        registers.resize(&mut maps, batch);
        channels_last(network.input, images, &mut pictures);
        for (index, (layer, node)) in layers.iter().zip(&network.nodes).enumerate() {
            let mut register = take(&mut maps[registers.of_node[index]]);
            let y = &mut register[..batch * node.shape.len()];
            let x = match node.input {
                Source::Picture => &pictures[..],
                Source::Node(input) => {
                    &maps[registers.of_node[input]][..batch * network.nodes[input].shape.len()]
                }
            };
            layer.infer(*weights, norms, x, y, scratch);
            for (output, _) in outputs.iter_mut().zip(&network.outputs).filter(|&(_, &o)| o == index) {
                output.copy_from_slice(y);
            }
            maps[registers.of_node[index]] = register;
        }
        scratch.pictures = pictures;
        scratch.maps = maps;
    }
}

fn input_map<'a, T>(node: &Node, pictures: &'a [T], maps: &'a [Vec<T>]) -> &'a [T] {
    match node.input {
        Source::Picture => pictures,
        Source::Node(input) => &maps[input],
    }
}

fn images_to_maps<T: Real>(pass: Pass<T>, shape: MapShape, images: &[T], maps: &mut [T]) {
    let images = pass.groups.split(images, shape.len());
    let mut maps = pass.groups.split_mut(maps, shape.len());
    pass.workers.for_each(&mut maps[..pass.groups.count()], |group, maps, _| {
        channels_last(shape, images[group], maps);
    });
}

/// `[pictures, channels, locations]` -> `[pictures, locations, channels]`
fn channels_last<T: Real>(shape: MapShape, images: &[T], maps: &mut [T]) {
    for (image, map) in images.chunks_exact(shape.len()).zip(maps.chunks_exact_mut(shape.len())) {
        for (channel, plane) in image.chunks_exact(shape.locations()).enumerate() {
            for (to, &value) in map[channel..].iter_mut().step_by(shape.channels).zip(plane) {
                *to = value;
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
        if matches!(node.input, Source::Node(input) if input >= index) {
            return wrong(&node.name, "it reads a node that doesn't come before it");
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
