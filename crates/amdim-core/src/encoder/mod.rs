//! The authors' encoders: configuration, description, feature maps.

mod encoder_config;
mod features;
mod scale;

pub use encoder_config::EncoderConfig;
pub use features::Features;
pub use scale::Scale;
pub(crate) use scale::side_of;
