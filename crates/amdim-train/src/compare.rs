//! Whether two classifiers differ on the same pictures.

use amdim_eval::{PairedConfig, PairedTest, never};
use serde::Serialize;

use crate::Result;
use crate::config::CompareRequest;
use crate::place::on_threads;

/// Two classifiers on the same test pictures; see [`PairedTest`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Pictures that both classify rightly.
    pub both: usize,
    /// Pictures that only the first does.
    pub only_first: usize,
    /// Pictures that only the second does.
    pub only_second: usize,
    /// Pictures that neither does.
    pub neither: usize,
    /// Accuracy of the second less that of the first.
    pub difference: f64,
    /// Its interval.
    pub interval: [f64; 2],
    /// Of `McNemar`'s exact test.
    pub p_value: f64,
}

/// Compares what two classifiers got right, `[pictures]` each.
///
/// # Errors
/// `AMDIM_SHAPE` for two numbers of pictures, `AMDIM_DATA` for none, `AMDIM_INVALID_ARGUMENT` for an option out of range.
pub fn compare(request: &CompareRequest, first: &[bool], second: &[bool]) -> Result<Comparison> {
    let CompareRequest { resamples, confidence, seed, threads } = *request;
    let config = PairedConfig { resamples, confidence, seed };
    let found = on_threads(threads.max(1), || Ok(PairedTest::new(&config, first, second, never())?))?;
    let PairedTest { both, only_first, only_second, neither, difference, interval, p_value } = found;
    Ok(Comparison { both, only_first, only_second, neither, difference, interval, p_value })
}
