//! The parameters that passes read as they are: biases, and scales and shifts of batch norms.

use std::iter;
use std::ops::{Index, Range};

use amdim_kernels::Real;

/// Copies of some ranges of a flat parameter vector, found again by these ranges. Filters, which are nearly all of the
/// vector, are read packed and not kept a second time.
#[derive(Debug)]
pub(crate) struct Vectors<R> {
    /// In order, without overlaps.
    ranges: Vec<Range<usize>>,
    values: Vec<R>,
    /// Where the values of each range begin.
    starts: Vec<usize>,
}

impl<R: Real> Vectors<R> {
    /// All of `0..length` but `others`; every value is zero.
    pub(crate) fn all_but(others: impl Iterator<Item = Range<usize>>, length: usize) -> Self {
        let mut others: Vec<_> = others.chain(iter::once(length..length)).collect();
        others.sort_by_key(|range| range.start);
        let (mut ranges, mut end) = (vec![], 0);
        for other in others {
            if end < other.start {
                ranges.push(end..other.start);
            }
            end = end.max(other.end);
        }
        let mut count = 0;
        let starts = ranges
            .iter()
            .map(|range| {
                let start = count;
                count += range.len();
                start
            })
            .collect();
        Self { ranges, values: vec![R::default(); count], starts }
    }

    /// Takes the values over from the flat vector.
    pub(crate) fn copy_from(&mut self, parameters: &[R]) {
        for (range, &start) in self.ranges.iter().zip(&self.starts) {
            self.values[start..start + range.len()].copy_from_slice(&parameters[range.clone()]);
        }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}

impl<R> Index<Range<usize>> for Vectors<R> {
    type Output = [R];

    /// # Panics
    /// If the range doesn't lie within one of those that are kept.
    fn index(&self, range: Range<usize>) -> &[R] {
        let at = self.ranges.partition_point(|kept| kept.end <= range.start);
        let kept = &self.ranges[at];
        assert!(kept.start <= range.start && range.end <= kept.end, "a filter's place, {range:?}");
        let start = self.starts[at] + range.start - kept.start;
        &self.values[start..start + range.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_place_in_the_whole() {
        let whole: Vec<f64> = (0..20).map(f64::from).collect();
        let mut vectors = Vectors::all_but([12..15, 2..5, 5..6].into_iter(), 20);
        vectors.copy_from(&whole);
        assert_eq!(vectors.len(), 13);
        for range in [0..2, 6..12, 7..9, 15..20, 19..20] {
            assert_eq!(vectors[range.clone()], whole[range]);
        }
    }

    #[test]
    #[should_panic(expected = "a filter's place, 3..4")]
    fn a_range_that_is_not_kept_is_refused() {
        let vectors = Vectors::<f64>::all_but(iter::once(2..5), 20);
        let _ = &vectors[3..4];
    }
}
