//! Runs with mixture features: trained, resumed, continued from a model without them, embedded, drawn.

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use amdim_core::checkpoint::Checkpoint;
use amdim_core::encoder::Scale;
use amdim_train::config::{BadImage, EmbedRequest, TrainRequest};
use amdim_train::embed::{Embedding, embed};
use amdim_train::event::TrainEvent;
use amdim_train::layer::Layer;
use amdim_train::model::TrainedModel;
use amdim_train::place::Placement;
use common::{code, data, halves, request, run, run_until};
use serde_json::{Value, json};

fn mixing(changes: &[(&str, Value)]) -> TrainRequest {
    let mut json = common::request_json();
    json["config"]["objective"]["mixture"] = json!({
        "components": 3, "hiddenUnits": null, "entropyWeight": 0.5, "temperature": null, "stopPosterior": true,
    });
    for (pointer, value) in changes {
        *json.pointer_mut(pointer).unwrap() = value.clone();
    }
    serde_json::from_value(json).unwrap()
}

fn embed_layer(model: &Path, layer: &str, batch_size: usize, maps: Option<&Path>) -> Embedding {
    let mut model = TrainedModel::load(model, Placement::cpu(1)).unwrap();
    let request = EmbedRequest {
        layer: Layer::try_from(layer.to_owned()).unwrap(),
        batch_size,
        threads: 2,
        on_bad_image: BadImage::Error,
        posterior_maps: maps.map(Into::into),
    };
    embed(&mut model, halves(5, 3).as_ref(), &request, &mut |_| (), &AtomicBool::new(false)).unwrap()
}

#[test]
fn a_run_with_mixture_features_is_resumed_bit_for_bit_and_embeds_them() {
    for executor in ["cpu", "candle"] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let straight = mixing(&[("/executor", json!(executor)), ("/output", json!(path("straight")))]);
        let (result, events) = run(&straight, data());
        let result = result.unwrap();
        let TrainEvent::Start { chance_level, parameters, .. } = &events[0] else { panic!("{events:?}") };
        let expected = (1.0f64 + 3.0 * 49.0).ln() - 0.5 * 3f64.ln();
        assert!((chance_level["1->7"] - expected).abs() < 1e-12);
        assert!((chance_level["5->5"] - (1.0f64 + 3.0 * 25.0).ln()).abs() < 1e-12);
        let plain = run(&request(&[]), data()).1;
        let TrainEvent::Start { parameters: without, .. } = &plain[0] else { panic!("{plain:?}") };
        assert_eq!(parameters - without, (16 * 16 + 16) + 3 * (16 * 16 + 16));
        let entropy = result.last_step.unwrap().posterior_entropy.unwrap();
        assert!(entropy > 0.0 && entropy <= 3f64.ln() + 1e-6, "{entropy}");

        let mut halved = mixing(&[
            ("/executor", json!(executor)),
            ("/output", json!(path("halved"))),
            ("/logEverySteps", json!(1)),
        ]);
        let (stopped, _) = run_until(&halved, data(), |event, cancel| {
            if matches!(event, TrainEvent::Step(step) if step.update == 3) {
                cancel.store(true, Ordering::Relaxed);
            }
        });
        assert!(stopped.unwrap().cancelled);
        halved.resume = Some(folder.path().join("halved/checkpoint.safetensors"));
        run(&halved, data()).0.unwrap();
        let [whole, halved] =
            ["straight", "halved"].map(|name| folder.path().join(name).join("model.safetensors"));
        let [weights, resumed] = [&whole, &halved].map(|path| Checkpoint::read(path).unwrap().tensors);
        assert_eq!(weights.keys().collect::<Vec<_>>(), resumed.keys().collect::<Vec<_>>());
        for (name, tensor) in &weights {
            assert_eq!(tensor, &resumed[name], "{executor}: {name}");
        }

        let mixture = embed_layer(&whole, "mixture", 2, None);
        assert_eq!(mixture.shape, [5, 3, 16]);
        assert_eq!(mixture.data, embed_layer(&halved, "mixture", 2, None).data);
        assert_eq!(mixture.data, embed_layer(&whole, "mixture", 2, None).data);
        for side in [5, 7] {
            let posterior = embed_layer(&whole, &format!("posterior{side}"), 2, None);
            assert_eq!(posterior.shape, [5, 3, side, side]);
            let local = embed_layer(&whole, &format!("local{side}"), 2, None);
            check_posterior(&posterior, &mixture, &local, side * side);
        }
    }
}

