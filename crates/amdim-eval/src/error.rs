//! The error of this crate.

use thiserror::Error;

/// Result with an [`EvalError`].
pub type Result<T> = std::result::Result<T, EvalError>;

/// What can be wrong with features, labels, scores or options.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A set that must hold at least one element is empty.
    #[error("{what}: expected at least one, got none")]
    EmptySet {
        /// Name of the set.
        what: &'static str,
    },
    /// Two lengths that belong together differ.
    #[error("{what}: expected {expected}, got {actual}")]
    Shape {
        /// What was counted.
        what: &'static str,
        /// The count that would fit.
        expected: usize,
        /// The count that was given.
        actual: usize,
    },
    /// A label is not below the number of classes.
    #[error("label {index}: expected a class from 0 to {}, got {label}", classes - 1)]
    Label {
        /// Position of the label.
        index: usize,
        /// The label.
        label: u32,
        /// Number of classes.
        classes: usize,
    },
    /// A class of the test set has no training example, so no probe could name it.
    #[error("class {class}: expected training examples, got none (the test set has {test_examples})")]
    UnseenClass {
        /// The lowest such class.
        class: u32,
        /// How often it occurs in the test set.
        test_examples: usize,
    },
    /// Fewer classes than a classifier can tell apart.
    #[error("{what}: expected at least {expected} classes, got {actual}")]
    TooFewClasses {
        /// Which set or option.
        what: &'static str,
        /// The least that would do.
        expected: usize,
        /// Number of classes found.
        actual: usize,
    },
    /// A value is infinite or not a number.
    #[error("{what}: expected finite values, got an infinite one or NaN in row {row}")]
    NonFinite {
        /// Name of the matrix.
        what: &'static str,
        /// The first row that holds such a value.
        row: usize,
    },
    /// An option is out of its range.
    #[error("{name}: expected {expected}, got {actual}")]
    InvalidArgument {
        /// The option's name in the configuration.
        name: &'static str,
        /// Its range, in words.
        expected: String,
        /// What was given.
        actual: String,
    },
    /// The caller's [`Stop`](crate::Stop) answered `true`.
    #[error("cancelled")]
    Cancelled,
}

impl EvalError {
    /// The stable code of the kind of error, the same in every language of the package.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shape { .. } => "AMDIM_SHAPE",
            Self::EmptySet { .. }
            | Self::Label { .. }
            | Self::UnseenClass { .. }
            | Self::TooFewClasses { .. } => "AMDIM_DATA",
            Self::NonFinite { .. } => "AMDIM_NON_FINITE",
            Self::InvalidArgument { .. } => "AMDIM_INVALID_ARGUMENT",
            Self::Cancelled => "AMDIM_CANCELLED",
        }
    }
}

/// `InvalidArgument` unless `value` is finite and satisfies `holds`.
pub(crate) fn check_number(
    name: &'static str,
    value: f64,
    expected: &str,
    holds: impl Fn(f64) -> bool,
) -> Result<()> {
    if value.is_finite() && holds(value) {
        return Ok(());
    }
    Err(EvalError::InvalidArgument { name, expected: expected.to_owned(), actual: value.to_string() })
}

/// `Shape` unless both counts are equal.
pub(crate) fn check_count(what: &'static str, expected: usize, actual: usize) -> Result<()> {
    if expected == actual { Ok(()) } else { Err(EvalError::Shape { what, expected, actual }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_says_what_was_expected_and_what_came() {
        let error = EvalError::Label { index: 3, label: 12, classes: 10 };
        assert_eq!(error.to_string(), "label 3: expected a class from 0 to 9, got 12");
        assert_eq!(error.code(), "AMDIM_DATA");
    }

    #[test]
    fn numbers_out_of_range_and_nan_are_refused() {
        assert!(check_number("l2", 0.0, "a number of 0 or more", |v| v >= 0.0).is_ok());
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let error = check_number("l2", bad, "a number of 0 or more", |v| v >= 0.0).unwrap_err();
            assert_eq!(error.code(), "AMDIM_INVALID_ARGUMENT");
        }
    }
}
