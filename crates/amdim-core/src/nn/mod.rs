//! Small trainable parts that sit on features, in candle.

pub mod activation;
pub mod batch_norm;
mod classifiers;
mod mlp;

pub(crate) use classifiers::draw_mask;
pub use classifiers::{ClassifierConfig, ClassifierPass, Classifiers, HeadResult, Mode};
pub use mlp::Mlp;
