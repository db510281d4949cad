//! Labels met while the headers of a data set are read.

use std::collections::HashMap;

use crate::dataset::{MAXIMUM_CLASSES, numbered_classes};
use crate::error::{DataError, Result};

/// Stands for no label.
const NONE: u32 = u32::MAX;

/// A label as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoredLabel {
    /// The number of a class, from 0.
    Number(u32),
    /// The name of a class.
    Name(String),
}

/// What a picture without a label means where others have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// A mistake.
    IsAnError,
    /// That it has none.
    HasNone,
}

/// Gathers the labels of a data set, one a picture, in its order.
#[derive(Debug, Default)]
pub(super) struct LabelGatherer {
    /// The class, or the place in `names`; [`NONE`] for none.
    labels: Vec<u32>,
    names: HashMap<String, u32>,
    first_number: Option<String>,
    first_name: Option<String>,
    first_without: Option<String>,
}

/// The labels of a data set.
#[derive(Debug, Default)]
pub(super) struct Labels {
    labels: Vec<u32>,
    classes: Vec<String>,
}

impl LabelGatherer {
    /// Adds the label of the next picture, which `picture` names.
    ///
    /// # Errors
    /// [`DataError::BadFormat`] for a number no data set has as many classes for, or numbers beside names.
    pub(super) fn push(&mut self, label: Option<StoredLabel>, picture: impl Fn() -> String) -> Result<()> {
        let stored = match label {
            Some(StoredLabel::Number(number)) => {
                if number >= MAXIMUM_CLASSES {
                    let problem = format!("label {number}, expected a class below {MAXIMUM_CLASSES}");
                    return Err(DataError::format(picture(), problem));
                }
                self.first_number.get_or_insert_with(&picture);
                number
            }
            Some(StoredLabel::Name(name)) => {
                self.first_name.get_or_insert_with(&picture);
                let next = self.names.len() as u32;
                *self.names.entry(name).or_insert(next)
            }
            None => {
                self.first_without.get_or_insert_with(&picture);
                NONE
            }
        };
        self.labels.push(stored);
        match (&self.first_number, &self.first_name) {
            (Some(number), Some(name)) => Err(DataError::format(
                picture(),
                format!("labels are numbers ({number}) and names ({name}); expected one of the two"),
            )),
            _ => Ok(()),
        }
    }

    /// The labels, in the numbering of `class_names` where there are any; names are sorted otherwise.
    ///
    /// # Errors
    /// [`DataError::MissingLabel`] for a picture without one where that is a mistake, [`DataError::BadFormat`] for a
    /// label that is none of the class names.
    pub(super) fn finish(mut self, class_names: Option<&[String]>, missing: Missing) -> Result<Labels> {
        let Some(labelled) = self.first_number.clone().or_else(|| self.first_name.clone()) else {
            return Ok(Labels::default());
        };
        if let (Some(picture), Missing::IsAnError) = (self.first_without.take(), missing) {
            return Err(DataError::MissingLabel {
                place: "the data set".to_owned(),
                picture,
                hint: format!("{labelled} has one; give all pictures a label, or ask for no labels"),
            });
        }
        let numbers = self.labels.iter().copied().filter(|&label| label != NONE);
        let Some(class_names) = class_names else {
            if self.names.is_empty() {
                let classes = numbered_classes(&numbers.collect::<Vec<_>>());
                return Ok(Labels { labels: self.labels, classes });
            }
            let mut classes: Vec<String> = self.names.keys().cloned().collect();
            classes.sort_unstable();
            return self.renumbered(classes);
        };
        if !self.names.is_empty() {
            return self.renumbered(class_names.to_vec());
        }
        match numbers.max() {
            Some(label) if label as usize >= class_names.len() => Err(DataError::format(
                labelled,
                format!("the largest label is {label}, but there are only {} class names", class_names.len()),
            )),
            _ => Ok(Labels { labels: self.labels, classes: class_names.to_vec() }),
        }
    }

