//! The error of this crate: what was expected, of what, and what was met.

use std::io;

use thiserror::Error;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, DataError>;

/// Everything that can go wrong between a path and a batch.
///
/// [`DataError::code`] gives the stable code that callers match on; the message is for people.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// An option or argument is outside what it may be.
    #[error("{name} must be {expected}, got {actual}")]
    InvalidArgument {
        /// The option's name as its user writes it.
        name: String,
        /// What it may be.
        expected: String,
        /// What it was.
        actual: String,
    },
    /// A folder or archive holds no picture.
    #[error(
        "no pictures found in {place}; looked for .jpg .jpeg .png .gif .bmp .webp ({ignored} other files there)"
    )]
    NoPictures {
        /// The folder or archive.
        place: String,
        /// Files that are there and are not pictures.
        ignored: usize,
    },
    /// A Parquet file has no column of pictures.
    #[error(
        "{place} has no column of pictures: expected one of bytes, or one with a field bytes, as Hugging Face's data \
         sets have it; its columns are {columns}"
    )]
    NoPictureColumn {
        /// The file.
        place: String,
        /// The columns it has.
        columns: String,
    },
    /// A class folder holds no picture, so that its label would never occur.
    #[error("class folder {class} in {place} has no pictures; remove it or put pictures into it")]
    EmptyClass {
        /// The folder or archive.
        place: String,
        /// The class folder's name.
        class: String,
    },
    /// A picture has no label where labels are needed.
    #[error("{picture} in {place} has no label; {hint}")]
    MissingLabel {
        /// The data set.
        place: String,
        /// The picture's name.
        picture: String,
        /// What to do about it.
        hint: String,
    },
    /// A binary file is shorter or longer than its format says.
    #[error(
        "{place} is truncated or has the wrong size: expected {expected_bytes} bytes, got {actual_bytes}"
    )]
    WrongLength {
        /// The file.
        place: String,
        /// Bytes it must have.
        expected_bytes: u64,
        /// Bytes it has.
        actual_bytes: u64,
    },
    /// A file's content contradicts its format.
    #[error("{place}: {problem}")]
    BadFormat {
        /// The file.
        place: String,
        /// What is wrong, with what was expected and what was met.
        problem: String,
    },
    /// The system refused a file: not there, no permission, a failing disk.
    #[error("cannot read {place}: {source}")]
    Io {
        /// The file or folder.
        place: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The bytes of a picture cannot be decoded.
    #[error("cannot decode {picture}: {problem}")]
    Decode {
        /// The picture's name.
        picture: String,
        /// What the decoder found.
        problem: String,
    },
    /// A picture is too small to be trained on or embedded.
    #[error("{picture} is {width}x{height} pixels; each side must have at least {minimum_side}")]
    TooSmall {
        /// The picture's name.
        picture: String,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// The least side in pixels.
        minimum_side: u32,
    },
    /// Something is larger than the limits allow; nothing was allocated for it.
    #[error("{place} has {actual} {unit}, more than the limit of {limit}")]
    Limit {
        /// The picture or file.
        place: String,
        /// What is counted: pixels or bytes.
        unit: &'static str,
        /// The limit.
        limit: u64,
        /// The count met.
        actual: u64,
    },
    /// The user's transform failed on a picture.
    #[error("transform failed on {picture}: {problem}")]
    Transform {
        /// The picture's name.
        picture: String,
        /// What it reported.
        problem: String,
    },
    /// Too many pictures are bad for a batch to be filled.
    #[error("cannot fill a batch of {batch}: only {good} readable pictures are left of {total}")]
    TooFewGoodPictures {
        /// Pictures a batch.
        batch: usize,
        /// Pictures that could be read.
        good: usize,
        /// Pictures of the data set.
        total: usize,
    },
    /// A defect of this crate or of a decoder, caught.
    #[error("internal error while making a batch: {message}")]
    Internal {
        /// What was caught.
        message: String,
    },
}

impl DataError {
    /// The stable code of this kind of error, one of `AMDIM_INVALID_ARGUMENT`, `AMDIM_DATA`, `AMDIM_DECODE`,
    /// `AMDIM_IO`, `AMDIM_LIMIT`, `AMDIM_INTERNAL`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidArgument { .. } => "AMDIM_INVALID_ARGUMENT",
            Self::NoPictures { .. }
            | Self::NoPictureColumn { .. }
            | Self::EmptyClass { .. }
            | Self::MissingLabel { .. }
            | Self::WrongLength { .. }
            | Self::BadFormat { .. }
            | Self::TooSmall { .. }
            | Self::Transform { .. }
            | Self::TooFewGoodPictures { .. } => "AMDIM_DATA",
            Self::Decode { .. } => "AMDIM_DECODE",
            Self::Io { .. } => "AMDIM_IO",
            Self::Limit { .. } => "AMDIM_LIMIT",
            Self::Internal { .. } => "AMDIM_INTERNAL",
        }
    }

    /// Whether the error lies in one picture, so that a run may go on without it.
    ///
    /// A failing user transform is not: it would fail on the next picture too.
    pub fn is_bad_picture(&self) -> bool {
        matches!(self, Self::Decode { .. } | Self::TooSmall { .. } | Self::Limit { .. } | Self::Io { .. })
    }

    /// The same error about the picture called `name`.
    #[must_use]
    pub fn with_picture(mut self, name: &str) -> Self {
        match &mut self {
            Self::Decode { picture, .. }
            | Self::TooSmall { picture, .. }
            | Self::Transform { picture, .. }
            | Self::Limit { place: picture, .. } => name.clone_into(picture),
            _ => {}
        }
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass temporaries and numbers")]
    pub(crate) fn argument(name: &str, expected: impl Into<String>, actual: impl ToString) -> Self {
        Self::InvalidArgument { name: name.to_owned(), expected: expected.into(), actual: actual.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass temporaries and numbers")]
    pub(crate) fn io(place: impl ToString, source: io::Error) -> Self {
        Self::Io { place: place.to_string(), source }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass temporaries and numbers")]
    pub(crate) fn format(place: impl ToString, problem: impl Into<String>) -> Self {
        Self::BadFormat { place: place.to_string(), problem: problem.into() }
    }
}

/// What a caught panic said.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}
