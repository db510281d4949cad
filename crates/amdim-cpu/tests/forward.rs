//! Forward passes against plain loops.

mod common;

use std::sync::Arc;

use amdim_cpu::CpuNetwork;
use amdim_network::Network;
use common::plain::Plain;
use common::{
    Random, amdim, executor, executor_of, kernels, mixture_network, random_network, random_state, to_f32,
    wide_network,
};
use quickcheck::quickcheck;

fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1.0_f64, |largest, value| largest.max(value.abs()));
    for (at, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance * largest, "{what}[{at}]: {a} instead of {e}");
    }
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Training and evaluation, in both precisions, with running statistics.
fn compare(network: Network, batch: usize, random: &mut Random) {
    let (parameters, buffers) = random_state(&network, random);
    let images = random.values(batch * network.input.len());
    let network = Arc::new(network);
    let mut exact = executor::<f64>(&network, 2, 1);
    exact.set_parameters(&parameters).unwrap();
    let mut singles: Vec<CpuNetwork<f32>> = kernels::<f32>()
        .map(|kernel| {
            let mut single = executor_of(kernel, &network, 2, 1);
            single.set_parameters(&to_f32(&parameters)).unwrap();
            single
        })
        .collect();
    let mut plain =
        Plain { network: &network, parameters: &parameters, buffers: buffers.clone(), training: false };
    let images32 = to_f32(&images);

    let expected = plain.run(&images, batch);
    let outputs = exact.infer(&buffers, &images, batch, &network.all_outputs()).unwrap();
    for (output, expected) in outputs.iter().zip(&expected) {
        assert_close(output, &expected.channels_last(), 1e-12, "eval f64");
    }
    for (place, output) in outputs.iter().enumerate() {
        let alone = exact.infer(&buffers, &images, batch, &[place]).unwrap();
        assert_eq!(alone, std::slice::from_ref(output), "output {place} alone");
    }
    for single in &mut singles {
        let outputs = single.infer(&to_f32(&buffers), &images32, batch, &network.all_outputs()).unwrap();
        for (output, expected) in outputs.iter().zip(&expected) {
            assert_close(&to_f64(output), &expected.channels_last(), 2e-5, "eval f32");
        }
    }

    plain.training = true;
    let expected = plain.run(&images, batch);
    let mut moved = buffers.clone();
    exact.forward(0, &mut moved, &images, batch).unwrap();
    assert_close(&moved, &plain.buffers, 1e-12, "buffers f64");
    for single in &mut singles {
        let mut moved = to_f32(&buffers);
        single.forward(0, &mut moved, &images32, batch).unwrap();
        assert_close(&to_f64(&moved), &plain.buffers, 2e-5, "buffers f32");
    }
    for (index, expected) in expected.iter().enumerate() {
        assert_close(exact.output(0, index), &expected.channels_last(), 1e-9, "train f64");
    }
}

quickcheck! {
    fn random_networks(seed: u64) -> bool {
        let mut random = Random(seed);
        let network = random_network(&mut random);
        let batch = random.pick(&[2, 3, 8, 9, 17]);
        compare(network, batch, &mut random);
        true
    }

    fn convolutions_by_tiles(seed: u64) -> bool {
        let mut random = Random(seed);
        let network = wide_network(&mut random);
        let batch = random.pick(&[1, 2, 9]);
        compare(network, batch, &mut random);
        true
    }

    fn single_pictures(seed: u64) -> bool {
        let mut random = Random(seed);
        let network = random_network(&mut random);
        // Batch norm over a single value is an error; see errors.rs.
        if network.nodes.iter().all(|node| node.shape.locations() > 1) {
            compare(network, 1, &mut random);
        }
        true
    }
}

#[test]
fn amdim_encoder_with_and_without_batch_norm() {
    let mut random = Random(1);
    compare(amdim::encoder(3, 3, 13, 2, false).unwrap(), 3, &mut random);
    compare(amdim::encoder(1, 2, 11, 1, true).unwrap(), 3, &mut random);
}

#[test]
fn mixture_features() {
    let mut random = Random(4);
    for batch in [2, 3, 300] {
        compare(mixture_network(), batch, &mut random);
    }
}

#[test]
fn a_smaller_batch_after_a_larger_one_reads_nothing_old() {
    let network = Arc::new(amdim::encoder(3, 2, 9, 1, true).unwrap());
    let mut random = Random(2);
    let (parameters, buffers) = random_state(&network, &mut random);
    let images = random.values(5 * network.input.len());
    let small = &images[..2 * network.input.len()];
    let run = |executor: &mut CpuNetwork<f64>| {
        executor.set_parameters(&parameters).unwrap();
        let mut moved = buffers.clone();
        executor.forward(0, &mut moved, small, 2).unwrap();
        let outputs: Vec<Vec<f64>> = (0..3).map(|index| executor.output(0, index).to_vec()).collect();
        let given: Vec<&[f64]> = outputs.iter().map(Vec::as_slice).collect();
        let mut gradients = vec![0.0; network.parameter_len()];
        executor.backward(0, &given, &mut gradients).unwrap();
        (
            outputs.clone(),
            moved,
            gradients,
            executor.infer(&buffers, small, 2, &network.all_outputs()).unwrap(),
        )
    };
    let fresh = run(&mut executor(&network, 1, 1));
    let mut used = executor(&network, 1, 1);
    used.set_parameters(&parameters).unwrap();
    used.infer(&buffers, &images, 5, &network.all_outputs()).unwrap();
    used.forward(0, &mut buffers.clone(), &images, 5).unwrap();
    let ones: Vec<Vec<f64>> = (0..3).map(|index| vec![1.0; used.output(0, index).len()]).collect();
    let ones: Vec<&[f64]> = ones.iter().map(Vec::as_slice).collect();
    used.backward(0, &ones, &mut vec![0.0; network.parameter_len()]).unwrap();
    assert_eq!(run(&mut used), fresh);
}

#[test]
fn not_a_number_goes_through() {
    let network = Arc::new(amdim::encoder(3, 2, 9, 1, false).unwrap());
    let (parameters, buffers) = random_state(&network, &mut Random(3));
    let mut images = vec![0.5; 2 * network.input.len()];
    images[40] = f64::NAN;
    let mut executor = executor::<f64>(&network, 2, 1);
    executor.set_parameters(&parameters).unwrap();
    let outputs = executor.infer(&buffers, &images, 2, &network.all_outputs()).unwrap();
    assert!(outputs[0][..9].iter().all(|value| value.is_nan()), "the 1x1 map sees every pixel");
    assert!(outputs[0][9..].iter().all(|value| value.is_finite()), "pictures are independent in evaluation");
    executor.forward(0, &mut buffers.clone(), &images, 2).unwrap();
    let given: Vec<Vec<f64>> = (0..3).map(|index| vec![1.0; executor.output(0, index).len()]).collect();
    let given: Vec<&[f64]> = given.iter().map(Vec::as_slice).collect();
    let mut gradients = vec![0.0; network.parameter_len()];
    executor.backward(0, &given, &mut gradients).unwrap();
    assert!(gradients[..network.parameters[0].len()].iter().all(|value| value.is_nan()));
}
