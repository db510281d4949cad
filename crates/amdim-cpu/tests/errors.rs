//! What is refused, and that a refusal changes nothing.

mod common;

use std::sync::Arc;

use amdim_cpu::{CpuError, CpuNetwork};
use amdim_kernels::{Kernel, Pool};
use amdim_network::{Network, Source};
use common::{Random, amdim, random_state};

fn executor(network: &Arc<Network>) -> CpuNetwork<f32> {
    common::executor(network, 1, 1)
}

fn small() -> (Arc<Network>, Vec<f32>, Vec<f32>) {
    let network = Arc::new(amdim::encoder(3, 2, 9, 1, false).unwrap());
    let (parameters, buffers) = random_state(&network, &mut Random(1));
    (network, common::to_f32(&parameters), common::to_f32(&buffers))
}

#[test]
fn wrong_lengths_name_the_argument() {
    let (network, parameters, buffers) = small();
    let mut executor = executor(&network);
    let images = vec![0.1; 2 * network.input.len()];
    let lengths = |error: CpuError| match error {
        CpuError::Length { what, expected, actual } => (what, expected, actual),
        other => panic!("{other}"),
    };
    let error = executor.set_parameters(&parameters[1..]).unwrap_err();
    assert_eq!(lengths(error), ("parameters", parameters.len(), parameters.len() - 1));
    let error = executor.infer(&[], &images, 2, &[0]).unwrap_err();
    assert_eq!(lengths(error), ("buffers", buffers.len(), 0));
    let error = executor.infer(&buffers, &images, 3, &[0]).unwrap_err();
    assert_eq!(lengths(error), ("images", 3 * network.input.len(), images.len()));
    let error = executor.infer(&buffers, &images, usize::MAX, &[0]).unwrap_err();
    assert_eq!(lengths(error), ("images", usize::MAX, images.len()));
    let mut moved = buffers.clone();
    let error = executor.forward(0, &mut moved, &images[1..], 2).unwrap_err();
    assert_eq!(lengths(error), ("images", images.len(), images.len() - 1));
    assert_eq!(moved, buffers);

    executor.forward(0, &mut moved, &images, 2).unwrap();
    let mut gradients = vec![0.0; parameters.len()];
    let outputs: Vec<Vec<f32>> = (0..3).map(|index| executor.output(0, index).to_vec()).collect();
    let [a, b, c] = [&outputs[0][..], &outputs[1], &outputs[2]];
    let error = executor.backward(0, &[a, b], &mut gradients).unwrap_err();
    assert_eq!(lengths(error), ("list of output gradients", 3, 2));
    let error = executor.backward(0, &[a, c, b], &mut gradients).unwrap_err();
    assert_eq!(lengths(error), ("output gradients", b.len(), c.len()));
    let error = executor.backward(0, &[a, b, c], &mut gradients[1..]).unwrap_err();
    assert_eq!(lengths(error), ("gradients", parameters.len(), parameters.len() - 1));
    assert!(gradients.iter().all(|&gradient| gradient == 0.0));
    executor.backward(0, &[a, b, c], &mut gradients).expect("refusals keep the slot");
}

#[test]
fn slots_and_batches() {
    let (network, parameters, mut buffers) = small();
    let mut executor = executor(&network);
    let images = vec![0.1; 2 * network.input.len()];
    let error = executor.infer(&buffers, &[], 0, &[0]).unwrap_err();
    assert!(matches!(error, CpuError::EmptyBatch));
    let error = executor.forward(1, &mut buffers, &images, 2).unwrap_err();
    assert!(matches!(error, CpuError::NoSuchSlot { slot: 1, slots: 1 }));
    let error = executor.backward(0, &[], &mut []).unwrap_err();
    assert!(matches!(error, CpuError::EmptySlot { slot: 0 }));
    assert!(executor.output(0, 0).is_empty() && executor.output(5, 0).is_empty());

    executor.forward(0, &mut buffers, &images, 2).unwrap();
    assert_eq!(executor.output(0, 1).len(), 2 * 25 * 9);
    assert!(executor.output(0, 3).is_empty());
    let outputs: Vec<Vec<f32>> = (0..3).map(|index| executor.output(0, index).to_vec()).collect();
    let given: Vec<&[f32]> = outputs.iter().map(Vec::as_slice).collect();
    let mut gradients = vec![0.0; parameters.len()];
    executor.backward(0, &given, &mut gradients).unwrap();
    let error = executor.backward(0, &given, &mut gradients).unwrap_err();
    assert!(matches!(error, CpuError::EmptySlot { slot: 0 }), "backward frees the slot");
}

#[test]
fn batch_statistics_of_one_value_are_refused_before_anything_moves() {
    let (network, _, buffers) = small();
    let mut executor = executor(&network);
    let images = vec![0.1; network.input.len()];
    let mut moved = buffers.clone();
    let error = executor.forward(0, &mut moved, &images, 1).unwrap_err();
    assert!(matches!(error, CpuError::SingleValue { layer } if layer == "layer_list.8"));
    assert_eq!(moved, buffers);
    executor.infer(&buffers, &images, 1, &[0]).expect("evaluation takes single pictures");
}

#[test]
fn descriptions_that_do_not_hang_together() {
    let (network, ..) = small();
    let refused = |change: fn(&mut Network)| {
        let mut changed = (*network).clone();
        change(&mut changed);
        let pool = Arc::new(Pool::new(1).unwrap());
        let made = CpuNetwork::<f32>::new(Arc::new(changed), Kernel::best(), pool, 1);
        matches!(made, Err(CpuError::Network { .. }))
    };
    assert!(refused(|network| network.outputs = vec![999]));
    assert!(refused(|network| network.nodes[1].input = Source::Node(2)));
    assert!(refused(|network| network.nodes[1].input = Source::Picture));
    assert!(refused(|network| network.nodes[2].shape.height += 1));
    assert!(refused(|network| network.parameters.truncate(3)));
    assert!(refused(|network| network.buffers.clear()));
    assert!(refused(|network| network.input.channels = 0));
}

#[test]
fn a_kernel_of_another_processor() {
    let (network, ..) = small();
    let other = Kernel::ALL.into_iter().find(|kernel| !kernel.is_supported()).expect("no processor has all");
    let pool = Arc::new(Pool::new(1).unwrap());
    assert!(matches!(CpuNetwork::<f32>::new(network, other, pool, 1), Err(CpuError::Kernel(_))));
}
