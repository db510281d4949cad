//! Files survive what disks and users do to them, and a resumed learner goes on bit for bit.

mod common;

use std::fs;
use std::path::Path;

use amdim_core::checkpoint::{Checkpoint, Progress, Stored, write_aside};
use amdim_core::critic::CriticKind;
use amdim_core::encoder::InfomaxEncoder;
use amdim_core::estimator::{Bound, Maximised};
use amdim_core::executor::ExecutorKind;
use amdim_core::loss::{ObjectiveConfig, Term};
use amdim_core::method::{DimConfig, MethodConfig, MocoConfig, MultiviewConfig, VaeConfig, VibConfig};
use amdim_core::model::{Model, ModelConfig, Placement};
use amdim_core::optim::{Adam, AdamConfig};
use amdim_core::train_state::TrainState;
use amdim_core::train_step::{Learner, Learns, StepConfig};
use candle_core::{DType, Tensor};
use common::{classifiers, encoder, flat, mixture, mixture_model, mixture_shape, model, tensor};
use safetensors::SafeTensors;
use serde_json::Value;

fn learner(executor: ExecutorKind) -> Learner {
    mixing_learner(executor, false)
}

fn mixing_learner(executor: ExecutorKind, mixes: bool) -> Learner {
    let optimizer = AdamConfig {
        learning_rate: 1e-3,
        beta1: 0.8,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 1e-5,
        gradient_clip: Some(1.0),
    };
    let objective = ObjectiveConfig {
        score_clip: Some(20.0),
        logit_penalty: 0.04,
        terms: vec![Term::new(1, 5), Term::new(5, 5)],
        mixture: mixes.then(mixture),
    };
    let config = StepConfig {
        method: MethodConfig::Amdim,
        chunk_size: None,
        statistics_frozen: false,
        objective,
        optimizer,
        learns: Learns::FromViews,
        seed: 3,
    };
    let shape = mixes.then(mixture_shape);
    Learner::new(mixture_model(encoder(32, true), shape, 3, executor, DType::F32), config).unwrap()
}

fn views(update: u64) -> [Tensor; 2] {
    [0, 1].map(|view| tensor(&[3, 3, 32, 32], 1.0, 100 + 2 * update + view).to_dtype(DType::F32).unwrap())
}

fn run(learner: &mut Learner, updates: std::ops::Range<u64>) {
    for update in updates {
        let [first, second] = views(update);
        learner.step([&first, &second], &[0, 1, -1], 1e-3).unwrap();
    }
}

fn file(learner: &mut Learner) -> Checkpoint {
    let progress = Progress { update: learner.update(), ..Progress::default() };
    let classes = ["a", "b", "c"].map(String::from);
    learner.checkpoint(&classes, progress, serde_json::json!({"note": 1})).unwrap()
}

fn saved(folder: &Path) -> std::path::PathBuf {
    let mut learner = learner(ExecutorKind::Cpu);
    run(&mut learner, 0..1);
    let path = folder.join("checkpoint.safetensors");
    file(&mut learner).write(&path).unwrap();
    path
}

