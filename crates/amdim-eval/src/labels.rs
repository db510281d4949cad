//! A checked view of class labels.

use crate::error::{EvalError, Result};

/// Borrowed labels, each below the number of classes.
///
/// Examples without a label are left out by the caller, together with their features.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    values: &'a [u32],
    classes: usize,
}

impl<'a> Labels<'a> {
    /// Checks and wraps labels of `classes` classes.
    ///
    /// # Errors
    /// - [`EvalError::EmptySet`]: no labels
    /// - [`EvalError::TooFewClasses`]: fewer than 2 classes
    /// - [`EvalError::Label`]: names the first label that is not below `classes`
    pub fn new(values: &'a [u32], classes: usize) -> Result<Self> {
        if classes < 2 {
            return Err(EvalError::TooFewClasses { what: "number of classes", expected: 2, actual: classes });
        }
        if values.is_empty() {
            return Err(EvalError::EmptySet { what: "labels" });
        }
        match values.iter().position(|&label| label as usize >= classes) {
            Some(index) => Err(EvalError::Label { index, label: values[index], classes }),
            None => Ok(Self { values, classes }),
        }
    }

    /// The labels.
    pub fn values(&self) -> &'a [u32] {
        self.values
    }

    /// Number of labels, at least 1.
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// Number of classes, at least 2; some may have no example.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of examples a class.
    pub fn histogram(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for &label in self.values {
            counts[label as usize] += 1;
        }
        counts
    }

    /// Checks that a probe fitted on these labels can be tested on `test`.
    ///
    /// # Errors
    /// - [`EvalError::Shape`]: the numbers of classes differ
    /// - [`EvalError::UnseenClass`]: a class occurs in `test` only
    pub fn check_covers(&self, test: Labels<'_>) -> Result<()> {
        crate::error::check_count("classes of the test labels", self.classes, test.classes)?;
        let (train, test) = (self.histogram(), test.histogram());
        match (0..self.classes).find(|&class| train[class] == 0 && test[class] > 0) {
            Some(class) => Err(EvalError::UnseenClass { class: class as u32, test_examples: test[class] }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_labels_out_of_range() {
        assert_eq!(
            Labels::new(&[0, 2, 3], 3).unwrap_err(),
            EvalError::Label { index: 2, label: 3, classes: 3 }
        );
        assert_eq!(Labels::new(&[], 3).unwrap_err(), EvalError::EmptySet { what: "labels" });
        assert!(matches!(Labels::new(&[0], 1).unwrap_err(), EvalError::TooFewClasses { actual: 1, .. }));
    }

    #[test]
    fn a_class_of_the_test_set_alone_is_named() {
        let train = Labels::new(&[0, 3, 3], 5).unwrap();
        assert_eq!(train.histogram(), [1, 0, 0, 2, 0]);
        assert!(train.check_covers(Labels::new(&[3, 0], 5).unwrap()).is_ok());
        assert_eq!(
            train.check_covers(Labels::new(&[0, 2, 2, 4], 5).unwrap()).unwrap_err(),
            EvalError::UnseenClass { class: 2, test_examples: 2 }
        );
        assert_eq!(train.check_covers(Labels::new(&[0], 4).unwrap()).unwrap_err().code(), "AMDIM_SHAPE");
    }
}
