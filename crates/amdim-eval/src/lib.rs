//! Evaluation of frozen features: how much of the classes can be read from what an encoder returns.
//!
//! Two probes are fitted on labelled training features and give scores to test features; a report counts:
//!
//! - [`LinearProbe`]: multinomial logistic regression on standardised features, by L-BFGS.
//! - [`KnnClassifier`]: votes of the k training features nearest in cosine similarity ([`search`] alone finds
//!   them).
//! - [`Report`]: top-1 and top-5 with confidence intervals, accuracy a class, confusion matrix.
//!
//! Features come in as [`Features`] (checked to be finite when the view is made), labels as [`Labels`]. The
//! crate knows neither pictures nor encoders.
//!
//! # Threads
//!
//! Every function works on the rayon pool it is called in, so `pool.install(|| ...)` chooses the number of
//! threads. Work is cut into blocks whose sizes depend on the problem alone and sums are taken in the order of
//! the blocks: results are the same bit for bit with any number of threads.
//!
//! # Cancellation
//!
//! Long functions take a [`Stop`], ask it often and return [`EvalError::Cancelled`] when it answers `true`.
//!
//! # Example
//!
//! ```
//! use amdim_eval::{Features, Labels, LinearConfig, LinearProbe, Report, never};
//!
//! let train = Features::new("training features", &[-1.0, 0.1, -0.8, -0.2, 0.9, 0.3, 1.1, -0.1], 2)?;
//! let train_labels = Labels::new(&[0, 0, 1, 1], 2)?;
//! let probe = LinearProbe::fit(&LinearConfig::default(), train, train_labels, None, never())?;
//!
//! let test = Features::new("test features", &[-2.0, 0.0, 2.0, 0.0], 2)?;
//! let scores = probe.predict_scores(test, never())?;
//! let report = Report::from_scores(&scores, Labels::new(&[0, 1], 2)?)?;
//! assert_eq!(report.top1.correct, 2);
//! # Ok::<(), amdim_eval::EvalError>(())
//! ```

mod cholesky;
mod error;
mod features;
mod knn;
mod labels;
mod lbfgs;
mod line_search;
mod linear;
mod logistic;
mod matrix;
mod report;
mod standardize;
mod stop;
mod whitened;
mod wilson;

pub use error::{EvalError, Result};
pub use features::Features;
pub use knn::{KnnClassifier, KnnConfig, Neighbors, search};
pub use labels::Labels;
pub use linear::{LinearConfig, LinearProbe, LinearProgress};
pub use report::{ClassAccuracy, Report};
pub use stop::{Stop, never};
pub use wilson::Proportion;