#[test]
fn a_resumed_learner_equals_the_uninterrupted_one_bit_for_bit() {
    for (executor, mixes) in [
        (ExecutorKind::Cpu, false),
        (ExecutorKind::Candle, false),
        (ExecutorKind::Cpu, true),
        (ExecutorKind::Candle, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let mut straight = mixing_learner(executor, mixes);
        run(&mut straight, 0..4);
        let mut first = mixing_learner(executor, mixes);
        run(&mut first, 0..2);
        file(&mut first).write(&path).unwrap();
        let mut second = mixing_learner(executor, mixes);
        second.resume(&Checkpoint::read(&path).unwrap()).unwrap();
        assert_eq!(second.update(), 2);
        run(&mut second, 2..4);
        assert_eq!(file(&mut straight).tensors, file(&mut second).tensors);
        assert_ne!(file(&mut first).tensors, file(&mut second).tensors);
    }
}

/// A learner of another method, on an encoder of kind dim.
fn method_learner(method: MethodConfig) -> Learner {
    let infomax = match &method {
        MethodConfig::Dim(dim) => Some(dim.heads()),
        _ => None,
    };
    let encoder = InfomaxEncoder { encoder_size: 32, input_channels: 3, base_width: 2, embedding_dim: 4 };
    let config = ModelConfig {
        encoder: encoder.into(),
        classifiers: classifiers(),
        classes: 3,
        mixture: None,
        infomax,
        bottleneck: method.is_stochastic(),
    };
    let model = Model::new(config, 5, Placement::cpu(2)).unwrap();
    let step = StepConfig { method, ..learner(ExecutorKind::Cpu).config().clone() };
    Learner::new(model, step).unwrap()
}

#[test]
fn so_does_one_of_any_method() {
    let dim = DimConfig {
        global_weight: 1.0,
        local_weight: 1.0,
        prior_weight: 0.1,
        gradient_penalty: 1.0,
        coordinate_weight: 0.1,
        bound: Bound::InfoNce,
        critic: CriticKind::Bilinear,
        units: 4,
        negatives: None,
    };
    let moco = MocoConfig { queue_size: Some(5), momentum: 0.9, temperature: 0.1, shuffle_groups: 1 };
    let in_batch = MocoConfig { queue_size: None, ..moco.clone() };
    let vib = VibConfig { beta: Some(0.1), dropout: 0.2 };
    for method in [
        MethodConfig::Dim(dim),
        MethodConfig::Moco(moco),
        MethodConfig::Moco(in_batch),
        MethodConfig::Vib(vib),
        MethodConfig::Multiview(MultiviewConfig { units: 4, ..MultiviewConfig::default() }),
        MethodConfig::Multiview(MultiviewConfig {
            units: 4,
            bound: Maximised::MINE,
            ..MultiviewConfig::default()
        }),
        MethodConfig::Vae(VaeConfig { beta: Some(2.0), units: 4 }),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let mut straight = method_learner(method.clone());
        run(&mut straight, 0..4);
        let mut first = method_learner(method.clone());
        run(&mut first, 0..2);
        file(&mut first).write(&path).unwrap();
        let mut second = method_learner(method.clone());
        second.resume(&Checkpoint::read(&path).unwrap()).unwrap();
        run(&mut second, 2..4);
        assert_eq!(file(&mut straight).tensors, file(&mut second).tensors);
        assert_ne!(file(&mut first).tensors, file(&mut second).tensors);
    }
}

#[test]
fn a_method_without_projected_maps_is_asked_for_by_name() {
    let config = ModelConfig {
        encoder: InfomaxEncoder { encoder_size: 32, input_channels: 3, base_width: 2, embedding_dim: 5 }
            .into(),
        classifiers: classifiers(),
        classes: 3,
        mixture: None,
        infomax: None,
        bottleneck: false,
    };
    let mut objective = learner(ExecutorKind::Cpu).config().clone();
    objective.objective.terms = vec![Term::new(1, 8)];
    let model = Model::new(config, 5, Placement::cpu(1)).unwrap();
    let error = Learner::new(model, objective).err().unwrap();
    assert!(error.to_string().starts_with("method: expected dim or moco"), "{error}");
}

#[test]
fn a_truncated_file_is_a_typed_error_at_any_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Checkpoint::read(&path).unwrap_err();
        assert_eq!(error.code(), "AMDIM_CHECKPOINT", "{length} bytes: {error}");
    }
    assert_eq!(Checkpoint::read(&folder.path().join("none")).unwrap_err().code(), "AMDIM_IO");
}

#[test]
fn a_file_is_what_the_library_of_the_format_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let bytes = fs::read(&path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let theirs = SafeTensors::deserialize(&bytes).unwrap();
    // The order of the metadata is that of a hash map, and no two are alike; that of all else is fixed.
    let again = safetensors::serialize(theirs.tensors(), metadata.metadata().clone()).unwrap();
    let parts = |bytes: &[u8]| -> (Value, Vec<u8>) {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(length % 8, 0);
        (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), bytes[8 + length..].to_vec())
    };
    assert!(parts(&again) == parts(&bytes));

    let ours = Checkpoint::read(&path).unwrap().tensors;
    assert!(ours.len() == theirs.len() && ours.len() > 50);
    for (name, tensor) in &ours {
        let view = theirs.tensor(name).unwrap();
        assert_eq!(tensor.shape(), view.shape());
        let expected: Vec<u8> = match tensor {
            Stored::Float { values, .. } => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Stored::Integer { values, .. } => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        assert!(view.data() == expected, "{name}");
    }
}

