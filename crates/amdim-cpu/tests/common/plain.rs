//! Slow, obvious forward passes in `f64`: one loop an index, maps as `[picture, channel, row, column]`.

use amdim_network::{BatchNorm, BufferId, Layer, MapShape, Network, ParameterId, Source, Window};

/// A map of a batch.
#[derive(Clone)]
pub(crate) struct Map {
    pub(crate) batch: usize,
    pub(crate) shape: MapShape,
    pub(crate) values: Vec<f64>,
}

impl Map {
    fn zeros(batch: usize, shape: MapShape) -> Self {
        Self { batch, shape, values: vec![0.0; batch * shape.len()] }
    }

    fn index(&self, picture: usize, channel: usize, y: usize, x: usize) -> usize {
        ((picture * self.shape.channels + channel) * self.shape.height + y) * self.shape.width + x
    }

    fn at(&self, picture: usize, channel: usize, y: usize, x: usize) -> f64 {
        self.values[self.index(picture, channel, y, x)]
    }

    /// `value(picture, channel, row, column)` everywhere.
    fn from_fn(batch: usize, shape: MapShape, value: impl Fn(usize, usize, usize, usize) -> f64) -> Self {
        let mut map = Self::zeros(batch, shape);
        for picture in 0..batch {
            for channel in 0..shape.channels {
                for y in 0..shape.height {
                    for x in 0..shape.width {
                        let index = map.index(picture, channel, y, x);
                        map.values[index] = value(picture, channel, y, x);
                    }
                }
            }
        }
        map
    }

    fn relu(&self) -> Self {
        Self { values: self.values.iter().map(|v| v.max(0.0)).collect(), ..self.clone() }
    }

    fn plus(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a + b).collect();
        Self { values, ..self.clone() }
    }

    /// `[batch, locations, channels]`
    pub(crate) fn channels_last(&self) -> Vec<f64> {
        let mut values = vec![];
        for picture in 0..self.batch {
            for y in 0..self.shape.height {
                for x in 0..self.shape.width {
                    values.extend((0..self.shape.channels).map(|channel| self.at(picture, channel, y, x)));
                }
            }
        }
        values
    }
}

/// A forward pass; `buffers` moves when `training`.
pub(crate) struct Plain<'a> {
    pub(crate) network: &'a Network,
    pub(crate) parameters: &'a [f64],
    pub(crate) buffers: Vec<f64>,
    pub(crate) training: bool,
}

