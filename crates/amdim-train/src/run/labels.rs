//! Which pictures of a run have labels, where only a share of them is to be used.

use std::sync::Arc;

use amdim_data::Dataset;
use amdim_data::dataset::{FewLabels, Subset};
use amdim_random::{Purpose, Stream};

use crate::config::AmdimConfig;
use crate::{Result, RunError};

/// The training pictures as the configuration wants them.
///
/// Supervised runs and those of the classifiers alone see the pictures whose labels are used and no other; a
/// self-supervised run sees every picture, and its online classifiers the labels that are used.
///
/// # Errors
/// `AMDIM_DATA` for a supervised run on pictures without labels, or of one class.
pub(super) fn with_labels(config: &AmdimConfig, train: Arc<dyn Dataset>) -> Result<Arc<dyn Dataset>> {
    let needs_labels = config.learns_from_labels() || config.encoder_frozen;
    if needs_labels && train.classes().len() < 2 {
        return Err(RunError::Labels {
            set: "the training pictures",
            problem: format!(
                "a run that learns from labels expects at least 2 classes, got {}",
                train.classes().len()
            ),
        });
    }
    if !needs_labels && config.label_fraction >= 1.0 {
        return Ok(train);
    }
    let labelled = labelled_share(train.as_ref(), config.label_fraction, config.seed);
    if labelled.len() == train.len() {
        return Ok(train);
    }
    Ok(if needs_labels {
        Arc::new(Subset::new(train, labelled))
    } else {
        Arc::new(FewLabels::new(train, &labelled))
    })
}

/// The share of the labelled pictures that the seed draws, the same of every class (rounded, at least one picture),
/// ascending.
fn labelled_share(train: &dyn Dataset, fraction: f64, seed: u64) -> Vec<u32> {
    let mut by_class = vec![vec![]; train.classes().len()];
    for index in 0..train.len() {
        if let Some(label) = train.label(index) {
            by_class[label as usize].push(index as u32);
        }
    }
    let mut chosen = vec![];
    for (class, mut pictures) in by_class.into_iter().enumerate() {
        if fraction < 1.0 && !pictures.is_empty() {
            Stream::new(seed, Purpose::LabelFraction, class as u64).shuffle(&mut pictures);
            let wanted = (fraction * pictures.len() as f64).round() as usize;
            pictures.truncate(wanted.max(1));
        }
        chosen.extend(pictures);
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use amdim_data::ArrayDataset;

    use super::*;

    /// 40 pictures of class 0, 20 of class 1, 1 of class 2, in turns.
    fn pictures() -> Arc<dyn Dataset> {
        let labels: Vec<u32> = (0..60).map(|i| u32::from(i % 3 == 0)).chain([2]).collect();
        let pixels = vec![0; labels.len() * 3];
        Arc::new(ArrayDataset::new(pixels, labels.len(), 1, 1, 3, Some(labels)).unwrap())
    }

    fn by_class(train: &dyn Dataset) -> Vec<usize> {
        (0..3).map(|class| (0..train.len()).filter(|&i| train.label(i) == Some(class)).count()).collect()
    }

    #[test]
    fn every_class_gives_the_same_share_and_at_least_one() {
        let train = pictures();
        for (fraction, expected) in [(1.0, [40, 20, 1]), (0.5, [20, 10, 1]), (0.01, [1, 1, 1])] {
            let chosen = labelled_share(train.as_ref(), fraction, 7);
            let subset = Subset::new(Arc::clone(&train), chosen.clone());
            assert_eq!(by_class(&subset), expected);
            assert!(chosen.is_sorted());
            assert_eq!(chosen, labelled_share(train.as_ref(), fraction, 7));
        }
        assert_ne!(labelled_share(train.as_ref(), 0.5, 7), labelled_share(train.as_ref(), 0.5, 8));
    }

    #[test]
    fn a_larger_share_holds_the_smaller_one() {
        let train = pictures();
        let few = labelled_share(train.as_ref(), 0.1, 3);
        let many = labelled_share(train.as_ref(), 0.4, 3);
        assert!(few.iter().all(|picture| many.contains(picture)));
    }

    #[test]
    fn labels_beyond_the_share_are_hidden_and_their_pictures_kept() {
        let train = pictures();
        let chosen = labelled_share(train.as_ref(), 0.5, 7);
        let few = FewLabels::new(Arc::clone(&train), &chosen);
        assert_eq!((few.len(), by_class(&few)), (61, vec![20, 10, 1]));
        let kept = (0..61).filter(|&i| few.label(i as usize).is_some()).collect::<Vec<u32>>();
        assert_eq!(kept, chosen);
    }
}
