//! Backward passes against finite differences in `f64`.

mod common;

use std::sync::Arc;

use amdim_cpu::CpuNetwork;
use amdim_kernels::{Bf16, Kernel, Stored, WideBf16};
use amdim_network::{Builder, MapShape, Network, Padding, Source, Window};
use common::{
    Random, amdim, executor, executor_of, kernels, mixture_network, random_network, random_state, to_f32,
    wide_network, with_mixture,
};

/// A network, a point, and the weights of its outputs in a scalar.
struct Problem {
    network: Arc<Network>,
    executor: CpuNetwork<f64>,
    parameters: Vec<f64>,
    buffers: Vec<f64>,
    images: Vec<f64>,
    batch: usize,
    output_weights: Vec<Vec<f64>>,
}

impl Problem {
    fn new(network: Network, batch: usize, random: &mut Random) -> Self {
        let (parameters, buffers) = random_state(&network, random);
        let network = Arc::new(network);
        let images = random.values(batch * network.input.len());
        let output_weights =
            network.output_shapes().iter().map(|shape| random.values(batch * shape.len())).collect();
        let executor = executor(&network, 2, 1);
        Self { network, executor, parameters, buffers, images, batch, output_weights }
    }

    fn forward(&mut self, parameters: &[f64]) {
        self.executor.set_parameters(parameters).unwrap();
        self.executor.forward(0, &mut self.buffers.clone(), &self.images, self.batch).unwrap();
    }

    /// The sum of outputs times their weights.
    fn value(&mut self, parameters: &[f64]) -> f64 {
        self.forward(parameters);
        let outputs = self.output_weights.iter().enumerate();
        outputs
            .map(|(index, weights)| {
                self.executor.output(0, index).iter().zip(weights).map(|(y, w)| y * w).sum::<f64>()
            })
            .sum()
    }

    fn gradients(&mut self) -> Vec<f64> {
        let parameters = self.parameters.clone();
        self.forward(&parameters);
        let weights: Vec<&[f64]> = self.output_weights.iter().map(Vec::as_slice).collect();
        let mut gradients = vec![0.0; parameters.len()];
        self.executor.backward(0, &weights, &mut gradients).unwrap();
        gradients
    }

    /// Slope along a direction: central differences with two steps, extrapolated. The two must agree, or a ReLU
    /// switches between the points and there is no slope to compare with.
    fn slope(&mut self, direction: &[f64]) -> Option<f64> {
        let mut difference = |step: f64| {
            let shifted = |sign: f64| -> Vec<f64> {
                self.parameters.iter().zip(direction).map(|(p, d)| p + sign * step * d).collect()
            };
            let (above, below) = (shifted(1.0), shifted(-1.0));
            (self.value(&above) - self.value(&below)) / (2.0 * step)
        };
        let (coarse, fine) = (difference(2e-5), difference(1e-5));
        let scale = fine.abs().max(1.0);
        ((coarse - fine).abs() < 1e-7 * scale).then_some((4.0 * fine - coarse) / 3.0)
    }

    /// Checks every tensor along two random directions; returns how many slopes were compared.
    fn check(&mut self, random: &mut Random) -> usize {
        let gradients = self.gradients();
        let network = self.network.clone();
        let mut compared = 0;
        for parameter in &network.parameters {
            for _ in 0..2 {
                let mut direction = vec![0.0; self.parameters.len()];
                direction[parameter.range()].copy_from_slice(&random.values(parameter.len()));
                let expected = gradients.iter().zip(&direction).map(|(g, d)| g * d).sum::<f64>();
                let Some(slope) = self.slope(&direction) else { continue };
                compared += 1;
                let tolerance = 1e-6 * slope.abs().max(1.0);
                let name = &parameter.name;
                assert!((slope - expected).abs() < tolerance, "{name}: {expected}, slope {slope}");
            }
        }
        compared
    }
}

#[test]
fn random_networks() {
    let mut compared = 0;
    for seed in 0..100 {
        let mut random = Random(seed);
        let network = random_network(&mut random);
        let batch = random.pick(&[2, 3, 9]);
        compared += Problem::new(network, batch, &mut random).check(&mut random);
    }
    assert!(compared > 500, "only {compared} slopes are smooth");
}

#[test]
fn convolutions_by_tiles() {
    let mut compared = 0;
    for seed in 0..20 {
        let mut random = Random(seed);
        let network = wide_network(&mut random);
        let batch = random.pick(&[2, 3]);
        compared += Problem::new(network, batch, &mut random).check(&mut random);
    }
    assert!(compared > 100, "only {compared} slopes are smooth");
}

