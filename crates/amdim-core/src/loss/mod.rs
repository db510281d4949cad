//! What is minimised.

mod cross_entropy;
mod mixture;
mod multiscale;
mod source_positions;
mod term;

pub use cross_entropy::{ClippedCrossEntropy, CrossEntropy, clipped_cross_entropy};
pub use mixture::{
    MOST_COMPONENTS, MOST_HIDDEN_UNITS, MixtureConfig, MixtureNce, mixture_nce, posterior_map,
    posterior_without_negatives,
};
pub use multiscale::{
    Direction, MultiscaleLoss, ObjectiveConfig, TermReport, chance_level, multiscale_loss, raw_scores,
    soft_clip,
};
pub use source_positions::SourcePositions;
pub use term::Term;
