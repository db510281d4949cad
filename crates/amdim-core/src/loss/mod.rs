//! What is minimised.

mod cross_entropy;
mod multiscale;

pub use cross_entropy::{ClippedCrossEntropy, clipped_cross_entropy};
pub use multiscale::{
    Direction, MultiscaleLoss, ObjectiveConfig, SourcePositions, Term, TermReport, chance_level,
    multiscale_loss, raw_scores, soft_clip,
};
