//! The objective alone, on given features.

use amdim_core::encoder::Features;
use amdim_core::loss::{ObjectiveConfig, multiscale_loss};
use amdim_core::tensors;
use candle_core::Var;

use crate::Setup;
use crate::compare::Comparison;
use crate::manifest::{Entry, ParityError, TensorFile};
use crate::model_case::{LOGIT_PENALTY, SCALES, TERMS, positions};

pub fn run(entry: &Entry, file: &TensorFile, setup: &Setup, out: &mut Comparison) -> Result<(), ParityError> {
    let score_clip = entry
        .tclip
        .ok_or_else(|| ParityError::Manifest(format!("{}: no `tclip` in the manifest", entry.file)))?;
    let config = ObjectiveConfig {
        score_clip: Some(score_clip),
        logit_penalty: LOGIT_PENALTY,
        terms: TERMS.iter().map(|&(term, _)| term).collect(),
        mixture: None,
    };
    let leaves = [read_maps(file, "x1", setup)?, read_maps(file, "x2", setup)?];
    let features =
        |leaves: &[Var]| Features::new(leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect());
    let (first, second) = (features(&leaves[0])?, features(&leaves[1])?);
    let loss = multiscale_loss([&first, &second], &positions(file)?, &config)?;
    for (report, (_, name)) in loss.terms.iter().zip(TERMS) {
        out.scalar(&format!("loss.{name}"), tensors::to_scalar(&report.loss)?);
        for (direction, letter) in report.directions.iter().zip(["a", "b"]) {
            let prefix = format!("nce.{name}_{letter}");
            out.floats(&format!("{prefix}.src"), &tensors::to_vec(&direction.sources)?);
            out.floats(&format!("{prefix}.nce_scores"), &tensors::to_vec(&direction.log_softmax)?);
            out.floats(&format!("{prefix}.pos_scores"), &tensors::to_vec(&direction.positives)?);
            out.scalar(&format!("{prefix}.lgt_reg"), tensors::to_scalar(&direction.penalty)?);
        }
    }
    out.scalar("loss.lgt_reg", tensors::to_scalar(&loss.penalty)?);
    out.scalar("loss.total", tensors::to_scalar(&loss.total)?);
    let gradients = loss.total.backward()?;
    for (leaves, view) in leaves.iter().zip(["x1", "x2"]) {
        for (leaf, (_, name)) in leaves.iter().zip(SCALES) {
            let name = format!("grad.{name}_{view}");
            match gradients.get(leaf) {
                // [B, L, C] -> [B, C, L], as in the file.
                Some(gradient) => {
                    out.floats(&name, &tensors::to_vec(&gradient.transpose(1, 2)?.contiguous()?)?);
                }
                None => out.fail(&name, &format!("{name}: no gradient computed")),
            }
        }
    }
    Ok(())
}

/// The three maps of a view as leaves, `[batch, embedding, side, side] -> [batch, locations, embedding]`.
fn read_maps(file: &TensorFile, view: &str, setup: &Setup) -> Result<Vec<Var>, ParityError> {
    SCALES
        .iter()
        .map(|(_, name)| {
            let (shape, values) = file.floats(&format!("in.{name}_{view}"))?;
            let map = tensors::from_slice(values, shape, setup.dtype, &setup.device)?;
            Ok(Var::from_tensor(&map.flatten_from(2)?.transpose(1, 2)?.contiguous()?)?)
        })
        .collect()
}
