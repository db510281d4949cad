//! Small trainable parts that sit on features, in candle.

pub mod batch_norm;
mod classifiers;

pub(crate) use classifiers::draw_mask;
pub use classifiers::{ClassifierConfig, ClassifierPass, Classifiers, HeadResult, Mode};
