//! Training time of a run over all its sessions, without what is not training.

use std::time::Instant;

/// Seconds of training: those of earlier sessions, and of this one while it runs.
#[derive(Debug)]
pub(crate) struct Clock {
    before: f64,
    running_since: Instant,
}

impl Clock {
    /// Runs on from `seconds`.
    pub(crate) fn start(seconds: f64) -> Self {
        Self { before: seconds, running_since: Instant::now() }
    }

    /// Seconds so far.
    pub(crate) fn seconds(&self) -> f64 {
        self.before + self.running_since.elapsed().as_secs_f64()
    }

    /// Does something that is no training.
    pub(crate) fn paused<R>(&mut self, work: impl FnOnce() -> R) -> R {
        self.before = self.seconds();
        let result = work();
        self.running_since = Instant::now();
        result
    }
}
