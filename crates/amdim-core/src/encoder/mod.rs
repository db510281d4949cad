//! The authors' encoders: configuration, description, feature maps.

mod encoder_config;
mod features;

pub use encoder_config::EncoderConfig;
pub use features::{Features, Scale};
