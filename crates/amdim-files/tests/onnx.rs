//! The ONNX models that are written, run operator by operator in the slow, obvious way (in f64), against the encoder's
//! own executor.

mod interpreter;

use std::collections::{BTreeSet, HashMap};

use amdim_core::encoder::{
    Activation, AmdimEncoder, EncoderConfig, InfomaxEncoder, MlpEncoder, RealNvpEncoder, ResNetDepth,
    ResNetEncoder, Scale,
};
use amdim_core::model::{Model, ModelConfig, Placement};
use amdim_core::tensors;
use amdim_files::FilesError;
use amdim_files::onnx::proto::{self, Length};
use amdim_files::onnx::{Export, INPUT, OPSET};
use prost::Message;

use interpreter::{Values, run};

const BATCH: usize = 2;
const OUTPUTS: [(&str, usize); 3] = [("global", 0), ("local5", 1), ("local7", 2)];

/// One of the authors' encoders.
fn encoder(encoder_size: usize, batch_norm: bool) -> Model {
    let embedding_dim = if encoder_size == 32 { 8 } else { 16 };
    let encoder = AmdimEncoder {
        encoder_size,
        input_channels: 3,
        base_width: 2,
        embedding_dim,
        block_depth: 2,
        batch_norm,
    };
    model(encoder.into())
}

/// A model whose every tensor has values of its own, those that start at zero or one included.
fn model(encoder: EncoderConfig) -> Model {
    let mut model = Model::new(ModelConfig::encoder_alone(encoder), 1, Placement::cpu(1)).unwrap();
    let wave = |len: usize, from: f32, scale: f32| -> Vec<f32> {
        (0..len).map(|i| from + scale * (i as f32 * 0.7).sin()).collect()
    };
    let (parameters, running) = (model.network().parameter_len(), model.network().buffer_len());
    let device = model.placement().device.clone();
    let flat = |values: Vec<f32>| {
        tensors::from_slice(&values, &[values.len()], model.placement().dtype, &device).unwrap()
    };
    let (parameters, running) = (flat(wave(parameters, 0.02, 0.2)), flat(wave(running, 1.0, 0.5)));
    (model.parameters, model.running) = (parameters, running);
    model
}

/// Pixels in 0..1, `[BATCH, 3, side, side]`.
fn pixels(side: usize) -> Vec<f32> {
    (0..BATCH * 3 * side * side).map(|i| 0.5 + 0.5 * (i as f32 * 0.37).sin()).collect()
}

struct Parts {
    parameters: Vec<f32>,
    running: Vec<f32>,
}

impl Parts {
    fn of(model: &Model) -> Self {
        let parameters = tensors::to_vec(&model.parameters).unwrap();
        Self { parameters, running: tensors::to_vec(&model.running).unwrap() }
    }

