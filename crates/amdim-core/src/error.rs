//! The crate's one error type.

use std::path::PathBuf;

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong; [`Error::code`] is stable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument or configuration value is outside its range.
    #[error("{name}: expected {expected}, got {actual}")]
    InvalidArgument {
        /// Name of the argument.
        name: String,
        /// What it may be.
        expected: String,
        /// What came.
        actual: String,
    },
    /// A tensor has another shape than its place asks for.
    #[error("{what}: expected shape {expected}, got {actual}")]
    Shape {
        /// Which tensor.
        what: String,
        /// Shape asked for.
        expected: String,
        /// Shape that came.
        actual: String,
    },
    /// The device asked for can't be used.
    #[error("device {requested:?} can't be used: {reason}")]
    Device {
        /// Name as asked for.
        requested: String,
        /// What is missing.
        reason: String,
    },
    /// A device ran out of memory.
    #[error("out of memory: {message}; try a smaller batch or encoder")]
    OutOfMemory {
        /// The device's own words.
        message: String,
    },
    /// A file of weights is damaged, of another kind, or of another model.
    #[error("{path}: {message}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A value that must be finite is not.
    #[error(
        "{what} is not finite at update {update}: the run has diverged or its input holds NaN; \
             lower the learning rate, or check the pictures and the normalisation"
    )]
    NonFinite {
        /// Which value.
        what: String,
        /// Number of the update, from 0.
        update: u64,
    },
    /// The operating system refused to read or write.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something that should be impossible; a defect of this library.
    #[error("internal error: {message}")]
    Internal {
        /// What was found.
        message: String,
    },
}

impl Error {
    /// The stable code, the same in Rust and JavaScript.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidArgument { .. } => "AMDIM_INVALID_ARGUMENT",
            Self::Shape { .. } => "AMDIM_SHAPE",
            Self::Device { .. } => "AMDIM_DEVICE",
            Self::OutOfMemory { .. } => "AMDIM_OUT_OF_MEMORY",
            Self::Checkpoint { .. } => "AMDIM_CHECKPOINT",
            Self::NonFinite { .. } => "AMDIM_NON_FINITE",
            Self::Io { .. } => "AMDIM_IO",
            Self::Internal { .. } => "AMDIM_INTERNAL",
        }
    }

    /// An [`Error::InvalidArgument`].
    pub fn argument(name: &str, expected: impl Into<String>, actual: impl std::fmt::Display) -> Self {
        Self::InvalidArgument { name: name.into(), expected: expected.into(), actual: format!("{actual}") }
    }

    /// An [`Error::Shape`] from two lists of dimensions.
    pub fn shape(what: &str, expected: &[usize], actual: &[usize]) -> Self {
        Self::Shape { what: what.into(), expected: format!("{expected:?}"), actual: format!("{actual:?}") }
    }

    /// An [`Error::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal { message: message.into() }
    }
}

/// [`Error::NonFinite`] unless the value is finite.
pub fn check_finite(what: &str, value: f64, update: u64) -> Result<()> {
    if value.is_finite() { Ok(()) } else { Err(Error::NonFinite { what: what.into(), update }) }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        let message = error.to_string();
        if message.to_ascii_lowercase().contains("out of memory") || message.contains("OUT_OF_MEMORY") {
            return Self::OutOfMemory { message };
        }
        Self::Internal { message }
    }
}

impl From<amdim_network::DescribeError> for Error {
    fn from(error: amdim_network::DescribeError) -> Self {
        Self::argument("encoder", "layers that fit each other", error)
    }
}
