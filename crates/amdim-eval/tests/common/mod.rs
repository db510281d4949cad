//! Examples made of classes around centres.

/// Numbers in -1..1 that follow no pattern.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// The next number.
    pub(crate) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    }

    /// The next `count` numbers.
    pub(crate) fn vector(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Labelled features, row after row.
pub(crate) struct Examples {
    /// `[rows, dim]`
    pub(crate) values: Vec<f32>,
    /// `[rows]`
    pub(crate) labels: Vec<u32>,
    /// Number of features in a row.
    pub(crate) dim: usize,
}

impl Examples {
    /// `rows` examples of `classes` classes; features are a centre of the class times `distance` plus noise.
    pub(crate) fn new(seed: u64, rows: usize, dim: usize, classes: usize, distance: f32) -> Self {
        // The centres depend on the sizes alone, so that two seeds give a training and a test set.
        let centres = Noise(99).vector(classes * dim);
        let mut noise = Noise(seed);
        let labels: Vec<u32> = (0..rows).map(|i| (i % classes) as u32).collect();
        let centre = |label: u32| &centres[label as usize * dim..][..dim];
        let values =
            labels.iter().flat_map(|&label| centre(label)).map(|c| c * distance + noise.next()).collect();
        Self { values, labels, dim }
    }

    /// The same examples with row `order[i]` as row i.
    #[allow(dead_code, reason = "some of the test programs have no use for it")]
    pub(crate) fn permuted(&self, order: &[usize]) -> Self {
        let row = |&i: &usize| &self.values[i * self.dim..][..self.dim];
        Self {
            values: order.iter().flat_map(row).copied().collect(),
            labels: order.iter().map(|&i| self.labels[i]).collect(),
            dim: self.dim,
        }
    }
}