#[test]
fn a_file_that_contradicts_itself_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.safetensors");
    let file = |length: u64, header: &str, values: usize| {
        [&length.to_le_bytes()[..], header.as_bytes(), &vec![0; values]].concat()
    };
    let one = |about: &str| format!(r#"{{"__metadata__":{{"amdim":"x"}},"w":{about}}}"#);
    let good = one(r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#);
    let many = one(r#"{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,4]}"#);
    let gap = one(r#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#);
    for (what, bytes) in [
        ("a header of more bytes than there are", file(u64::MAX, &good, 4)),
        ("a header that is cut off", file(good.len() as u64 - 1, &good, 5)),
        ("too few values", file(good.len() as u64, &good, 3)),
        ("too many values", file(good.len() as u64, &good, 5)),
        ("a shape of other values", file(many.len() as u64, &many, 4)),
        ("a gap", file(gap.len() as u64, &gap, 8)),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Checkpoint::read(&path).unwrap_err();
        assert_eq!(error.code(), "AMDIM_CHECKPOINT", "{what}: {error}");
        assert!(error.to_string().contains("not a whole safetensors file"), "{what}: {error}");
    }
    assert_eq!(Checkpoint::read(folder.path()).unwrap_err().code(), "AMDIM_IO");
}

#[test]
fn safetensors_of_another_program_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.safetensors");
    let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    fs::write(&path, bytes).unwrap();
    let error = Checkpoint::read(&path).unwrap_err();
    assert_eq!(error.code(), "AMDIM_CHECKPOINT");
    assert!(error.to_string().contains("not one of amdim's"), "{error}");
}

#[test]
fn a_checkpoint_of_another_model_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let read = Checkpoint::read(&saved(folder.path())).unwrap();
    let mut other = model(encoder(64, true), 3, ExecutorKind::Cpu, DType::F32);
    let before = flat(&other.parameters);
    let error = other.load_encoder(&read.tensors).unwrap_err();
    assert_eq!(error.code(), "AMDIM_SHAPE", "{error}");
    assert_eq!(flat(&other.parameters), before);
}

#[test]
fn a_model_file_holds_no_optimiser_and_cannot_be_resumed() {
    let mut learner = learner(ExecutorKind::Cpu);
    let file = learner.model_file(&[], Progress::default(), Value::Null).unwrap();
    assert!(file.tensors.keys().all(|name| !name.starts_with("optimizer.")));
    let error = self::learner(ExecutorKind::Cpu).resume(&file).unwrap_err();
    assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT");
}

#[test]
fn carried_tensors_survive_a_checkpoint_and_are_missed() {
    let mut state = TrainState::default();
    state.optimizers.insert("critic", Adam::new(&tensor(&[3], 1.0, 1)).unwrap());
    state.carried.insert("queue", tensor(&[2, 3], 1.0, 2).to_dtype(DType::F32).unwrap());
    let mut file = learner(ExecutorKind::Cpu).model_file(&[], Progress::default(), Value::Null).unwrap();
    assert_eq!(state.restored(&file).unwrap_err().code(), "AMDIM_INVALID_ARGUMENT");
    state.save(&mut file).unwrap();
    let mut blank = state.clone();
    blank.carried.insert("queue", tensor(&[2, 3], 1.0, 9).to_dtype(DType::F32).unwrap());
    assert_eq!(flat(&blank.restored(&file).unwrap().carried["queue"]), flat(&state.carried["queue"]));
    file.tensors.remove("state.queue");
    assert_eq!(blank.restored(&file).unwrap_err().code(), "AMDIM_SHAPE");
}

#[test]
fn a_failed_write_leaves_the_old_file_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("file");
    assert_eq!(write_aside(&path, b"new").unwrap_err().code(), "AMDIM_IO");
    // A folder of the target's name: writing aside works, renaming does not.
    let taken = folder.path().join("taken");
    fs::create_dir_all(taken.join("inside")).unwrap();
    assert_eq!(write_aside(&taken, b"new").unwrap_err().code(), "AMDIM_IO");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|item| item.unwrap().file_name()).collect();
    assert_eq!(names, ["taken"]);
    write_aside(&folder.path().join("good"), b"one").unwrap();
    write_aside(&folder.path().join("good"), b"two").unwrap();
    assert_eq!(fs::read(folder.path().join("good")).unwrap(), b"two");
}

#[test]
fn nan_is_a_typed_error_and_leaves_the_model_as_it_was() {
    for executor in [ExecutorKind::Cpu, ExecutorKind::Candle] {
        let mut learner = learner(executor);
        let before = file(&mut learner).tensors;
        let [first, _] = views(0);
        let broken = (&first * f64::NAN).unwrap();
        let error = learner.step([&first, &broken], &[0, 1, 2], 1e-3).unwrap_err();
        assert_eq!(error.code(), "AMDIM_NON_FINITE");
        assert_eq!(file(&mut learner).tensors, before);
        // And it still learns.
        run(&mut learner, 0..1);
    }
}
