//! The candle executor: every device, f32 and f64, gradients from candle's tape.
//!
//! Maps are `[batch, locations, channels]` all the way, so that a 1x1 convolution is one matrix product. A larger
//! window gathers the locations it covers (`index_select`) and then multiplies; average pooling gathers and takes
//! the mean. One gather with one index table serves every kernel, stride and border, and its backward
//! (`index_add`) exists on all devices.

use std::collections::HashMap;
use std::sync::Arc;

use amdim_network::{
    BatchNorm, Convolution, Coupling, Layer, MapShape, Mixture, Network, NormedConvolution, ParameterId,
    Parity, Projection, ResidualBlock, Source, Window,
};
use candle_core::{D, Tensor, Var};

use super::{Executor, Pass};
use crate::nn::batch_norm::{batch_statistics, moved, normalise};
use crate::{Error, Result, parameters, tensors};

/// Runs a description with candle; see the module page.
pub struct CandleExecutor {
    network: Arc<Network>,
    tables: HashMap<(MapShape, Window), Tensor>,
    frozen: bool,
}

impl CandleExecutor {
    /// An executor for this description.
    pub fn new(network: Arc<Network>) -> Self {
        Self { network, tables: HashMap::new(), frozen: false }
    }

    /// The outputs of the places `wanted`.
    fn run(
        &mut self,
        parameters: &[Tensor],
        norms: &mut Norms,
        images: &Tensor,
        wanted: &[usize],
    ) -> Result<Vec<Tensor>> {
        let network = Arc::clone(&self.network);
        let MapShape { channels, height, width } = network.input;
        let (batch, ..) = images.dims4()?;
        tensors::expect_shape("images", images, &[batch, channels, height, width])?;
        let picture = images.flatten_from(2)?.transpose(1, 2)?.contiguous()?; // [B, L, C]
        let mut maps: Vec<Tensor> = Vec::with_capacity(network.nodes.len());
        let is_needed = network.nodes_behind(wanted);
        for (index, node) in network.nodes.iter().enumerate() {
            if !is_needed[index] {
                maps.push(picture.clone()); // Nobody reads it.
                continue;
            }
            let x = match node.input {
                Source::Picture => &picture,
                Source::Node(source) => &maps[source],
            };
            let from = network.input_shape(index);
            let y = match &node.layer {
                Layer::Convolution(layer) => self.convolution(layer, x, from, parameters)?,
                Layer::ResidualBlock(layer) => self.residual(layer, x, from, parameters, norms)?,
                Layer::BatchNorm(layer) => norms.apply(layer, x, parameters)?,
                Layer::Projection(layer) => projection(layer, x, parameters, norms)?,
                Layer::Mixture(layer) => mixture(layer, x, parameters)?,
                Layer::NormedConvolution(layer) => {
                    let added = layer.add.map(|add| &maps[add]);
                    self.normed_convolution(layer, (x, added), from, parameters, norms)?
                }
                Layer::MaxPool(window) => self.max_pool(x, from, *window)?,
                Layer::GlobalAverage => x.mean_keepdim(1)?,
                Layer::Tanh => x.tanh()?,
                Layer::Flatten => x.flatten_from(1)?.unsqueeze(1)?,
                Layer::Alternate(parity) => alternate(x, *parity)?,
                Layer::Coupling(layer) => coupling(layer, x, &maps[layer.of])?,
            };
            maps.push(y);
        }
        Ok(wanted.iter().map(|&place| maps[network.outputs[place]].clone()).collect())
    }

    fn convolution(
        &mut self,
        layer: &Convolution,
        x: &Tensor,
        from: MapShape,
        parameters: &[Tensor],
    ) -> Result<Tensor> {
        let columns = self.gather(x, from, layer.window)?.flatten_from(2)?; // [B, L', k*k*C]
        let mut y = multiply(&columns, &parameters[layer.weight.0])?;
        if let Some(bias) = layer.bias {
            y = y.broadcast_add(&parameters[bias.0])?;
        }
        Ok(if layer.relu { y.relu()? } else { y })
    }

    fn residual(
        &mut self,
        layer: &ResidualBlock,
        x: &Tensor,
        from: MapShape,
        parameters: &[Tensor],
        norms: &mut Norms,
    ) -> Result<Tensor> {
        let windows = self.gather(x, from, layer.window)?; // [B, L', k*k, C]
        let mut hidden = multiply(&windows.flatten_from(2)?, &parameters[layer.conv1.0])?;
        if let Some(norm) = &layer.norm {
            hidden = norms.apply(norm, &hidden, parameters)?;
        }
        let y = multiply(&hidden.relu()?, &parameters[layer.conv2.0])?;
        let pooled = windows.mean(2)?; // [B, L', C]
        let widened = y.dim(D::Minus1)? - from.channels;
        let shortcut = if widened > 0 { pooled.pad_with_zeros(D::Minus1, 0, widened)? } else { pooled };
        Ok((y + shortcut)?)
    }

