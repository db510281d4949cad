//! What several tests share.
#![allow(dead_code, reason = "each test uses its own part")]

pub(crate) mod amdim;
pub(crate) mod plain;

use std::sync::Arc;

use amdim_cpu::CpuNetwork;
use amdim_kernels::gemm::Gemm;
use amdim_kernels::{Kernel, Pool, Stored};
use amdim_network::{Builder, MapShape, Network, PadMode, Padding, Parity, Source, Window};

/// A small generator of numbers (splitmix64); equal seeds give equal numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[-1, 1)`.
    pub(crate) fn value(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    pub(crate) fn values(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.value()).collect()
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.bits() as usize % choices.len()]
    }
}

/// An executor of the best kernel.
pub(crate) fn executor<S: Stored>(network: &Arc<Network>, threads: usize, slots: usize) -> CpuNetwork<S> {
    executor_of(Kernel::best(), network, threads, slots)
}

pub(crate) fn executor_of<S: Stored>(
    kernel: Kernel,
    network: &Arc<Network>,
    threads: usize,
    slots: usize,
) -> CpuNetwork<S> {
    CpuNetwork::new(network.clone(), kernel, Arc::new(Pool::new(threads).unwrap()), slots).unwrap()
}

/// The kernels that this processor supports.
pub(crate) fn kernels<S: Stored>() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|&kernel| Gemm::<S>::exists(kernel))
}

pub(crate) fn to_f32(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// Random parameters and running statistics; variances are positive.
pub(crate) fn random_state(network: &Network, random: &mut Random) -> (Vec<f64>, Vec<f64>) {
    let mut parameters = random.values(network.parameter_len());
    for parameter in &network.parameters {
        let fan_in: usize = parameter.shape[1..].iter().product();
        for value in &mut parameters[parameter.range()] {
            *value /= (fan_in as f64).sqrt();
        }
    }
    let mut buffers = random.values(network.buffer_len());
    for buffer in network.buffers.iter().filter(|buffer| buffer.name.ends_with("var")) {
        for value in &mut buffers[buffer.range()] {
            *value = value.abs() + 0.5;
        }
    }
    (parameters, buffers)
}

/// The network with mixture features of its first map, which has one location, as a last output.
pub(crate) fn with_mixture(network: Network, components: usize, hidden: usize) -> Network {
    let mut outputs = network.outputs.clone();
    let mut builder = Builder::extend(network);
    outputs.push(builder.mixture("mixture", outputs[0], components, hidden).unwrap());
    builder.finish(outputs)
}

/// Mixture features of a vector that others read as well.
pub(crate) fn mixture_network() -> Network {
    let mut builder = Builder::new(MapShape { channels: 2, height: 3, width: 3 });
    let window = Window::new(3, 1, Padding::none());
    let conv = builder.convolution("conv", Source::Picture, 5, window, true, false).unwrap();
    let vector = builder.batch_norm("norm", conv, true);
    with_mixture(builder.finish(vec![vector]), 4, 7)
}

/// A random network whose convolutions are wide enough to be computed by tiles (see docs/design/kernels.md), with borders
/// that tiles fit or overlap.
pub(crate) fn wide_network(random: &mut Random) -> Network {
    let side = |random: &mut Random| random.pick(&[8, 9, 10, 11, 12, 13]);
    let input = MapShape { channels: 16, height: side(random), width: side(random) };
    let border = |random: &mut Random| Padding {
        pixels: random.pick(&[0, 1, 2]),
        mode: random.pick(&[PadMode::Zero, PadMode::Reflect]),
    };
    let mut builder = Builder::new(input);
    let window = Window::new(3, 1, border(random));
    let (bias, relu, norm) =
        (random.pick(&[true, false]), random.pick(&[true, false]), random.pick(&[true, false]));
    let conv = builder.convolution("conv", Source::Picture, 17, window, bias, relu).unwrap();
    let window = Window::new(4, 2, border(random));
    let strided = builder.residual_block("strided", Source::Node(conv), 17, window, norm).unwrap();
    let window = Window::new(3, 1, border(random));
    let block = builder.residual_block("block", Source::Node(conv), 33, window, !norm).unwrap();
    builder.finish(vec![strided, block])
}

/// A random network of a few layers of every kind over small maps, some of them read twice.
pub(crate) fn random_network(random: &mut Random) -> Network {
    let input = MapShape {
        channels: random.pick(&[1, 3, 5]),
        height: random.pick(&[4, 7, 8]),
        width: random.pick(&[5, 6, 11]),
    };
    let mut builder = Builder::new(input);
    let mut top = Source::Picture;
    let mut nodes = vec![];
    for index in 0..random.pick(&[1, 2, 3, 5]) {
        let shape = builder.shape(top);
        let pixels = random.pick(&[0, 0, 1, 2]);
        let mode = random.pick(&[PadMode::Zero, PadMode::Reflect]);
        let window = Window::new(random.pick(&[1, 2, 3]), random.pick(&[1, 2]), Padding { pixels, mode });
        let name = format!("layer{index}");
        let wider = shape.channels + random.pick(&[0, 1, 4]);
        let added = match (random.pick(&[0, 1, 2, 3, 4, 4, 5, 6, 7, 8]), top) {
            (0, _) => {
                let (bias, relu) = (random.pick(&[true, false]), random.pick(&[true, false]));
                builder.convolution(&name, top, random.pick(&[1, 2, 7, 17]), window, bias, relu).ok()
            }
            (1, Source::Node(node)) => Some(builder.batch_norm(&name, node, true)),
            (2, Source::Node(node)) => {
                Some(builder.projection(&name, node, random.pick(&[1, 5, 16]), random.pick(&[true, false])))
            }
            (4, _) => {
                let (conv, norm, relu) =
                    (format!("{name}.c"), format!("{name}.n"), random.pick(&[true, false]));
                let (out, input) = (random.pick(&[shape.channels, 2, 16]), top);
                // Any earlier map of the right shape is added, else none.
                let earlier = [None, nodes.first().copied(), nodes.last().copied()];
                let add = random.pick(&earlier);
                let mut layer =
                    |add| builder.normed_convolution([&conv, &norm], input, out, window, add, relu).ok();
                layer(add).or_else(|| layer(None))
            }
            (5, Source::Node(node)) => builder.max_pool(&name, node, window).ok(),
            (6, Source::Node(node)) => Some(builder.global_average(&name, node)),
            (7, Source::Node(node)) => Some(builder.tanh(&name, node)),
            (8, _) => {
                let flat = builder.flatten(&format!("{name}.flat"), top);
                let kept = random.pick(&[Parity::Even, Parity::Odd]);
                // A vector of an odd number of values stays as it is.
                builder.coupling(&name, flat, kept, 3).ok().or(Some(flat))
            }
            _ => builder.residual_block(&name, top, wider, window, random.pick(&[true, false])).ok(),
        };
        // Windows that don't fit a map are left out.
        nodes.extend(added);
        if random.pick(&[true, true, false]) {
            top = added.map_or(top, Source::Node);
        }
    }
    if nodes.is_empty() {
        let one = Window::new(1, 1, Padding::none());
        nodes.push(builder.convolution("only", Source::Picture, 2, one, true, true).unwrap());
    }
    builder.finish(nodes)
}
