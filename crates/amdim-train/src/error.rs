//! The crate's one error type: those of the crates below, and what only a run can get wrong.

use std::path::{Path, PathBuf};

use amdim_core::Error as CoreError;
use amdim_data::DataError;
use amdim_eval::EvalError;
use amdim_files::FilesError;
use serde_json::{Value, json};
use thiserror::Error;

/// Result with this crate's [`RunError`].
pub type Result<T> = std::result::Result<T, RunError>;

/// What can go wrong in a run; [`RunError::code`] is stable.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// From the mathematics, checkpoints included.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// From the pictures.
    #[error(transparent)]
    Data(#[from] DataError),
    /// From the evaluation of features.
    #[error(transparent)]
    Eval(#[from] EvalError),
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
    /// A resumed run differs from the one that wrote the checkpoint.
    #[error(
        "{key}: a resumed run goes on as the checkpoint has it, expected {checkpoint}, got {request}; \
         start a new run from its weights instead, or resume with the checkpoint's value"
    )]
    ResumeMismatch {
        /// Path of the first key that differs.
        key: String,
        /// Its value in the checkpoint, as JSON.
        checkpoint: String,
        /// Its value in the request, as JSON.
        request: String,
    },
    /// The run folder belongs to another run.
    #[error(
        "{path}: this folder holds the checkpoint of another run, which a new run would overwrite; \
         resume that run, or choose another folder"
    )]
    RunFolderTaken {
        /// The checkpoint in the way.
        path: PathBuf,
    },
    /// Another run writes to the run folder now.
    #[error(
        "{path}: another run is writing to this folder; wait for its end or stop it, or choose another folder"
    )]
    RunFolderBusy {
        /// The file that it has locked.
        path: PathBuf,
    },
    /// Labels or classes are missing or don't fit each other.
    #[error("{set}: {problem}")]
    Labels {
        /// Which data set.
        set: &'static str,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// A model file of another kind than the place asks for.
    #[error("{path}: {problem}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The operating system refused to read or write.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The caller cancelled the work.
    #[error("cancelled")]
    Cancelled,
    /// Something that should be impossible; a defect of this library.
    #[error("internal error: {message}")]
    Internal {
        /// What was found.
        message: String,
    },
}

impl RunError {
    /// The stable code, the same in Rust and JavaScript.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Core(error) => error.code(),
            Self::Data(error) => error.code(),
            Self::Eval(error) => error.code(),
            Self::InvalidArgument { .. }
            | Self::ResumeMismatch { .. }
            | Self::RunFolderTaken { .. }
            | Self::RunFolderBusy { .. } => "AMDIM_INVALID_ARGUMENT",
            Self::Labels { .. } => "AMDIM_DATA",
            Self::Checkpoint { .. } => "AMDIM_CHECKPOINT",
            Self::Io { .. } => "AMDIM_IO",
            Self::Cancelled => "AMDIM_CANCELLED",
            Self::Internal { .. } => "AMDIM_INTERNAL",
        }
    }

    /// The fields of the error as a JSON object, for programs.
    pub fn details(&self) -> Value {
        match self {
            Self::InvalidArgument { name, expected, actual }
            | Self::Core(CoreError::InvalidArgument { name, expected, actual })
            | Self::Data(DataError::InvalidArgument { name, expected, actual }) => {
                json!({ "name": name, "expected": expected, "actual": actual })
            }
            Self::Eval(EvalError::NonFinite { what, row }) => json!({ "name": what, "row": row }),
            Self::Eval(EvalError::InvalidArgument { name, expected, actual }) => {
                json!({ "name": name, "expected": expected, "actual": actual })
            }
            Self::Core(CoreError::Shape { what, expected, actual }) => {
                json!({ "name": what, "expected": expected, "actual": actual })
            }
            Self::ResumeMismatch { key, checkpoint, request } => {
                json!({ "name": key, "expected": checkpoint, "actual": request })
            }
            Self::Core(CoreError::Checkpoint { path, .. } | CoreError::Io { path, .. })
            | Self::Checkpoint { path, .. }
            | Self::RunFolderTaken { path }
            | Self::RunFolderBusy { path }
            | Self::Io { path, .. } => json!({ "path": path }),
            Self::Core(CoreError::NonFinite { what, update }) => json!({ "name": what, "update": update }),
            Self::Core(CoreError::Device { requested, .. }) => json!({ "requested": requested }),
            Self::Labels { set, .. } => json!({ "name": set }),
            _ => json!({}),
        }
    }

    /// A [`RunError::InvalidArgument`].
    #[expect(clippy::needless_pass_by_value, reason = "callers pass numbers and texts as they have them")]
    pub fn argument(name: &str, expected: impl Into<String>, actual: impl ToString) -> Self {
        Self::InvalidArgument { name: name.into(), expected: expected.into(), actual: actual.to_string() }
    }

    /// What went wrong about a file of another program, for `map_err`.
    pub(crate) fn of_file(path: &Path) -> impl Fn(FilesError) -> Self {
        let path = path.to_owned();
        move |error| match error {
            FilesError::Io(source) => Self::Io { path: path.clone(), source },
            FilesError::InvalidArgument { name, expected, actual } => Self::argument(name, expected, actual),
            other => Self::Checkpoint { path: path.clone(), problem: other.to_string() },
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
    pub(crate) fn internal(message: impl ToString) -> Self {
        Self::Internal { message: message.to_string() }
    }
}
