//! The authors' checkpoint (their `checkpoint.py`): `{'model': state_dict, 'hyperparams': ..., 'cursor': ...}`.

use std::collections::BTreeMap;

use super::{PthFile, dictionary_of_tensors};
use crate::pickle::{Id, Object, Pickle, PickleWriter, StoredTensor};
use crate::tensor::{Element, Tensor};
use crate::{FilesError, Result};

/// Tensors of the loss, which are constants: one-hot masks of the 5x5 map.
const LOSS_PREFIX: &str = "g2l_loss.";
const MASKS: &str = "g2l_loss.masks_r5";
const MASK_SIDE: usize = 5;

/// Arguments of the authors' `Model`, as their checkpoint has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperparameters {
    /// Width of the first layer.
    pub ndf: usize,
    /// Dimensions of the embeddings.
    pub n_rkhs: usize,
    /// Residual layers a block.
    pub n_depth: usize,
    /// Side of the pictures in pixels.
    pub encoder_size: usize,
    /// Classes of the evaluator.
    pub n_classes: usize,
    /// Soft clip of the scores; none where the file lacks it.
    pub tclip: Option<f64>,
    /// Whether the optional batch norms are applied; none where the file lacks it. The authors' own loader ignores it
    /// and builds a model without them.
    pub use_bn: Option<bool>,
}

/// How far the authors' training went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Epochs of self-supervised training.
    pub info_epoch: u64,
    /// Updates of self-supervised training.
    pub info_step: u64,
    /// Epochs of the classifier task.
    pub classifier_epoch: u64,
    /// Updates of the classifier task.
    pub classifier_step: u64,
}

/// An authors' checkpoint, its tensors not read yet.
pub struct ReferenceCheckpoint {
    /// Arguments of the model.
    pub hyperparameters: Hyperparameters,
    /// How far training went; zeros where the file doesn't say.
    pub cursor: Cursor,
    file: PthFile,
    tensors: BTreeMap<String, StoredTensor>,
}

impl ReferenceCheckpoint {
    /// Finds the checkpoint in a file.
    ///
    /// Names of tensors become those of a whole `Model`: `encoder.module.*` and `evaluator.*`. A `module.` in front,
    /// from a model wrapped in `DataParallel`, and a missing one inside (`encoder.*`, unwrapped) are put right. The
    /// constants of the loss are left out.
    ///
    /// # Errors
    /// [`FilesError::Malformed`] for a file without `model` and `hyperparams`, or with values of another kind.
    pub fn find(file: PthFile) -> Result<Self> {
        let pickle = file.pickle();
        let root = pickle.root();
        let part = |name: &str| {
            pickle.entry(root, name).ok_or_else(|| {
                FilesError::malformed(format!(
                    "no checkpoint of the authors' code: it should be a dictionary with `model` and `hyperparams`, \
                     and has no `{name}`"
                ))
            })
        };
        let hyperparameters = read_hyperparameters(pickle, part("hyperparams")?)?;
        let cursor =
            pickle.entry(root, "cursor").map_or(Ok(Cursor::default()), |id| read_cursor(pickle, id))?;
        let mut tensors = BTreeMap::new();
        for (name, tensor) in dictionary_of_tensors(pickle, part("model")?, "model")? {
            let name = whole_name(&name);
            if name.starts_with(LOSS_PREFIX) {
                continue;
            }
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(FilesError::malformed(format!("`model` has {name} twice")));
            }
        }
        Ok(Self { hyperparameters, cursor, file, tensors })
    }

    /// Names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| &tensor.view.shape[..])
    }

    /// Reads every tensor.
    ///
    /// # Errors
    /// As [`PthFile::tensors`].
    pub fn read(mut self) -> Result<BTreeMap<String, Tensor>> {
        self.file.tensors(&self.tensors.into_iter().collect::<Vec<_>>())
    }
}

fn whole_name(name: &str) -> String {
    let name = name.strip_prefix("module.").unwrap_or(name);
    match name.strip_prefix("encoder.") {
        Some(inner) if !inner.starts_with("module.") => format!("encoder.module.{inner}"),
        _ => name.to_owned(),
    }
}