/// The posterior from the mixture features and the local map, one number at a time.
fn check_posterior(posterior: &Embedding, mixture: &Embedding, local: &Embedding, locations: usize) {
    let (components, embedding) = (3, 16);
    for picture in 0..5 {
        for location in 0..locations {
            let scores = [0, 1, 2].map(|component| {
                let score = (0..embedding).map(|c| {
                    let feature = mixture.data[(picture * components + component) * embedding + c];
                    feature * local.data[(picture * embedding + c) * locations + location]
                });
                let raw = f64::from(score.sum::<f32>()) / 4.0;
                (2.0 * 20.0 * (raw / 20.0).tanh()).exp()
            });
            for component in 0..components {
                let ours = posterior.data[(picture * components + component) * locations + location];
                let expected = scores[component] / scores.iter().sum::<f64>();
                assert!((f64::from(ours) - expected).abs() < 1e-4, "{ours}, {expected} expected");
            }
        }
    }
}

#[test]
fn posteriors_are_drawn_one_file_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.safetensors");
    TrainedModel::create(mixing(&[]).config, 5, Placement::cpu(1)).unwrap().save(&model).unwrap();
    let maps = folder.path().join("deep/maps");
    let drawn = embed_layer(&model, "posterior7", 2, Some(&maps));
    assert_eq!(drawn, embed_layer(&model, "posterior7", 2, None));
    let mut files: Vec<String> =
        fs::read_dir(&maps).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files.len(), 5);
    for (index, file) in files.iter().enumerate() {
        assert!(
            file.starts_with(&format!("00000{index}-")) && file.rsplit('.').next() == Some("png"),
            "{file}"
        );
        let bytes = fs::read(maps.join(file)).unwrap();
        assert_eq!(bytes[..8], *b"\x89PNG\r\n\x1a\n");
        // Width and height.
        assert_eq!(bytes[16..24], [0, 0, 3, 16, 0, 0, 1, 0]);
    }
    fs::remove_dir_all(&maps).unwrap();
    fs::write(&maps, "a file in the way").unwrap();
    let mut model = TrainedModel::load(&model, Placement::cpu(1)).unwrap();
    let request = EmbedRequest {
        layer: Layer::Posterior(Scale::new(5)),
        batch_size: 2,
        threads: 1,
        on_bad_image: BadImage::Error,
        posterior_maps: Some(maps),
    };
    let never = AtomicBool::new(false);
    let result = embed(&mut model, halves(2, 1).as_ref(), &request, &mut |_| (), &never);
    assert_eq!(code(result).0, "AMDIM_IO");
}

#[test]
fn a_model_without_a_mixture_has_no_posterior() {
    let mut model = TrainedModel::create(request(&[]).config, 5, Placement::cpu(1)).unwrap();
    for layer in [Layer::Mixture, Layer::Posterior(Scale::new(5))] {
        let request = EmbedRequest {
            layer,
            batch_size: 2,
            threads: 1,
            on_bad_image: BadImage::Error,
            posterior_maps: None,
        };
        let never = AtomicBool::new(false);
        let result = embed(&mut model, halves(2, 1).as_ref(), &request, &mut |_| (), &never);
        let (code, message) = code(result);
        assert_eq!(code, "AMDIM_INVALID_ARGUMENT");
        assert!(message.contains("no mixture features"), "{message}");
    }
}

/// An encoder that was trained without a mixture is a start for one with.
#[test]
fn a_mixture_can_be_added_to_a_trained_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let output = |name: &str| json!(folder.path().join(name).to_str().unwrap());
    run(&request(&[("/output", output("base"))]), data()).0.unwrap();
    let weights = json!(folder.path().join("base/model.safetensors").to_str().unwrap());
    let continued = mixing(&[
        ("/output", output("mixed")),
        ("/initialWeights", weights),
        ("/config/length", json!({ "updates": 1 })),
    ]);
    let result = run(&continued, data()).0.unwrap();
    let mixed = folder.path().join("mixed/model.safetensors");
    assert_eq!(embed_layer(&mixed, "mixture", 2, None).shape, [5, 3, 16]);
    assert!(result.last_step.unwrap().loss.is_finite());
}