    fn normed_convolution(
        &mut self,
        layer: &NormedConvolution,
        (x, added): (&Tensor, Option<&Tensor>),
        from: MapShape,
        parameters: &[Tensor],
        norms: &mut Norms,
    ) -> Result<Tensor> {
        let columns = self.gather(x, from, layer.window)?.flatten_from(2)?;
        let mut y =
            norms.apply(&layer.norm, &multiply(&columns, &parameters[layer.weight.0])?, parameters)?;
        if let Some(added) = added {
            y = (y + added)?;
        }
        Ok(if layer.relu { y.relu()? } else { y })
    }

    fn max_pool(&mut self, x: &Tensor, from: MapShape, window: Window) -> Result<Tensor> {
        let windows = self.gather_with(x, from, window, f64::NEG_INFINITY)?; // [B, L', k*k, C]
        // candle's own maximum would give the gradient to every one of several equal values.
        let first = windows.detach().argmax_keepdim(2)?;
        Ok(windows.gather(&first, 2)?.squeeze(2)?)
    }

    /// `[B, L, C] -> [B, L', kernel * kernel, C]`: what each position of the window covers.
    fn gather(&mut self, x: &Tensor, from: MapShape, window: Window) -> Result<Tensor> {
        self.gather_with(x, from, window, 0.0)
    }

    /// As [`gather`](Self::gather), with `border` in place of the zeros of the border.
    fn gather_with(&mut self, x: &Tensor, from: MapShape, window: Window, border: f64) -> Result<Tensor> {
        let (batch, locations, channels) = x.dims3()?;
        if window.kernel == 1 && window.stride == 1 && window.padding.pixels == 0 {
            return Ok(x.reshape((batch, locations, 1, channels))?);
        }
        let shape = MapShape { channels: 0, ..from };
        let table = if let Some(table) = self.tables.get(&(shape, window)) {
            table.clone()
        } else {
            let table = Tensor::new(covered_locations(from, window).as_slice(), x.device())?;
            self.tables.insert((shape, window), table.clone());
            table
        };
        // One row behind the map stands for the border.
        let padded = if window.padding.pixels > 0 {
            let row = Tensor::full(border, (batch, 1, channels), x.device())?.to_dtype(x.dtype())?;
            Tensor::cat(&[x, &row], 1)?
        } else {
            x.clone()
        };
        let taps = window.kernel * window.kernel;
        let positions = table.dim(0)? / taps;
        Ok(padded.index_select(&table, 1)?.reshape((batch, positions, taps, channels))?)
    }
}

impl Executor for CandleExecutor {
    fn network(&self) -> &Arc<Network> {
        &self.network
    }

    fn name(&self) -> &'static str {
        "candle"
    }

    fn infer(
        &mut self,
        parameters: &Tensor,
        running: &Tensor,
        images: &Tensor,
        wanted: &[usize],
    ) -> Result<Vec<Tensor>> {
        let views = parameters::views(parameters, &self.network.parameters)?;
        let mut norms = Norms::new(Arc::clone(&self.network), running, false);
        self.run(&views, &mut norms, images, wanted)
    }

    fn forward(&mut self, parameters: &Tensor, running: &mut Tensor, images: &Tensor) -> Result<Pass> {
        let leaves = parameters::leaves(parameters, &self.network.parameters)?;
        let views: Vec<Tensor> = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
        let mut norms = Norms::new(Arc::clone(&self.network), running, !self.frozen);
        let taped = self.run(&views, &mut norms, images, &self.network.all_outputs())?;
        *running = norms.moved()?;
        let outputs = taped.iter().map(Tensor::detach).collect();
        let network = Arc::clone(&self.network);
        let backward = move |gradients: &[Tensor]| backward(&taped, gradients, &leaves, &network);
        Ok(Pass { outputs, backward: Box::new(backward) })
    }

    fn freeze_statistics(&mut self, frozen: bool) {
        self.frozen = frozen;
    }
}

fn backward(taped: &[Tensor], gradients: &[Tensor], leaves: &[Var], network: &Network) -> Result<Tensor> {
    let mut total: Option<Tensor> = None;
    for (output, gradient) in taped.iter().zip(gradients) {
        let product = (output * gradient)?.sum_all()?;
        total = Some(match total {
            Some(sum) => (sum + product)?,
            None => product,
        });
    }
    let total = total.ok_or_else(|| Error::internal("a network without outputs"))?;
    parameters::flat_gradient(leaves, &network.parameters, &total.backward()?)
}

/// Locations of the map read by each window position and tap; `locations` (one past the end) is the zero border.
fn covered_locations(from: MapShape, window: Window) -> Vec<u32> {
    let rows = window.positions(from.height).unwrap_or(0);
    let columns = window.positions(from.width).unwrap_or(0);
    let mut table = Vec::with_capacity(rows * columns * window.kernel * window.kernel);
    for row in 0..rows {
        for column in 0..columns {
            for i in 0..window.kernel {
                for j in 0..window.kernel {
                    let at = window.source(row, i, from.height).zip(window.source(column, j, from.width));
                    table.push(at.map_or(from.locations(), |(y, x)| y * from.width + x) as u32);
                }
            }
        }
    }
    table
}

