//! Evaluation of frozen features: how much of the classes can be read from what an encoder returns.
//!
//! Two probes are fitted on labelled training features and give scores to test features; a report counts:
//!
//! - [`LinearProbe`]: multinomial logistic regression on standardised features, by L-BFGS.
//! - [`KnnClassifier`]: votes of the k training features nearest in cosine similarity ([`search`] alone finds
//!   them).
//! - [`Report`]: top-1 and top-5 with confidence intervals, accuracy a class, confusion matrix.
//!
//! What features are like is measured without a probe. Without labels:
//!
//! - [`rank_me`] and [`Spectrum`]: how many directions are used, and how their variances fall, from one [`Scatter`].
//! - [`alignment`] and [`uniformity`]: how near two views of a picture are, and how evenly pictures cover the sphere.
//!
//! With labels:
//!
//! - [`retrieval`]: mean average precision and recall of pictures that search for their class among themselves;
//!   [`gallery_retrieval`]: in another set.
//! - [`KMeans`] and [`Agreement`]: clusters found without labels, and how far they are the classes.
//! - [`PairedTest`]: whether two classifiers differ on the same pictures.
//!
//! What two variables share, by bins, Gaussians or neighbours: [`information`].
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

mod agreement;
mod alignment;
mod assignment;
mod cholesky;
mod eigenvalues;
mod error;
mod features;
pub mod information;
mod kmeans;
mod knn;
mod labels;
mod lbfgs;
mod line_search;
mod linear;
mod logistic;
mod matrix;
mod paired;
mod rank_me;
mod report;
mod retrieval;
mod scatter;
mod singular_values;
mod spectrum;
mod standardize;
mod stop;
mod uniformity;
mod whitened;
mod wilson;

pub use agreement::Agreement;
pub use alignment::alignment;
pub use error::{EvalError, Result};
pub use features::Features;
pub use kmeans::{KMeans, KMeansConfig};
pub use knn::{KnnClassifier, KnnConfig, Neighbors, search};
pub use labels::Labels;
pub use linear::{LinearConfig, LinearProbe, LinearProgress};
pub use paired::{PairedConfig, PairedTest};
pub use rank_me::rank_me;
pub use report::{ClassAccuracy, Report};
pub use retrieval::{LabelledFeatures, Retrieval, gallery_retrieval, retrieval};
pub use scatter::Scatter;
pub use singular_values::singular_values;
pub use spectrum::Spectrum;
pub use stop::{Stop, never};
pub use uniformity::uniformity;
pub use wilson::Proportion;
