//! Some pictures of a data set, or some of its labels.

use std::sync::Arc;

use super::{Dataset, Stream};
use crate::decode::{ChoosePart, Part};
use crate::error::Result;
use crate::image::Image;

/// Some pictures of a data set, in an order of one's own.
pub struct Subset {
    inner: Arc<dyn Dataset>,
    indices: Vec<u32>,
}

impl Subset {
    /// The pictures of these indices.
    pub fn new(inner: Arc<dyn Dataset>, indices: Vec<u32>) -> Self {
        Self { inner, indices }
    }

    /// The place in the inner set; an index past the end is one past the end there, too.
    fn inner_index(&self, index: usize) -> usize {
        self.indices.get(index).map_or(usize::MAX, |&at| at as usize)
    }
}

impl Dataset for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.inner.label(*self.indices.get(index)? as usize)
    }

    fn classes(&self) -> &[String] {
        self.inner.classes()
    }

    fn name(&self, index: usize) -> String {
        self.indices.get(index).map_or_else(|| index.to_string(), |&at| self.inner.name(at as usize))
    }

    fn image(&self, index: usize) -> Result<Image> {
        self.inner.image(self.inner_index(index))
    }

    fn part(&self, index: usize, choose: &mut ChoosePart<'_>) -> Result<Part> {
        self.inner.part(self.inner_index(index), choose)
    }
}

/// All pictures of a data set, of which only some keep their labels.
pub struct FewLabels {
    inner: Arc<dyn Dataset>,
    /// Whether a picture keeps its label.
    keeps: Vec<bool>,
}

impl FewLabels {
    /// Hides the labels of all pictures but these.
    pub fn new(inner: Arc<dyn Dataset>, labelled: &[u32]) -> Self {
        let mut keeps = vec![false; inner.len()];
        for &index in labelled {
            keeps[index as usize] = true;
        }
        Self { inner, keeps }
    }
}

impl Dataset for FewLabels {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.inner.label(index).filter(|_| self.keeps[index])
    }

    fn classes(&self) -> &[String] {
        self.inner.classes()
    }

    fn name(&self, index: usize) -> String {
        self.inner.name(index)
    }

    fn image(&self, index: usize) -> Result<Image> {
        self.inner.image(index)
    }

    fn part(&self, index: usize, choose: &mut ChoosePart<'_>) -> Result<Part> {
        self.inner.part(index, choose)
    }

    fn ignored_files(&self) -> usize {
        self.inner.ignored_files()
    }

    fn stream(&self) -> Option<Arc<Stream>> {
        self.inner.stream()
    }
}