    fn export<'a>(&'a self, model: &'a Model, outputs: &'a [(&'a str, usize)]) -> Export<'a> {
        Export {
            network: model.network(),
            parameters: &self.parameters,
            running: &self.running,
            outputs,
            normalisation: None,
            version: "0",
            metadata: &[],
        }
    }
}

fn written(export: &Export) -> proto::Model {
    let mut bytes = vec![];
    export.write(&mut bytes).unwrap();
    proto::Model::decode(&bytes[..]).unwrap()
}

fn assert_close(what: &str, found: &[f64], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
    for (found, &expected) in found.iter().zip(expected) {
        assert!((found - f64::from(expected)).abs() < 2e-5 * f64::from(scale), "{what}: {found} {expected}");
    }
}

#[test]
fn every_encoder_computes_what_our_executor_does() {
    for (side, batch_norm) in [(32, false), (32, true), (64, false), (128, true)] {
        let results = assert_same(encoder(side, batch_norm), &OUTPUTS);
        assert_eq!(results["local5"].shape, [BATCH, results["global"].shape[1], 5, 5]);
    }
}

#[test]
fn residual_networks_compute_what_our_executor_does() {
    for (depth, side) in [(ResNetDepth::ResNet18, 32), (ResNetDepth::ResNet50, 128)] {
        let encoder = ResNetEncoder {
            depth,
            encoder_size: side,
            input_channels: 3,
            base_width: 1,
            embedding_dim: 6,
            local_maps: vec![4, 8],
        };
        assert_same(model(encoder.into()), &[("global", 0), ("local4", 1), ("local8", 2)]);
    }
}

#[test]
fn deep_infomax_encoders_compute_what_our_executor_does() {
    for (encoder_size, local) in [(28, "local7"), (32, "local8"), (64, "local8")] {
        let encoder = InfomaxEncoder { encoder_size, input_channels: 3, base_width: 2, embedding_dim: 6 };
        assert_same(model(encoder.into()), &[("global", 0), (local, 1)]);
    }
}

#[test]
fn perceptrons_compute_what_our_executor_does() {
    for activation in [Activation::Relu, Activation::Tanh] {
        let encoder = MlpEncoder {
            encoder_size: 28,
            input_channels: 3,
            hidden_units: 7,
            hidden_layers: 2,
            embedding_dim: 5,
            activation,
        };
        assert_same(model(encoder.into()), &[("global", 0)]);
    }
}

#[test]
fn invertible_encoders_compute_what_our_executor_does() {
    let encoder = RealNvpEncoder { encoder_size: 28, input_channels: 3, hidden_units: 7, couplings: 2 };
    assert_same(model(encoder.into()), &[("global", 0)]);
}

/// Runs what is written beside the executor, and returns the values of the outputs.
fn assert_same(mut model: Model, outputs: &[(&str, usize)]) -> HashMap<String, Values> {
    let side = model.config().encoder.encoder_size();
    let images = model.images(&pixels(side), BATCH).unwrap();
    let features = model.embed(&images).unwrap();
    let parts = Parts::of(&model);
    let graph = written(&parts.export(&model, outputs));
    let results = run(&graph, Values::new(&[BATCH, 3, side, side], pixels(side)));
    for ((name, _), &scale) in outputs.iter().zip(features.scales()) {
        let expected = tensors::to_vec(&features.channels_first(scale).unwrap()).unwrap();
        assert_close(&format!("{side} {name}"), &results[*name].data, &expected);
    }
    assert_eq!(results["global"].shape, [BATCH, model.config().encoder.embedding_dim()]);
    results
}

#[test]
fn normalisation_is_part_of_the_graph_where_it_is_asked_for() {
    let (mean, std) = ([0.4, 0.5, 0.6], [0.2, 0.25, 0.3]);
    let mut model = encoder(32, false);
    let place = 32 * 32;
    let normalised: Vec<f32> =
        pixels(32).iter().enumerate().map(|(i, v)| (v - mean[i / place % 3]) / std[i / place % 3]).collect();
    let images = model.images(&normalised, BATCH).unwrap();
    let expected = tensors::to_vec(model.embed(&images).unwrap().at(Scale::GLOBAL).unwrap()).unwrap();
    let parts = Parts::of(&model);
    let export = Export { normalisation: Some((&mean, &std)), ..parts.export(&model, &OUTPUTS[..1]) };
    let results = run(&written(&export), Values::new(&[BATCH, 3, 32, 32], pixels(32)));
    assert_close("global", &results["global"].data, &expected);
}

#[test]
fn the_model_says_what_it_is() {
    let model = encoder(32, false);
    let parts = Parts::of(&model);
    let metadata = [("amdim.input", "normalised pixels".to_owned())];
    let graph = written(&Export { metadata: &metadata, ..parts.export(&model, &OUTPUTS[..2]) });
    assert_eq!((graph.opset_import[0].version, graph.opset_import[0].domain.as_str()), (OPSET, ""));
    assert_eq!(graph.metadata_props[0].key, "amdim.input");
    let graph = graph.graph.unwrap();
    let dims = |value: &proto::ValueInfo| -> Vec<Length> {
        let shape = value.r#type.clone().unwrap().tensor_type.unwrap().shape.unwrap();
        shape.dim.into_iter().map(|dim| dim.length.unwrap()).collect()
    };
    let batch = Length::Name("batch".into());
    let side = Length::Value(32);
    assert_eq!(graph.input[0].name, INPUT);
    assert_eq!(dims(&graph.input[0]), [batch.clone(), Length::Value(3), side.clone(), side]);
    assert_eq!(dims(&graph.output[0]), [batch.clone(), Length::Value(8)]);
    assert_eq!(dims(&graph.output[1]), [batch, Length::Value(8), Length::Value(5), Length::Value(5)]);
    // Values have names of their own, and operations stand after what they need.
    let mut known: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(known.len(), graph.initializer.len());
    known.insert(INPUT);
    for node in &graph.node {
        assert!(node.input.iter().all(|input| known.contains(input.as_str())), "{}", node.name);
        assert!(known.insert(&node.output[0]), "{}", node.name);
    }
    // What no output needs is not there.
    assert!(known.contains("rkhs_block_5.conv1.weight") && !known.contains("rkhs_block_7.conv1.weight"));
    // Batch norms that are never applied are not there either.
    assert!(!known.contains("layer_list.1.bn1.bn.weight"));
}

#[test]
fn weights_beside_the_graph_are_the_same_weights() {
    // With a border, whose widths are whole numbers.
    let model = encoder(128, true);
    let parts = Parts::of(&model);
    let export = parts.export(&model, &OUTPUTS);
    assert!(!export.needs_file_beside());
    let (mut graph, mut weights) = (vec![], vec![]);
    export.write_with_file_beside(&mut graph, "encoder.onnx.data", &mut weights).unwrap();
    let graph = proto::Model::decode(&graph[..]).unwrap().graph.unwrap();
    let inside = written(&export).graph.unwrap();
    let (numbers, floats): (Vec<_>, Vec<_>) = graph
        .initializer
        .iter()
        .zip(&inside.initializer)
        .partition(|(tensor, _)| tensor.data_type == proto::INT64);
    assert!(!numbers.is_empty());
    for (outside, inside) in numbers {
        assert_eq!(outside, inside);
    }
    for (outside, inside) in floats {
        let entry = |key: &str| &outside.external_data.iter().find(|e| e.key == key).unwrap().value;
        let (offset, length): (usize, usize) =
            (entry("offset").parse().unwrap(), entry("length").parse().unwrap());
        assert_eq!(
            (entry("location").as_str(), outside.data_location),
            ("encoder.onnx.data", proto::EXTERNAL)
        );
        assert!(outside.raw_data.is_empty());
        assert_eq!(weights[offset..offset + length], inside.raw_data);
        assert_eq!((&outside.name, &outside.dims), (&inside.name, &inside.dims));
    }
}

#[test]
fn what_does_not_fit_the_network_is_refused() {
    let model = encoder(32, false);
    let parts = Parts::of(&model);
    let whole = parts.export(&model, &OUTPUTS);
    for bad in [
        Export { outputs: &[], ..whole.clone() },
        Export { outputs: &[("more", 3)], ..whole.clone() },
        Export { parameters: &parts.parameters[1..], ..whole.clone() },
        Export { running: &[], ..whole.clone() },
        Export { normalisation: Some((&[0.5], &[0.5])), ..whole },
    ] {
        assert!(matches!(bad.write(&mut vec![]), Err(FilesError::InvalidArgument { .. })));
    }
}