impl Plain<'_> {
    /// The maps of the network's outputs.
    pub(crate) fn run(&mut self, images: &[f64], batch: usize) -> Vec<Map> {
        let picture = Map { batch, shape: self.network.input, values: images.to_vec() };
        let mut maps: Vec<Map> = vec![];
        for node in &self.network.nodes {
            let x = match node.input {
                Source::Picture => picture.clone(),
                Source::Node(index) => maps[index].clone(),
            };
            let beside = node.beside().map(|at| maps[at].clone());
            maps.push(self.layer(&node.layer, &x, beside.as_ref(), node.shape));
        }
        self.network.outputs.iter().map(|&node| maps[node].clone()).collect()
    }

    fn layer(&mut self, layer: &Layer, x: &Map, beside: Option<&Map>, shape: MapShape) -> Map {
        let one = Window::new(1, 1, amdim_network::Padding::none());
        match layer {
            Layer::Convolution(layer) => {
                let y = self.convolution(x, shape, layer.window, layer.weight, layer.bias);
                if layer.relu { y.relu() } else { y }
            }
            Layer::ResidualBlock(layer) => {
                let hidden = self.convolution(x, shape, layer.window, layer.conv1, None);
                let hidden = self.maybe_norm(&hidden, layer.norm.as_ref()).relu();
                self.convolution(&hidden, shape, one, layer.conv2, None).plus(&average(
                    x,
                    shape,
                    layer.window,
                ))
            }
            Layer::BatchNorm(norm) => self.norm(x, norm),
            Layer::NormedConvolution(layer) => {
                let sum = self.convolution(x, shape, layer.window, layer.weight, None);
                let normed = self.norm(&sum, &layer.norm);
                let y = beside.map_or_else(|| normed.clone(), |added| normed.plus(added));
                if layer.relu { y.relu() } else { y }
            }
            Layer::MaxPool(window) => max_pool(x, shape, *window),
            Layer::Tanh => Map::from_fn(x.batch, shape, |picture, channel, row, column| {
                x.at(picture, channel, row, column).tanh()
            }),
            Layer::Flatten => Map::from_fn(x.batch, shape, |picture, value, _, _| {
                let (location, channel) = (value / x.shape.channels, value % x.shape.channels);
                x.at(picture, channel, location / x.shape.width, location % x.shape.width)
            }),
            Layer::Alternate(parity) => Map::from_fn(x.batch, shape, |picture, channel, row, column| {
                x.at(picture, 2 * channel + parity.first(), row, column)
            }),
            Layer::Coupling(layer) => Map::from_fn(x.batch, shape, |picture, channel, _, _| {
                let value = beside.unwrap().at(picture, channel, 0, 0);
                let told = |number: usize| x.at(picture, number, 0, 0);
                if channel % 2 == layer.kept.first() {
                    value
                } else {
                    value * told(channel / 2).tanh().exp() + told(channel / 2 + shape.channels / 2)
                }
            }),
            Layer::GlobalAverage => Map::from_fn(x.batch, shape, |picture, channel, _, _| {
                let at =
                    |location| x.at(picture, channel, location / x.shape.width, location % x.shape.width);
                (0..x.shape.locations()).map(at).sum::<f64>() / x.shape.locations() as f64
            }),
            Layer::Projection(layer) => {
                let hidden = self.convolution(x, shape, one, layer.conv1, None);
                let hidden = self.maybe_norm(&hidden, layer.hidden_norm.as_ref()).relu();
                let shortcut =
                    self.convolution(x, shape, one, layer.shortcut_weight, Some(layer.shortcut_bias));
                let sum = self.convolution(&hidden, shape, one, layer.conv2, None).plus(&shortcut);
                self.norm(&sum, &layer.output_norm)
            }
            Layer::Mixture(layer) => {
                let (hidden_weight, hidden_bias) =
                    (self.parameter(layer.hidden_weight), self.parameter(layer.hidden_bias));
                let (weight, bias) = (self.parameter(layer.weight), self.parameter(layer.bias));
                let (channels, units) = (x.shape.channels, hidden_bias.len());
                Map::from_fn(x.batch, shape, |picture, channel, component, _| {
                    let row = component * channels + channel;
                    let mut y = x.at(picture, channel, 0, 0) + bias[row];
                    for unit in 0..units {
                        let inputs = (0..channels)
                            .map(|c| hidden_weight[unit * channels + c] * x.at(picture, c, 0, 0));
                        let hidden = (inputs.sum::<f64>() + hidden_bias[unit]).max(0.0);
                        y += weight[row * units + unit] * hidden;
                    }
                    y
                })
            }
        }
    }

    fn parameter(&self, id: ParameterId) -> &[f64] {
        &self.parameters[self.network.parameters[id.0].range()]
    }

    fn convolution(
        &self,
        x: &Map,
        shape: MapShape,
        window: Window,
        weight: ParameterId,
        bias: Option<ParameterId>,
    ) -> Map {
        let weight = self.parameter(weight);
        Map::from_fn(x.batch, shape, |picture, out, row, column| {
            let mut sum = bias.map_or(0.0, |bias| self.parameter(bias)[out]);
            for channel in 0..x.shape.channels {
                for i in 0..window.kernel {
                    for j in 0..window.kernel {
                        let source =
                            (window.source(row, i, x.shape.height), window.source(column, j, x.shape.width));
                        if let (Some(y), Some(x_at)) = source {
                            let index =
                                ((out * x.shape.channels + channel) * window.kernel + i) * window.kernel + j;
                            sum += weight[index] * x.at(picture, channel, y, x_at);
                        }
                    }
                }
            }
            sum
        })
    }

    fn maybe_norm(&mut self, x: &Map, norm: Option<&BatchNorm>) -> Map {
        norm.map_or_else(|| x.clone(), |norm| self.norm(x, norm))
    }

    fn norm(&mut self, x: &Map, norm: &BatchNorm) -> Map {
        let place = |id: BufferId| self.network.buffers[id.0].range();
        let (means, variances) = (place(norm.running_mean), place(norm.running_var));
        let mut y = x.clone();
        for channel in 0..x.shape.channels {
            let indexes: Vec<usize> = (0..x.values.len())
                .filter(|at| at / x.shape.locations() % x.shape.channels == channel)
                .collect();
            let count = indexes.len() as f64;
            let (running_mean, running_variance) = (means.start + channel, variances.start + channel);
            let (mut mean, mut variance) = (self.buffers[running_mean], self.buffers[running_variance]);
            if self.training {
                mean = indexes.iter().map(|&at| x.values[at]).sum::<f64>() / count;
                let squares = indexes.iter().map(|&at| (x.values[at] - mean).powi(2)).sum::<f64>();
                variance = squares / count;
                let keep = 1.0 - norm.momentum;
                self.buffers[running_mean] = keep * self.buffers[running_mean] + norm.momentum * mean;
                self.buffers[running_variance] =
                    keep * self.buffers[running_variance] + norm.momentum * squares / (count - 1.0);
            }
            let (scale, shift) = (self.parameter(norm.weight)[channel], self.parameter(norm.bias)[channel]);
            for at in indexes {
                y.values[at] = (x.values[at] - mean) / (variance + norm.epsilon).sqrt() * scale + shift;
            }
        }
        y
    }
}

/// Largest value of the window, the border left out.
fn max_pool(x: &Map, shape: MapShape, window: Window) -> Map {
    Map::from_fn(x.batch, shape, |picture, channel, row, column| {
        let mut largest = f64::NEG_INFINITY;
        for (i, j) in (0..window.kernel).flat_map(|i| (0..window.kernel).map(move |j| (i, j))) {
            let source = (window.source(row, i, x.shape.height), window.source(column, j, x.shape.width));
            if let (Some(y), Some(x_at)) = source {
                largest = largest.max(x.at(picture, channel, y, x_at));
            }
        }
        largest
    })
}

/// Average over the window, zeros of the border included; channels beyond those of `x` are zero.
fn average(x: &Map, shape: MapShape, window: Window) -> Map {
    Map::from_fn(x.batch, shape, |picture, channel, row, column| {
        if channel >= x.shape.channels {
            return 0.0;
        }
        let mut sum = 0.0;
        for i in 0..window.kernel {
            for j in 0..window.kernel {
                let source = (window.source(row, i, x.shape.height), window.source(column, j, x.shape.width));
                if let (Some(y), Some(x_at)) = source {
                    sum += x.at(picture, channel, y, x_at);
                }
            }
        }
        sum / (window.kernel * window.kernel) as f64
    })
}
