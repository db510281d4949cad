//! The crate's one error type.

use std::io;

use thiserror::Error;

use crate::pickle::PickleError;

/// Result with this crate's [`FilesError`].
pub type Result<T> = std::result::Result<T, FilesError>;

/// What can go wrong. The caller knows the path and adds it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The file is no `torch.save` file, is cut off, or contradicts itself.
    #[error("{0}")]
    Malformed(String),
    /// The pickle inside is cut off, malformed, or asks for something that is never done.
    #[error("its pickle is refused: {0}")]
    Pickle(#[from] PickleError),
    /// An argument is outside its range.
    #[error("{name}: expected {expected}, got {actual}")]
    InvalidArgument {
        /// Name of the argument.
        name: &'static str,
        /// What it may be.
        expected: String,
        /// What came.
        actual: String,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<FilesError> for io::Error {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Io(error) => error,
            other => Self::other(other),
        }
    }
}

impl FilesError {
    /// A [`FilesError::Malformed`].
    pub(crate) fn malformed(problem: impl Into<String>) -> Self {
        Self::Malformed(problem.into())
    }
}
