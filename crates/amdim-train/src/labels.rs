//! Labels of one data set in the numbering of another's classes.

use amdim_data::Dataset;

use crate::{Result, RunError};

/// Translates the labels of a data set: entry `label` is the index of its class among `classes`.
///
/// Classes are matched by name, so that a test set may lack some.
///
/// # Errors
/// [`RunError::Labels`] for a class with pictures that `classes` does not have.
pub(crate) struct LabelMap<'a> {
    set: &'static str,
    dataset: &'a dyn Dataset,
    to: Vec<Option<u32>>,
}

impl<'a> LabelMap<'a> {
    /// From the classes of `dataset` to `classes`; `set` names the data set in errors.
    pub(crate) fn new(set: &'static str, dataset: &'a dyn Dataset, classes: &[String]) -> Self {
        let place = |name: &String| classes.iter().position(|class| class == name).map(|at| at as u32);
        Self { set, dataset, to: dataset.classes().iter().map(place).collect() }
    }

    /// The translated label of a picture; none if it has none.
    pub(crate) fn get(&self, index: u32) -> Result<Option<u32>> {
        let Some(label) = self.dataset.label(index as usize) else { return Ok(None) };
        if let Some(Some(translated)) = self.to.get(label as usize) {
            return Ok(Some(*translated));
        }
        let class = self.dataset.classes().get(label as usize).cloned().unwrap_or(label.to_string());
        let problem = format!(
            "expected classes of the training set, got {class:?} ({}), which it does not have",
            self.dataset.name(index as usize)
        );
        Err(RunError::Labels { set: self.set, problem })
    }

    /// The translated label of a picture that must have one.
    pub(crate) fn require(&self, index: u32) -> Result<u32> {
        self.get(index)?.ok_or_else(|| {
            let name = self.dataset.name(index as usize);
            let problem = format!("expected a label for every picture, {name} has none");
            RunError::Labels { set: self.set, problem }
        })
    }
}

#[cfg(test)]
mod tests {
    use amdim_data::{Image, MemoryDataset, MemoryPicture, PicturePixels};

    use super::*;

    fn dataset(labels: &[u32]) -> MemoryDataset {
        let picture = |&label: &u32| MemoryPicture {
            name: format!("picture of {label}"),
            pixels: PicturePixels::Decoded(Image::new(2, 2, 1, vec![0; 4]).unwrap()),
            label: Some(label),
        };
        MemoryDataset::new(labels.iter().map(picture).collect(), amdim_data::Limits::default()).unwrap()
    }

    #[test]
    fn classes_are_matched_by_name() {
        let test = dataset(&[0, 2]);
        let classes: Vec<String> = ["2", "0"].map(String::from).to_vec();
        let map = LabelMap::new("test", &test, &classes);
        assert_eq!((map.require(0).unwrap(), map.require(1).unwrap()), (1, 0));
    }

    #[test]
    fn a_class_of_the_test_set_alone_is_named() {
        let test = dataset(&[0, 1]);
        let error = LabelMap::new("test", &test, &["0".to_string()]).require(1).unwrap_err();
        assert_eq!(error.code(), "AMDIM_DATA");
        assert!(error.to_string().contains("\"1\" (picture of 1)"), "{error}");
    }
}
