//! A loss of several parts.

use candle_core::Tensor;

use crate::train_step::{ObjectiveReport, Part, PartReport};
use crate::{Error, Result, tensors};

/// Sum of the parts of the loss.
#[derive(Default)]
pub(super) struct Loss {
    /// Of what moves the encoder.
    total: f64,
    /// What gradients are taken of.
    moves: Option<Tensor>,
    parts: Vec<PartReport>,
}

impl Loss {
    /// A part that moves the encoder.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        weight: f64,
        loss: &Tensor,
        top1: Option<f64>,
    ) -> Result<()> {
        let value = tensors::to_scalar(loss)?;
        self.total += weight * value;
        self.push(name, value, top1, (loss * weight)?)
    }

    /// A part that moves parameters of the method alone.
    pub(super) fn add_own(&mut self, name: &'static str, loss: &Tensor) -> Result<()> {
        self.push(name, tensors::to_scalar(loss)?, None, loss.clone())
    }

    fn push(&mut self, name: &'static str, loss: f64, top1: Option<f64>, moves: Tensor) -> Result<()> {
        self.parts.push(PartReport { part: Part::Method(name), loss, top1 });
        self.moves = Some(self.moves.take().map_or(Ok(moves.clone()), |sum| sum + moves)?);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(Tensor, ObjectiveReport)> {
        let moves = self.moves.ok_or_else(|| Error::internal("a loss without parts"))?;
        Ok((moves, ObjectiveReport::of(self.total, self.parts)))
    }
}
