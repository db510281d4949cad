//! Bounds on mutual information, from scores of pairs to a loss in nats.

mod info_nce;

pub use info_nce::{InfoNce, info_nce};