#[test]
fn every_parameter_of_small_encoders() {
    for (norm, batch) in [(false, 3), (true, 9)] {
        let mut random = Random(7);
        let mut problem = Problem::new(amdim::encoder(2, 2, 9, 2, norm).unwrap(), batch, &mut random);
        let tensors = problem.network.parameters.len();
        let compared = problem.check(&mut random);
        assert!(compared > tensors, "only {compared} of {} slopes are smooth", 2 * tensors);
        let gradients = problem.gradients();
        for parameter in &problem.network.parameters {
            let any = gradients[parameter.range()].iter().any(|&g| g != 0.0);
            assert_eq!(any, parameter.used, "{}", parameter.name);
        }
    }
}

/// One layer of each kind and option, each element of each parameter by itself.
#[test]
fn every_element_of_every_kind_of_layer() {
    let shape = MapShape { channels: 2, height: 5, width: 6 };
    let first = |builder: &mut Builder| {
        let one = Window::new(1, 1, Padding::none());
        Source::Node(builder.convolution("first", Source::Picture, 3, one, false, false).unwrap())
    };
    let windows = [
        Window::new(1, 1, Padding::none()),
        Window::new(1, 2, Padding::none()),
        Window::new(3, 1, Padding::none()),
        Window::new(4, 2, Padding::reflect(2)),
        Window::new(2, 1, Padding { pixels: 1, ..Padding::none() }),
    ];
    let mut networks = vec![];
    for window in windows {
        for option in [true, false] {
            let mut builder = Builder::new(shape);
            let below = first(&mut builder);
            let conv = builder.convolution("conv", below, 4, window, option, !option).unwrap();
            let block = builder.residual_block("block", below, 5, window, option).unwrap();
            networks.push(builder.finish(vec![conv, block, block]));
        }
    }
    for (out, norm) in [(2, true), (5, false)] {
        let mut builder = Builder::new(shape);
        let Source::Node(below) = first(&mut builder) else { unreachable!() };
        let normed = builder.batch_norm("norm", below, true);
        let projection = builder.projection("projection", below, out, norm);
        networks.push(builder.finish(vec![normed, projection, below]));
    }
    networks.push(mixture_network());
    let mut random = Random(11);
    for network in networks {
        let mut problem = Problem::new(network, 3, &mut random);
        let gradients = problem.gradients();
        let mut compared = 0;
        for (at, &gradient) in gradients.iter().enumerate() {
            let mut direction = vec![0.0; gradients.len()];
            direction[at] = 1.0;
            let Some(slope) = problem.slope(&direction) else { continue };
            compared += 1;
            assert!(
                (slope - gradient).abs() < 1e-6 * slope.abs().max(1.0),
                "{at}: {gradient}, slope {slope}"
            );
        }
        assert!(compared * 2 > gradients.len(), "{compared} of {} slopes are smooth", gradients.len());
    }
}

/// So many pictures that a group's gradients are made in several steps.
#[test]
fn mixture_features_of_a_large_batch() {
    let mut random = Random(19);
    let compared = Problem::new(mixture_network(), 1100, &mut random).check(&mut random);
    assert!(compared > 0, "no slope is smooth");
}

#[test]
fn gradients_are_added_and_unused_slots_stay() {
    let network = Arc::new(amdim::encoder(3, 2, 9, 1, false).unwrap());
    let mut random = Random(5);
    let (parameters, mut buffers) = random_state(&network, &mut random);
    let views = [random.values(4 * network.input.len()), random.values(4 * network.input.len())];
    let mut executor = executor::<f64>(&network, 2, 2);
    executor.set_parameters(&parameters).unwrap();
    let weights: Vec<Vec<f64>> =
        network.output_shapes().iter().map(|shape| random.values(4 * shape.len())).collect();
    let weights: Vec<&[f64]> = weights.iter().map(Vec::as_slice).collect();
    let mut alone = vec![];
    for view in &views {
        let mut gradients = vec![0.0; network.parameter_len()];
        executor.forward(1, &mut buffers, view, 4).unwrap();
        executor.backward(1, &weights, &mut gradients).unwrap();
        alone.push(gradients);
    }
    let mut both = vec![1.0; network.parameter_len()];
    executor.forward(0, &mut buffers, &views[0], 4).unwrap();
    executor.forward(1, &mut buffers, &views[1], 4).unwrap();
    executor.backward(1, &weights, &mut both).unwrap();
    executor.backward(0, &weights, &mut both).unwrap();
    for ((sum, a), b) in both.iter().zip(&alone[0]).zip(&alone[1]) {
        assert!((sum - 1.0 - a - b).abs() < 1e-9 * (1.0 + a.abs() + b.abs()));
    }
}