    /// Labels by name in the numbering of `classes`.
    fn renumbered(mut self, classes: Vec<String>) -> Result<Labels> {
        let places: HashMap<&str, u32> =
            classes.iter().enumerate().map(|(at, name)| (name.as_str(), at as u32)).collect();
        let mut numbers = vec![NONE; self.names.len()];
        for (name, &at) in &self.names {
            let Some(&place) = places.get(name.as_str()) else {
                let problem = format!("label {name:?} is none of the {} class names", classes.len());
                return Err(DataError::format(self.first_name.unwrap_or_default(), problem));
            };
            numbers[at as usize] = place;
        }
        for label in &mut self.labels {
            if *label != NONE {
                *label = numbers[*label as usize];
            }
        }
        Ok(Labels { labels: self.labels, classes })
    }
}

impl Labels {
    /// The class of a picture.
    pub(super) fn get(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied().filter(|&label| label != NONE)
    }

    /// The names of the classes; empty when nothing is labelled.
    pub(super) fn classes(&self) -> &[String] {
        &self.classes
    }
}

#[cfg(test)]
mod tests {
    use super::StoredLabel::{Name, Number};
    use super::*;

    fn gathered(labels: &[Option<StoredLabel>]) -> LabelGatherer {
        let mut gatherer = LabelGatherer::default();
        for (index, label) in labels.iter().enumerate() {
            gatherer.push(label.clone(), || format!("p{index}")).unwrap();
        }
        gatherer
    }

    fn name(text: &str) -> StoredLabel {
        Name(text.to_owned())
    }

    fn all(labels: &Labels) -> Vec<Option<u32>> {
        (0..3).map(|index| labels.get(index)).collect()
    }

    #[test]
    fn names_are_sorted_or_in_the_order_given() {
        let labels = [Some(name("dog")), Some(name("cat")), Some(name("dog"))];
        let sorted = gathered(&labels).finish(None, Missing::IsAnError).unwrap();
        assert_eq!(sorted.classes(), ["cat", "dog"]);
        assert_eq!(all(&sorted), [Some(1), Some(0), Some(1)]);
        let classes = ["dog", "cat", "cow"].map(str::to_owned);
        let given = gathered(&labels).finish(Some(&classes), Missing::IsAnError).unwrap();
        assert_eq!(given.classes(), classes);
        assert_eq!(all(&given), [Some(0), Some(1), Some(0)]);
        let error = gathered(&labels).finish(Some(&classes[..1]), Missing::IsAnError).unwrap_err();
        assert!(error.to_string().contains("\"cat\" is none of the 1 class names"), "{error}");
    }

    #[test]
    fn numbers_have_numbers_or_names_as_classes() {
        let labels = [Some(Number(2)), Some(Number(0)), Some(Number(2))];
        let numbered = gathered(&labels).finish(None, Missing::IsAnError).unwrap();
        assert_eq!(numbered.classes(), ["0", "1", "2"]);
        let classes = ["a", "b", "c"].map(str::to_owned);
        let named = gathered(&labels).finish(Some(&classes), Missing::IsAnError).unwrap();
        assert_eq!((all(&named), named.classes()), (vec![Some(2), Some(0), Some(2)], &classes[..]));
        let error = gathered(&labels).finish(Some(&classes[..2]), Missing::IsAnError).unwrap_err();
        assert!(error.to_string().contains("the largest label is 2"), "{error}");
    }

    #[test]
    fn a_missing_label_is_a_mistake_or_none() {
        let labels = [Some(Number(1)), None, Some(Number(0))];
        let error = gathered(&labels).finish(None, Missing::IsAnError).unwrap_err();
        assert!(matches!(error, DataError::MissingLabel { ref picture, .. } if picture == "p1"), "{error}");
        assert_eq!(all(&gathered(&labels).finish(None, Missing::HasNone).unwrap()), [Some(1), None, Some(0)]);
        let none = gathered(&[None, None]).finish(None, Missing::IsAnError).unwrap();
        assert!(none.classes().is_empty() && none.get(0).is_none());
    }

    #[test]
    fn numbers_beside_names_and_huge_numbers_are_errors() {
        let mut mixed = gathered(&[Some(Number(1))]);
        let error = mixed.push(Some(name("cat")), || "p1".to_owned()).unwrap_err();
        assert!(error.to_string().contains("numbers (p0) and names (p1)"), "{error}");
        let error = LabelGatherer::default().push(Some(Number(u32::MAX)), || "p0".to_owned()).unwrap_err();
        assert_eq!(error.code(), "AMDIM_DATA");
    }
}
