//! How far clusters are the classes.

use crate::assignment::best_assignment;
use crate::error::{Result, check_count};
use crate::labels::Labels;

/// Agreement of clusters with classes; names of clusters do not matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Normalised mutual information: that of cluster and class over the mean of their entropies. 0..1.
    pub nmi: f64,
    /// Adjusted Rand index: agreement on pairs of pictures, 0 for chance, 1 for equal partitions; may be below 0.
    pub ari: f64,
    /// Share of pictures that are right when each cluster is given one class, at best. 0..1.
    pub accuracy: f64,
}

impl Agreement {
    /// Of clusters with classes, in scikit-learn's conventions (the mean is arithmetic; two partitions into one set each
    /// agree).
    ///
    /// # Shapes
    /// - `clusters`: `[pictures]`, from 0
    ///
    /// # Errors
    /// [`EvalError::Shape`](crate::EvalError::Shape): another number of labels than clusters
    ///
    /// # Source
    /// A. Strehl and J. Ghosh, 2002, "Cluster ensembles" (NMI); L. Hubert and P. Arabie, 1985, "Comparing partitions"
    /// (ARI); J. Xie, R. Girshick, A. Farhadi, 2016, arXiv 1511.06335, equation 10 (accuracy).
    pub fn new(clusters: &[u32], labels: Labels<'_>) -> Result<Self> {
        check_count("labels", clusters.len(), labels.count())?;
        let table = Table::new(clusters, labels);
        Ok(Self { nmi: table.nmi(), ari: table.ari(), accuracy: table.accuracy() })
    }
}

/// Numbers of pictures by cluster and class.
struct Table {
    /// `[side, side]`, clusters by classes; the smaller number is filled up with empty ones.
    counts: Vec<f64>,
    side: usize,
    pictures: f64,
}

impl Table {
    fn new(clusters: &[u32], labels: Labels<'_>) -> Self {
        let most = clusters.iter().max().map_or(0, |&cluster| cluster as usize + 1);
        let side = most.max(labels.classes());
        let mut counts = vec![0.0; side * side];
        for (&cluster, &label) in clusters.iter().zip(labels.values()) {
            counts[cluster as usize * side + label as usize] += 1.0;
        }
        Self { counts, side, pictures: clusters.len() as f64 }
    }

    fn of_clusters(&self) -> Vec<f64> {
        self.counts.chunks_exact(self.side).map(|row| row.iter().sum()).collect()
    }

    fn of_classes(&self) -> Vec<f64> {
        (0..self.side).map(|class| self.counts[class..].iter().step_by(self.side).sum()).collect()
    }

    /// In nats.
    fn entropy(&self, counts: &[f64]) -> f64 {
        counts.iter().filter(|&&n| n > 0.0).map(|n| -n / self.pictures * (n / self.pictures).ln()).sum()
    }

    fn nmi(&self) -> f64 {
        let (clusters, classes) = (self.entropy(&self.of_clusters()), self.entropy(&self.of_classes()));
        if clusters == 0.0 && classes == 0.0 {
            return 1.0;
        }
        // Rounding can leave the information of independent partitions a hair below 0.
        let information = (clusters + classes - self.entropy(&self.counts)).max(0.0);
        (information / (0.5 * (clusters + classes))).min(1.0)
    }

    fn ari(&self) -> f64 {
        let pairs = |counts: &[f64]| counts.iter().map(|n| n * (n - 1.0) / 2.0).sum::<f64>();
        let (together, clusters, classes) =
            (pairs(&self.counts), pairs(&self.of_clusters()), pairs(&self.of_classes()));
        let all = pairs(&[self.pictures]);
        let expected = if all > 0.0 { clusters * classes / all } else { 0.0 };
        let most = 0.5 * (clusters + classes);
        if most == expected { 1.0 } else { (together - expected) / (most - expected) }
    }

    fn accuracy(&self) -> f64 {
        let pairing = best_assignment(&self.counts, self.side);
        let right = pairing.iter().enumerate().map(|(row, column)| self.counts[row * self.side + column]);
        right.sum::<f64>() / self.pictures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(clusters: &[u32], labels: &[u32]) -> Agreement {
        let classes = labels.iter().max().map_or(2, |&most| (most as usize + 1).max(2));
        Agreement::new(clusters, Labels::new(labels, classes).unwrap()).unwrap()
    }

    #[test]
    fn names_of_clusters_do_not_matter() {
        assert_eq!(of(&[2, 2, 0, 0, 1], &[0, 0, 1, 1, 2]), Agreement { nmi: 1.0, ari: 1.0, accuracy: 1.0 });
    }

    #[test]
    fn independent_partitions_share_nothing() {
        let found = of(&[0, 0, 1, 1], &[0, 1, 0, 1]);
        assert!(found.nmi.abs() < 1e-12 && (found.ari + 0.5).abs() < 1e-12, "{found:?}");
        assert_eq!(found.accuracy, 0.5);
        let one = of(&[0, 0, 0, 0], &[0, 1, 0, 1]);
        assert_eq!((one.nmi, one.ari, one.accuracy), (0.0, 0.0, 0.5));
        assert_eq!(of(&[0, 0], &[1, 1]), Agreement { nmi: 1.0, ari: 1.0, accuracy: 1.0 });
    }

    #[test]
    fn the_example_of_scikit_learn_has_its_value() {
        // From the documentation of adjusted_rand_score: 0.57 for these.
        let found = of(&[0, 0, 1, 2], &[0, 0, 1, 1]);
        assert!((found.ari - 4.0 / 7.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.accuracy, 0.75);
    }

    #[test]
    fn equals_a_count_of_pairs() {
        let clusters: Vec<u32> = (0..60).map(|i| i * i % 11 % 4).collect();
        let labels: Vec<u32> = (0..60).map(|i| i % 3).collect();
        let [mut both, mut only_cluster, mut only_class, mut neither] = [0.0; 4];
        for i in 0..60 {
            for j in 0..i {
                match (clusters[i] == clusters[j], labels[i] == labels[j]) {
                    (true, true) => both += 1.0,
                    (true, false) => only_cluster += 1.0,
                    (false, true) => only_class += 1.0,
                    (false, false) => neither += 1.0,
                }
            }
        }
        let wanted: f64 = 2.0 * (both * neither - only_cluster * only_class)
            / ((both + only_class) * (only_class + neither)
                + (both + only_cluster) * (only_cluster + neither));
        assert!((of(&clusters, &labels).ari - wanted).abs() < 1e-12);
    }

    #[test]
    fn lengths_must_agree() {
        let labels = Labels::new(&[0, 1], 2).unwrap();
        assert_eq!(Agreement::new(&[0], labels).unwrap_err().code(), "AMDIM_SHAPE");
    }
}
