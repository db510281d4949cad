//! Augmentation: one operation a file, each with its `Params`, how they are drawn, and `apply`.
//!
//! The operations and their order are those of the AMDIM reference (Bachman, Hjelm, Buchwalter 2019,
//! arXiv:1906.00910, section 4.1; datasets.py), which runs `torchvision` on Pillow images. The arithmetic here is
//! Pillow's, step by step and with its rounding to 8 bits after each operation, so that the pixels are the same.

pub mod brightness;
pub mod center_crop;
pub mod color_jitter;
pub mod config;
pub mod contrast;
pub mod factor;
pub mod grayscale;
pub mod halves;
pub mod horizontal_flip;
pub mod hue;
pub mod lab;
pub mod normalize;
pub mod patches;
pub mod pipeline;
pub mod policy;
pub mod resample;
pub mod resized_crop;
pub mod saturation;
pub mod translate;

mod blend;
mod pixels;

pub use config::{AugmentConfig, ColorJitterConfig, CropConfig, DecodeMode, TranslateConfig, Views};
pub use pipeline::{Pipeline, Scratch};
pub use policy::PolicyConfig;
pub use resample::{Extent, Filter, Region, Resampler, Window};
