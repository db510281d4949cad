//! Pixels for AMDIM: decoding, data sets, augmentation and batches.
//!
//! A picture travels one way through this crate:
//!
//! | step | module | turns | into |
//! | --- | --- | --- | --- |
//! | read | [`dataset`] | a folder, an archive, a binary file, an array | encoded or raw pictures behind [`Dataset`] |
//! | decode | [`decode`](mod@decode) | JPEG, PNG, GIF, BMP, WebP bytes | an RGB [`Image`] |
//! | augment | [`augment`] | an [`Image`] | two views, normalised, planar `f32` |
//! | assemble | [`loader`] | samples in a shuffled order | a [`Batch`] of two view buffers |
//!
//! All randomness comes from `amdim-random`: a stream is a function of (seed, epoch, sample, view) alone, so the same
//! pixels are made on one thread or on many, and from any point a run is resumed at.
//!
//! The crate knows neither tensors nor JavaScript: a batch is plain `f32` buffers.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use amdim_data::{ArrayDataset, AugmentConfig, BadImagePolicy, DecodeMode, Loader, LoaderOptions};
//!
//! // Four 4x4 RGB pictures, all mid-gray.
//! let dataset = Arc::new(ArrayDataset::new(vec![128; 4 * 4 * 4 * 3], 4, 4, 4, 3, None)?);
//! let augment = AugmentConfig {
//!     flip_probability: 0.5,
//!     policy: None,
//!     views: amdim_data::augment::Views::Augmented,
//!     crop: None,
//!     translate: None,
//!     color_jitter: None,
//!     grayscale_probability: 0.0,
//!     mean: vec![0.5; 3],
//!     std: vec![0.25; 3],
//!     eval_resize: None,
//!     pixels: 4,
//!     channels: 3,
//!     decode: DecodeMode::Exact,
//! };
//! let options = LoaderOptions {
//!     batch: 2, seed: 1, threads: 1, prefetch: 2, on_bad_image: BadImagePolicy::Error,
//!     shuffle_buffer: 1000, epoch: 0, position: 0,
//! };
//! let mut loader = Loader::new(dataset, &augment, options, None)?;
//! let batch = loader.next_batch()?;
//! assert_eq!(batch.views[0].len(), 2 * 3 * 4 * 4);
//! assert_eq!(batch.labels, [-1, -1]);
//! # Ok::<(), amdim_data::DataError>(())
//! ```

pub mod augment;
pub mod dataset;
pub mod decode;
pub mod error;
pub mod eval_batch;
pub mod fingerprint;
pub mod golden_ops;
pub mod image;
pub mod loader;
pub mod order;
pub mod png;
pub mod sheet;

mod vector;

pub use augment::{
    AugmentConfig, ColorJitterConfig, CropConfig, DecodeMode, Pipeline, PolicyConfig, TranslateConfig,
};
pub use dataset::{
    ArrayDataset, CachedDataset, Dataset, DatasetSource, FileDataset, MemoryDataset, MemoryPicture,
    PicturePixels, StreamDataset, open,
};
pub use decode::Limits;
pub use error::DataError;
pub use eval_batch::{EvalBatch, load_eval_batch};
pub use fingerprint::Fingerprint;
pub use image::Image;
pub use loader::{BadImagePolicy, Batch, Loader, LoaderOptions, SkippedPicture, Transform};
pub use order::epoch_order;
pub use png::encode_png;
