//! The optimiser and its schedule. Both are our own, because exact resume needs their whole state.

mod adam;
mod schedule;

pub use adam::{Adam, AdamConfig, clip_factor, norm};
pub use schedule::{Position, ScheduleConfig, ScheduleKind};
