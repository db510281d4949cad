//! Residual networks against torchvision's numbers; `tools/make-resnet-golden.py` wrote them.

mod common;

use std::path::Path;
use std::sync::Arc;

use amdim_core::encoder::{ResNetDepth, ResNetEncoder};
use amdim_core::executor::{self, Executor, ExecutorKind, Precision};
use amdim_network::Network;
use candle_core::{DType, Device, Tensor};
use common::{flat, reshaped};
use safetensors::SafeTensors;

/// Uniform in [-1, 1): SplitMix64, counted from the seed.
fn drawn(count: usize, seed: u64) -> Vec<f64> {
    let value = |index: u64| {
        let mut z = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (1..=count as u64).map(value).collect()
}

/// Parameters and running statistics from their place among the names.
fn state(network: &Network) -> [Vec<f64>; 2] {
    let mut names: Vec<&str> = network.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    names.extend(network.buffers.iter().map(|buffer| buffer.name.as_str()));
    names.sort_unstable();
    let seed = |name: &str| names.iter().position(|other| *other == name).map_or(0, |place| place as u64);
    let mut parameters = vec![0.0; network.parameter_len()];
    for parameter in &network.parameters {
        let fan_in: usize = parameter.shape[1..].iter().product();
        let change = |value: f64| match (parameter.shape.len(), parameter.name.ends_with("weight")) {
            (4, _) => value * (3.0 / fan_in as f64).sqrt(),
            (_, true) => 1.0 + 0.3 * value,
            (_, false) => 0.3 * value,
        };
        let values: Vec<f64> =
            drawn(parameter.len(), seed(&parameter.name)).into_iter().map(change).collect();
        parameters[parameter.range()].copy_from_slice(&values);
    }
    let mut buffers = vec![0.5; network.buffer_len()];
    for buffer in &network.buffers {
        let change = |value: f64| if buffer.name.ends_with("var") { 1.0 + 0.5 * value } else { 0.3 * value };
        let values: Vec<f64> = drawn(buffer.len, seed(&buffer.name)).into_iter().map(change).collect();
        buffers[buffer.range()].copy_from_slice(&values);
    }
    [parameters, buffers]
}

/// The network without its projections, which come last: the maps of the stages and their average.
fn backbone(encoder: &ResNetEncoder) -> Network {
    let mut network = encoder.describe().unwrap();
    let last = |prefix: &str| network.nodes.iter().rposition(|node| node.name.starts_with(prefix)).unwrap();
    let outputs = ["layer1", "layer2", "layer3", "layer4", "avgpool"].map(last).to_vec();
    network.nodes.truncate(outputs[4] + 1);
    network.parameters.retain(|parameter| !parameter.name.starts_with("rkhs"));
    network.buffers.retain(|buffer| !buffer.name.starts_with("rkhs"));
    Network { outputs, ..network }
}

fn assert_near(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    // A convolution of one channel before a batch norm has a gradient of almost nothing, which is all rounding.
    let largest = theirs.iter().fold(1e-3, |largest: f64, value| largest.max(value.abs()));
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= 1e-9 * largest, "{what}: {a} instead of {b}");
    }
}

/// `[batch, locations, channels]` -> `[batch, channels, locations]`
fn channels_first(map: &Tensor) -> Vec<f64> {
    flat(&map.transpose(1, 2).unwrap().contiguous().unwrap())
}

#[test]
fn maps_statistics_and_gradients_are_torchvisions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/resnet.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let golden = |name: &str| -> Vec<f64> {
        let bytes = file.tensor(name).unwrap().data().as_chunks::<8>().0;
        bytes.iter().map(|&value| f64::from_le_bytes(value)).collect()
    };
    for (name, depth, base_width, encoder_size, batch) in [
        ("resnet18", ResNetDepth::ResNet18, 2, 32, 2),
        ("resnet34", ResNetDepth::ResNet34, 1, 64, 2),
        ("resnet50", ResNetDepth::ResNet50, 1, 128, 2),
    ] {
        let local_maps = vec![4, 8, 16, 32];
        let encoder = ResNetEncoder {
            depth,
            encoder_size,
            input_channels: 3,
            base_width,
            embedding_dim: 1,
            local_maps,
        };
        let network = Arc::new(backbone(&encoder));
        let [parameters, buffers] = state(&network);
        let (parameters, buffers) =
            (reshaped(&parameters, &[parameters.len()]), reshaped(&buffers, &[buffers.len()]));
        let shape = [batch, 3, encoder_size, encoder_size];
        let images = reshaped(&drawn(shape.iter().product(), 1000), &shape);
        for kind in [ExecutorKind::Cpu, ExecutorKind::Candle] {
            let network = Arc::clone(&network);
            let mut executor =
                executor::build(kind, network, &Device::Cpu, DType::F64, Precision::F32, 2).unwrap();
            check(&mut *executor, &parameters, &buffers, &images, &|key| golden(&format!("{name}.{key}")));
        }
    }
}

fn check(
    executor: &mut dyn Executor,
    parameters: &Tensor,
    buffers: &Tensor,
    images: &Tensor,
    golden: &dyn Fn(&str) -> Vec<f64>,
) {
    let network = Arc::clone(executor.network());
    let maps = executor.infer(parameters, buffers, images, &network.all_outputs()).unwrap();
    for (map, key) in maps.iter().zip(["layer1", "layer2", "layer3", "layer4", "avgpool"]) {
        assert_near(&channels_first(map), &golden(&format!("eval.{key}")), key);
    }
    let mut running = buffers.clone();
    let pass = executor.forward(parameters, &mut running, images).unwrap();
    let average = pass.outputs[4].clone();
    assert_near(&channels_first(&average), &golden("train.avgpool"), "avgpool in training");
    let running = flat(&running);
    let mut norms: Vec<_> = network.buffers.iter().collect();
    norms.sort_unstable_by_key(|buffer| &buffer.name);
    let moved: Vec<f64> = norms.iter().flat_map(|buffer| running[buffer.range()].to_vec()).collect();
    assert_near(&moved, &golden("running"), "running statistics");
    let mut gradients: Vec<Tensor> = pass.outputs.iter().map(|map| map.zeros_like().unwrap()).collect();
    gradients[4] = reshaped(&drawn(average.elem_count(), 1001), average.dims());
    let gradient = flat(&pass.backward(&gradients).unwrap());
    for parameter in &network.parameters {
        let values = &gradient[parameter.range()];
        let mut found = values[..values.len().min(6)].to_vec();
        found.push(values.iter().map(|value| value * value).sum::<f64>().sqrt());
        assert_near(&found, &golden(&format!("gradient.{}", parameter.name)), &parameter.name);
    }
}