/// The batch is cut up by its size alone.
#[test]
fn the_number_of_threads_changes_no_bit() {
    for (norm, batch) in [(false, 19), (true, 8)] {
        let network = Arc::new(with_mixture(amdim::encoder(3, 8, 40, 2, norm).unwrap(), 3, 24));
        let mut random = Random(13);
        let (parameters, buffers) = random_state(&network, &mut random);
        let (parameters, buffers) = (to_f32(&parameters), to_f32(&buffers));
        let images = to_f32(&random.values(batch * network.input.len()));
        let results: Vec<_> = [1, 2, 3]
            .map(|threads| {
                let mut executor = executor::<f32>(&network, threads, 1);
                executor.set_parameters(&parameters).unwrap();
                let inferred = executor.infer(&buffers, &images, batch, &network.all_outputs()).unwrap();
                let mut moved = buffers.clone();
                executor.forward(0, &mut moved, &images, batch).unwrap();
                let outputs: Vec<Vec<f32>> = (0..4).map(|index| executor.output(0, index).to_vec()).collect();
                let given: Vec<&[f32]> = outputs.iter().map(Vec::as_slice).collect();
                let mut gradients = vec![0.0; parameters.len()];
                executor.backward(0, &given, &mut gradients).unwrap();
                let all = [inferred.concat(), outputs.concat(), moved, gradients].concat();
                all.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
            })
            .into();
        assert!(results[0] == results[1] && results[0] == results[2]);
    }
}

/// Gradients of every kernel in `S` against those of the plain path in `f64`: relative to a tensor's gradient, and a
/// part of the whole, because a shift before a batch norm has a gradient of zero.
fn compare_gradients<S: Stored<Real = f32>>(relative: f64, of_whole: f64) {
    let network = Arc::new(with_mixture(amdim::encoder(3, 8, 40, 2, true).unwrap(), 3, 24));
    let mut random = Random(17);
    let mut problem = Problem::new((*network).clone(), 20, &mut random);
    let expected = problem.gradients();
    let parameters = to_f32(&problem.parameters);
    let weights: Vec<Vec<f32>> = problem.output_weights.iter().map(|weights| to_f32(weights)).collect();
    let weights: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    for kernel in kernels::<S>() {
        let mut executor = executor_of::<S>(kernel, &network, 2, 1);
        executor.set_parameters(&parameters).unwrap();
        executor.forward(0, &mut to_f32(&problem.buffers), &to_f32(&problem.images), 20).unwrap();
        let mut gradients = vec![0.0; parameters.len()];
        executor.backward(0, &weights, &mut gradients).unwrap();
        let whole = expected.iter().map(|e| e.powi(2)).sum::<f64>().sqrt();
        for parameter in &network.parameters {
            let pairs = || gradients[parameter.range()].iter().zip(&expected[parameter.range()]);
            let error = pairs().map(|(&g, e)| (f64::from(g) - e).powi(2)).sum::<f64>().sqrt();
            let norm = pairs().map(|(_, e)| e.powi(2)).sum::<f64>().sqrt();
            let name = &parameter.name;
            assert!(error <= relative * norm + of_whole * whole, "{kernel} {name}: off by {error} of {norm}");
        }
    }
}

#[test]
fn single_precision_agrees_with_double() {
    compare_gradients::<f32>(1e-3, 1e-6);
}

/// Rounding to 8 bits at every layer leaves a few percent, in any direction.
#[test]
fn bf16_agrees_with_double() {
    compare_gradients::<Bf16>(0.15, 0.01);
    compare_gradients::<WideBf16>(0.15, 0.01);
}

/// Without a norm in the way, a network of bf16 gives what its rounded inputs and weights give in `f64`.
#[test]
fn one_layer_in_bf16_is_exact_up_to_its_result() {
    one_layer_is_exact::<Bf16>();
    one_layer_is_exact::<WideBf16>();
}

fn one_layer_is_exact<S: Stored<Real = f32>>() {
    let mut builder = Builder::new(MapShape { channels: 3, height: 6, width: 5 });
    let window = Window::new(3, 2, Padding::reflect(1));
    let conv = builder.convolution("conv", Source::Picture, 5, window, true, true).unwrap();
    let network = Arc::new(builder.finish(vec![conv]));
    let mut random = Random(23);
    let mut rounded = |count| -> Vec<f32> {
        to_f32(&random.values(count)).into_iter().map(|value| Bf16::from_real(value).to_real()).collect()
    };
    let (parameters, images) = (rounded(network.parameter_len()), rounded(4 * network.input.len()));
    let as_f64 = |values: &[f32]| -> Vec<f64> { values.iter().map(|&value| f64::from(value)).collect() };
    let mut exact = executor_of::<f64>(Kernel::Portable, &network, 1, 0);
    exact.set_parameters(&as_f64(&parameters)).unwrap();
    let expected = exact.infer(&[], &as_f64(&images), 4, &network.all_outputs()).unwrap();
    for kernel in kernels::<S>() {
        let mut executor = executor_of::<S>(kernel, &network, 2, 0);
        executor.set_parameters(&parameters).unwrap();
        let outputs = executor.infer(&[], &images, 4, &network.all_outputs()).unwrap();
        for (actual, expected) in outputs[0].iter().zip(&expected[0]) {
            let difference = (f64::from(*actual) - expected).abs();
            assert!(difference <= expected.abs() / 256.0 + 1e-6, "{kernel}: {actual} instead of {expected}");
        }
    }
}