/// `[B, L, k*k*I] x [O, I, k, k] -> [B, L, O]`.
fn multiply(columns: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (batch, locations, taps) = columns.dims3()?;
    let out = weight.dim(0)?;
    let matrix = weight.permute((2, 3, 1, 0))?.reshape((taps, out))?; // [k*k*I, O], the order of `gather`
    Ok(columns.reshape((batch * locations, taps))?.matmul(&matrix)?.reshape((batch, locations, out))?)
}

fn projection(layer: &Projection, x: &Tensor, parameters: &[Tensor], norms: &mut Norms) -> Result<Tensor> {
    let mut hidden = multiply(x, &parameters[layer.conv1.0])?;
    if let Some(norm) = &layer.hidden_norm {
        hidden = norms.apply(norm, &hidden, parameters)?;
    }
    let residual = multiply(&hidden.relu()?, &parameters[layer.conv2.0])?;
    let shortcut = multiply(x, &parameters[layer.shortcut_weight.0])?
        .broadcast_add(&parameters[layer.shortcut_bias.0])?;
    norms.apply(&layer.output_norm, &(residual + shortcut)?, parameters)
}

/// `[B, L, C] -> [B, L, C / 2]`.
fn alternate(x: &Tensor, parity: Parity) -> Result<Tensor> {
    let (batch, locations, channels) = x.dims3()?;
    let pairs = x.reshape((batch, locations, channels / 2, 2))?;
    Ok(pairs.narrow(D::Minus1, parity.first(), 1)?.squeeze(D::Minus1)?)
}

/// `told` and `x` `[B, 1, C]`, to as much.
fn coupling(layer: &Coupling, told: &Tensor, x: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let (scale, shift) = (told.narrow(D::Minus1, 0, half)?, told.narrow(D::Minus1, half, half)?);
    let (kept, moved) = (alternate(x, layer.kept)?, alternate(x, layer.kept.other())?);
    let moved = ((moved * scale.tanh()?.exp()?)? + shift)?;
    Ok(Tensor::stack(&layer.kept.order(kept, moved), D::Minus1)?.flatten_from(2)?)
}

/// `[B, 1, C] -> [B, components, C]`.
fn mixture(layer: &Mixture, x: &Tensor, parameters: &[Tensor]) -> Result<Tensor> {
    let (batch, _, channels) = x.dims3()?;
    let linear = |x: &Tensor, weight: ParameterId, bias: ParameterId| -> Result<Tensor> {
        Ok(x.matmul(&parameters[weight.0].t()?)?.broadcast_add(&parameters[bias.0])?)
    };
    let hidden = linear(&x.squeeze(1)?, layer.hidden_weight, layer.hidden_bias)?.relu()?;
    let residual = linear(&hidden, layer.weight, layer.bias)?;
    let components = residual.dim(1)? / channels;
    Ok(residual.reshape((batch, components, channels))?.broadcast_add(x)?)
}

/// The batch norms of one pass: applies them, and in training collects the moved running statistics.
struct Norms {
    network: Arc<Network>,
    running: Tensor,
    training: bool,
    moved: HashMap<usize, Tensor>,
}

impl Norms {
    fn new(network: Arc<Network>, running: &Tensor, training: bool) -> Self {
        Self { network, running: running.clone(), training, moved: HashMap::new() }
    }

    /// `[B, L, C] -> [B, L, C]`.
    fn apply(&mut self, norm: &BatchNorm, x: &Tensor, parameters: &[Tensor]) -> Result<Tensor> {
        let (batch, locations, channels) = x.dims3()?;
        let rows = x.reshape((batch * locations, channels))?;
        let (mean, variance) = if self.training {
            let statistics = batch_statistics(&rows)?;
            self.move_towards(norm.running_mean.0, &statistics.mean, norm.momentum)?;
            self.move_towards(norm.running_var.0, &statistics.unbiased_variance, norm.momentum)?;
            (statistics.mean, statistics.variance)
        } else {
            (self.buffer(norm.running_mean.0)?, self.buffer(norm.running_var.0)?)
        };
        let (weight, bias) = (&parameters[norm.weight.0], &parameters[norm.bias.0]);
        let y = normalise(&rows, &mean, &variance, weight, bias, norm.epsilon)?;
        Ok(y.reshape((batch, locations, channels))?)
    }

    fn buffer(&self, index: usize) -> Result<Tensor> {
        let buffer = &self.network.buffers[index];
        Ok(self.running.narrow(0, buffer.offset, buffer.len)?)
    }

    fn move_towards(&mut self, index: usize, batch_value: &Tensor, momentum: f64) -> Result<()> {
        let value = moved(&self.buffer(index)?, batch_value, momentum)?;
        self.moved.insert(index, value);
        Ok(())
    }

    fn moved(mut self) -> Result<Tensor> {
        let parts: Vec<Tensor> = (0..self.network.buffers.len())
            .map(|index| self.moved.remove(&index).map_or_else(|| self.buffer(index), Ok))
            .collect::<Result<_>>()?;
        Ok(if parts.is_empty() { self.running } else { Tensor::cat(&parts, 0)? })
    }
}
