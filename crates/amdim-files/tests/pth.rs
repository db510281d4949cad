//! Files that PyTorch wrote (tools/make-pth-samples.py), and damaged ones.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use amdim_files::FilesError;
use amdim_files::pickle::{Object, PickleError, StoredTensor};
use amdim_files::pth::reference::{Hyperparameters, ReferenceCheckpoint, checkpoint_pickle};
use amdim_files::pth::{PthFile, write};
use amdim_files::tensor::{Element, Tensor};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pth").join(name)
}

/// The tensors of `model`.
fn tensors_of(file: &PthFile) -> Vec<(String, StoredTensor)> {
    let pickle = file.pickle();
    let Object::Dict(entries) = pickle.get(pickle.entry(pickle.root(), "model").unwrap()) else { panic!() };
    let named = entries.iter().map(|&(key, value)| match (pickle.get(key), pickle.get(value)) {
        (Object::Text(name), Object::Tensor(tensor)) => (name.clone(), tensor.clone()),
        other => panic!("{other:?}"),
    });
    named.collect()
}

fn checkpoint(path: &Path) -> Result<ReferenceCheckpoint, FilesError> {
    ReferenceCheckpoint::find(PthFile::open(path)?)
}

#[test]
fn views_of_shared_storages_are_read_from_both_forms() {
    for name in ["views-zip.pth", "views-legacy.pth"] {
        let mut file = PthFile::open(&sample(name)).unwrap();
        let wanted = tensors_of(&file);
        let tensors = file.tensors(&wanted).unwrap();
        let floats = |name: &str| tensors[name].to_f32().unwrap();
        let transposed: Vec<f32> = (0..6).flat_map(|x| (0..4).map(move |y| (6 * y + x) as f32)).collect();
        assert_eq!(tensors["transposed"].shape, [6, 4]);
        assert_eq!(floats("transposed"), transposed);
        assert_eq!(floats("part"), [8., 9., 10., 14., 15., 16.]);
        assert_eq!(floats("steps"), [1., 6., 11., 16., 21.]);
        assert_eq!((floats("scalar"), tensors["scalar"].shape.len()), (vec![5.], 0));
        assert_eq!((floats("doubles"), tensors["doubles"].element), (vec![1.5, -2.], Element::F64));
        assert_eq!((floats("bfloats"), tensors["bfloats"].element), (vec![1.5, -2.], Element::Bf16));
        assert_eq!(tensors["longs"].to_i64().unwrap(), [1, -2]);
        assert_eq!(tensors["truths"].to_i64().unwrap(), [1, 0]);
        assert_eq!((tensors["empty"].len(), &tensors["empty"].shape[..]), (0, &[0, 3][..]));
    }
}

#[test]
fn checkpoints_of_both_forms_agree() {
    let zip = checkpoint(&sample("zip.pth")).unwrap();
    let legacy = checkpoint(&sample("legacy-half.pth")).unwrap();
    let all = Hyperparameters {
        ndf: 2,
        n_rkhs: 8,
        n_depth: 2,
        encoder_size: 32,
        n_classes: 3,
        tclip: Some(15.0),
        use_bn: Some(true),
    };
    assert_eq!((zip.cursor.info_epoch, zip.cursor.info_step), (3, 1200));
    assert_eq!((legacy.cursor.info_epoch, legacy.cursor.info_step), (0, 0));
    assert_eq!(legacy.hyperparameters, Hyperparameters { tclip: None, ..all.clone() });
    assert_eq!(zip.hyperparameters, all);
    assert_eq!(zip.shape("encoder.module.layer_list.0.conv.weight"), Some(&[2, 3, 3, 3][..]));
    let (zip, legacy) = (zip.read().unwrap(), legacy.read().unwrap());
    assert!(zip.keys().eq(legacy.keys()));
    assert!(zip.keys().all(|name| name.starts_with("encoder.module.") || name.starts_with("evaluator.")));
    for (name, tensor) in &zip {
        let half = &legacy[name];
        assert_eq!(tensor.shape, half.shape);
        match tensor.to_f32() {
            Some(values) => {
                assert_eq!(half.element, Element::F16, "{name}");
                for (value, half) in values.iter().zip(half.to_f32().unwrap()) {
                    assert!((value - half).abs() <= value.abs() / 1024.0 + 1e-6, "{name}: {value} {half}");
                }
            }
            None => assert_eq!(tensor.to_i64(), half.to_i64()),
        }
    }
}