fn read_hyperparameters(pickle: &Pickle, dict: Id) -> Result<Hyperparameters> {
    let get = |name: &str| pickle.entry(dict, name).map(|id| pickle.get(id));
    let wrong = |name: &str, expected: &str, found: Option<&Object>| {
        let found = found.map_or("none".into(), |object| format!("{object:?}"));
        FilesError::malformed(format!("hyperparams.{name}: expected {expected}, found {found}"))
    };
    let count = |name: &str| match get(name) {
        Some(Object::Int(value)) => {
            usize::try_from(*value).map_err(|_| wrong(name, "a whole number", get(name)))
        }
        other => Err(wrong(name, "a whole number", other)),
    };
    let tclip = match get("tclip") {
        None => None,
        Some(Object::Float(value)) if value.is_finite() => Some(*value),
        Some(Object::Int(value)) => Some(*value as f64),
        other => return Err(wrong("tclip", "a number", other)),
    };
    let use_bn = match get("use_bn") {
        None => None,
        Some(Object::Bool(value)) => Some(*value),
        // argparse gives 0 and 1.
        Some(Object::Int(value @ (0 | 1))) => Some(*value == 1),
        other => return Err(wrong("use_bn", "a truth value", other)),
    };
    Ok(Hyperparameters {
        ndf: count("ndf")?,
        n_rkhs: count("n_rkhs")?,
        n_depth: count("n_depth")?,
        encoder_size: count("encoder_size")?,
        n_classes: count("n_classes")?,
        tclip,
        use_bn,
    })
}

fn read_cursor(pickle: &Pickle, dict: Id) -> Result<Cursor> {
    let count = |name: &str| match pickle.entry(dict, name).map(|id| pickle.get(id)) {
        None => Ok(0),
        Some(Object::Int(value)) if u64::try_from(*value).is_ok() => Ok(*value as u64),
        Some(other) => {
            Err(FilesError::malformed(format!("cursor.{name}: expected a whole number, found {other:?}")))
        }
    };
    Ok(Cursor {
        info_epoch: count("info_epoch")?,
        info_step: count("info_step")?,
        classifier_epoch: count("classifier_epoch")?,
        classifier_step: count("classifier_step")?,
    })
}

/// The pickle of a checkpoint that the authors' code loads, and its storages in their order: those of `state`, and the
/// constants of the loss.
///
/// `state` has the names of a whole `Model`. Values that [`Hyperparameters`] lacks are left out.
pub fn checkpoint_pickle(
    hyperparameters: &Hyperparameters,
    cursor: Cursor,
    mut state: BTreeMap<String, Tensor>,
) -> (Vec<u8>, Vec<Tensor>) {
    state.insert(MASKS.into(), masks());
    let mut writer = PickleWriter::default();
    writer.dict(|w| {
        w.text("model");
        w.ordered_dict(|w| {
            for (key, (name, tensor)) in state.iter().enumerate() {
                w.text(name);
                w.tensor(&key.to_string(), tensor.element, &tensor.shape);
            }
        });
        w.text("hyperparams");
        w.dict(|w| write_hyperparameters(w, hyperparameters));
        w.text("cursor");
        w.dict(|w| {
            for (name, value) in [
                ("info_epoch", cursor.info_epoch),
                ("info_step", cursor.info_step),
                ("classifier_epoch", cursor.classifier_epoch),
                ("classifier_step", cursor.classifier_step),
            ] {
                w.text(name);
                w.int(value as i64);
            }
        });
    });
    (writer.finish(), state.into_values().collect())
}

fn write_hyperparameters(w: &mut PickleWriter, hyperparameters: &Hyperparameters) {
    let Hyperparameters { ndf, n_rkhs, n_depth, encoder_size, n_classes, tclip, use_bn } = *hyperparameters;
    for (name, value) in [
        ("ndf", ndf),
        ("n_classes", n_classes),
        ("n_rkhs", n_rkhs),
        ("n_depth", n_depth),
        ("encoder_size", encoder_size),
    ] {
        w.text(name);
        w.int(value as i64);
    }
    if let Some(tclip) = tclip {
        w.text("tclip");
        w.float(tclip);
    }
    if let Some(use_bn) = use_bn {
        w.text("use_bn");
        w.bool(use_bn);
    }
}

/// `masks_r5` of the authors' `LossMultiNCE`: for each place of the 5x5 map a map that is 1 there, `[25, 1, 5, 5]`.
fn masks() -> Tensor {
    let places = MASK_SIDE * MASK_SIDE;
    let bytes = (0..places * places).map(|i| u8::from(i / places == i % places)).collect();
    Tensor { element: Element::U8, shape: vec![places, 1, MASK_SIDE, MASK_SIDE], bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_a_whole_model() {
        for (found, expected) in [
            ("encoder.module.layer_list.0.conv.weight", "encoder.module.layer_list.0.conv.weight"),
            ("module.encoder.module.layer_list.0.conv.weight", "encoder.module.layer_list.0.conv.weight"),
            ("encoder.layer_list.0.conv.weight", "encoder.module.layer_list.0.conv.weight"),
            (
                "module.evaluator.block_glb_lin.block_forward.2.bias",
                "evaluator.block_glb_lin.block_forward.2.bias",
            ),
        ] {
            assert_eq!(whole_name(found), expected);
        }
    }
}
