//! How a batch is cut up. It depends on shapes alone, never on the number of threads, so results don't either.

use std::array;
use std::ops::Range;

/// Most groups that a batch is cut into. Each has a buffer for its share of a layer's weight gradients.
pub(crate) const MAX_GROUPS: usize = 8;

/// Fewest groups, where there are as many pictures, so that a few threads have work in every layer.
const FEW_GROUPS: usize = 4;

/// Weights whose gradients don't stay in a second-level cache.
const MANY_WEIGHTS: usize = 1 << 18;

/// Rows that pay for a buffer of weight gradients: adding it up costs about as much as a few rows' products.
const GROUP_ROWS: usize = 512;

/// Values of a gathered chunk that stay in a second-level cache beside the rest of what a layer touches.
const CHUNK_VALUES: usize = 96 * 1024;

/// A batch cut into at most [`MAX_GROUPS`] runs of neighbouring pictures, worked on in parallel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Groups {
    batch: usize,
    pictures: usize,
}

impl Groups {
    /// Cuts `batch` pictures (at least one) evenly, for a layer whose map has `locations` (at least one).
    pub(crate) fn new(batch: usize, locations: usize) -> Self {
        let worth_it = GROUP_ROWS.div_ceil(locations).min(batch.div_ceil(FEW_GROUPS));
        Self { batch, pictures: batch.div_ceil(MAX_GROUPS).max(worth_it) }
    }

    /// The same for the backward pass of a layer with so many weights. If they are many, the time goes into writing and
    /// reading each group's share of their gradients: 2, 4 or 8 groups, which threads share out evenly.
    pub(crate) fn with_gradients(batch: usize, locations: usize, weights: usize) -> Self {
        if weights < MANY_WEIGHTS {
            return Self::new(batch, locations);
        }
        let worth_it = (batch * locations / GROUP_ROWS).clamp(2, MAX_GROUPS);
        Self { batch, pictures: batch.div_ceil(1 << worth_it.ilog2()) }
    }

    /// Number of groups.
    pub(crate) fn count(self) -> usize {
        self.batch.div_ceil(self.pictures)
    }

    /// Index of a group's first picture.
    pub(crate) fn first(self, group: usize) -> usize {
        group * self.pictures
    }

    /// Number of pictures in the batch.
    pub(crate) fn batch(self) -> usize {
        self.batch
    }

    /// The part of each group in `values`, which hold `per_picture` a picture; empty parts beyond the last group,
    /// or all empty where `values` is.
    pub(crate) fn split<T>(self, values: &[T], per_picture: usize) -> [&[T]; MAX_GROUPS] {
        let mut parts = values.chunks((self.pictures * per_picture).max(1));
        array::from_fn(|_| parts.next().unwrap_or_default())
    }

    /// Like [`Groups::split`], to write to.
    pub(crate) fn split_mut<T>(self, values: &mut [T], per_picture: usize) -> [&mut [T]; MAX_GROUPS] {
        let mut parts = values.chunks_mut((self.pictures * per_picture).max(1));
        array::from_fn(|_| parts.next().unwrap_or_default())
    }
}

/// Rows that a layer works on at once, so that a chunk stays in the cache: `width` is the longest row it holds.
pub(crate) fn chunk_rows(width: usize) -> usize {
    (CHUNK_VALUES / width.max(1)).clamp(512, 1024)
}

/// Cuts `rows` into even chunks of at most `most`.
pub(crate) fn chunks(rows: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let step = rows.div_ceil(rows.div_ceil(most).max(1)).max(1);
    (0..rows).step_by(step).map(move |start| start..(start + step).min(rows))
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn groups_cover_the_batch_in_order(batch: u16, locations: u8) -> bool {
            let batch = batch as usize % 300 + 1;
            let values: Vec<usize> = (0..batch * 3).collect();
            let groups = Groups::new(batch, locations as usize + 1);
            let parts = groups.split(&values, 3);
            parts.concat() == values && parts[..groups.count()].iter().all(|part| !part.is_empty())
        }

        fn groups_of_layers_with_many_weights_are_large(batch: u16, locations: u8) -> bool {
            let (batch, locations) = (batch as usize % 300 + 1, locations as usize + 1);
            let groups = |weights| Groups::with_gradients(batch, locations, weights);
            let many = groups(MANY_WEIGHTS);
            groups(1000).count() == Groups::new(batch, locations).count()
                && (2.min(batch)..=MAX_GROUPS).contains(&many.count())
                && (many.count() <= 2 || many.pictures * locations >= GROUP_ROWS)
        }

        fn chunks_cover_the_rows_in_order(rows: u16, most: u8) -> bool {
            let most = most as usize + 1;
            let all: Vec<Range<usize>> = chunks(rows as usize, most).collect();
            all.iter().all(|chunk| chunk.len() <= most)
                && all.iter().cloned().flatten().eq(0..rows as usize)
        }
    }
}
