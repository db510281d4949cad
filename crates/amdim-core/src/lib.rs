//! The mathematics of AMDIM (Augmented Multiscale Deep InfoMax; Bachman, Hjelm, Buchwalter 2019, arXiv 1906.00910):
//! tensors in, tensors out. This crate knows no pixels, no loop, no JavaScript.
//!
//! An [`encoder`] turns two augmented views of each picture into feature maps at three scales (1x1, 5x5, 7x7).
//! The [`loss`] asks that the features of one view predict those of the other view of the same picture among all
//! pictures of the batch, with the InfoNCE [`estimator`]. [`train_step`] puts both together with online classifiers
//! ([`nn`]) and the optimiser ([`optim`]).
//!
//! | module | holds |
//! | --- | --- |
//! | [`encoder`] | the authors' encoders as descriptions, their configuration, feature maps |
//! | [`executor`] | running a description: candle on every device, `amdim-cpu` on processors |
//! | [`estimator`] | bounds on mutual information from scores |
//! | [`loss`] | the multiscale objective, clipped cross-entropy |
//! | [`nn`] | small trainable parts on features: the online classifiers |
//! | [`optim`] | Adam, learning-rate schedules |
//! | [`model`] | encoder, running statistics and classifiers of one trained network |
//! | [`train_step`] | one update |
//! | [`critic`] | what scores pairs for a bound |
//! | [`method`] | other ways to learn from views |
//! | [`train_state`] | optimisers and what else is carried from update to update |
//! | [`checkpoint`] | one file holds weights, configuration, optimiser state and position |
//!
//! ```
//! use amdim_core::encoder::AmdimEncoder;
//!
//! let config = AmdimEncoder {
//!     encoder_size: 32, input_channels: 3, base_width: 32, embedding_dim: 256, block_depth: 3, batch_norm: false,
//! };
//! assert_eq!(config.describe().unwrap().parameter_len(), 1_258_816);
//! ```

pub mod checkpoint;
mod chunks;
mod cpu_step;
pub mod critic;
pub mod device;
pub mod encoder;
mod error;
pub mod estimator;
pub mod executor;
pub mod loss;
pub mod method;
pub mod model;
pub mod nn;
pub mod optim;
pub mod parameters;
pub mod step_memory;
pub mod tensors;
pub mod train_state;
pub mod train_step;

pub use chunks::check_chunk_size;
pub use error::{Error, Result, check_finite};