#[test]
fn a_pickle_that_acts_is_refused_by_name_and_place() {
    for name in ["malicious-zip.pth", "malicious-legacy.pth"] {
        match PthFile::open(&sample(name)).err().unwrap() {
            FilesError::Pickle(PickleError::Name { module, name, at }) => {
                assert_eq!((module.as_str(), name.as_str()), ("posix", "system"));
                assert!(at > 0);
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn damaged_and_foreign_files_are_typed_errors() {
    let malformed = |path: &Path| match checkpoint(path).and_then(ReferenceCheckpoint::read).map(|_| ()) {
        Err(FilesError::Malformed(problem)) => problem,
        other => panic!("{}: {other:?}", path.display()),
    };
    assert!(malformed(&sample("big-endian.pth")).contains("big-endian"));
    assert!(malformed(&sample("views-zip.pth")).contains("hyperparams"));
    assert!(malformed(&sample("expected.json")).contains("neither"));
    let mut file = PthFile::open(&sample("missing-storage.pth")).unwrap();
    let wanted = tensors_of(&file);
    assert!(
        matches!(file.tensors(&wanted), Err(FilesError::Malformed(problem)) if problem.contains("storage 0"))
    );
    assert!(matches!(checkpoint(&sample("no-such.pth")), Err(FilesError::Io(_))));
}

#[test]
fn no_truncated_file_is_taken_for_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pth");
    for name in ["views-zip.pth", "views-legacy.pth"] {
        let bytes = fs::read(sample(name)).unwrap();
        // The end of the zip form is its directory; the legacy one ends in numbers.
        for len in (0..bytes.len()).step_by(13).chain([bytes.len() - 1]) {
            fs::write(&path, &bytes[..len]).unwrap();
            let whole = PthFile::open(&path).and_then(|mut file| {
                let wanted = tensors_of(&file);
                file.tensors(&wanted)
            });
            assert!(
                matches!(whole, Err(FilesError::Malformed(_) | FilesError::Pickle(_))),
                "{name}, {len} bytes"
            );
        }
    }
}

#[test]
fn a_damaged_byte_is_an_error_or_an_equal_reading_of_what_is_checked() {
    // Zip entries have checksums: no changed number goes unnoticed.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.pth");
    let bytes = fs::read(sample("views-zip.pth")).unwrap();
    let read = |path: &Path| {
        let mut file = PthFile::open(path)?;
        let wanted = tensors_of(&file);
        file.tensors(&wanted)
    };
    let expected = read(&sample("views-zip.pth")).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        fs::write(&path, changed).unwrap();
        // Bytes that nothing depends on (times, alignment) change nothing; names in the directory may hide entries.
        if let Ok(tensors) = read(&path) {
            assert_eq!(tensors, expected, "byte {at}");
        }
    }
}

#[test]
fn what_is_written_is_read() {
    let original = checkpoint(&sample("zip.pth")).unwrap();
    let (hyperparameters, cursor) = (original.hyperparameters.clone(), original.cursor);
    let state = original.read().unwrap();
    let (pickle, storages) = checkpoint_pickle(&hyperparameters, cursor, state.clone());
    let mut bytes = Cursor::new(vec![]);
    write(&mut bytes, &pickle, &storages).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("written.pth");
    fs::write(&path, bytes.into_inner()).unwrap();
    let again = checkpoint(&path).unwrap();
    assert_eq!((&again.hyperparameters, again.cursor), (&hyperparameters, cursor));
    assert_eq!(again.read().unwrap(), state);
    // The constant of the loss, which reading leaves out, is there for PyTorch's strict loading.
    let file = PthFile::open(&path).unwrap();
    assert!(
        tensors_of(&file)
            .iter()
            .any(|(name, t)| name == "g2l_loss.masks_r5" && t.view.shape == [25, 1, 5, 5])
    );
}

#[test]
fn a_tensor_that_asks_for_more_than_the_file_is_refused() {
    let tensor = Tensor::from_f32(vec![4], &[1.0; 4]);
    let mut pickle = amdim_files::pickle::PickleWriter::default();
    pickle.dict(|w| {
        w.text("model");
        w.dict(|w| {
            w.text("huge");
            w.tensor("0", Element::F32, &[1 << 40]);
        });
    });
    let mut bytes = Cursor::new(vec![]);
    write(&mut bytes, &pickle.finish(), &[tensor]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.pth");
    fs::write(&path, bytes.into_inner()).unwrap();
    let mut file = PthFile::open(&path).unwrap();
    let wanted = tensors_of(&file);
    assert!(matches!(file.tensors(&wanted), Err(FilesError::Malformed(_))));
}
