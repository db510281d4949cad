//! Which location of a local map predicts.

use amdim_random::{Purpose, Stream};

use crate::encoder::Scale;

/// Which location of each local map is the source vector, a picture and view at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePositions {
    maps: Vec<(Scale, [Vec<u32>; 2])>,
}

impl SourcePositions {
    /// From the locations of each local map, `row * side + column`, for view 1 and 2: `[batch]` each.
    pub fn new(maps: Vec<(Scale, [Vec<u32>; 2])>) -> Self {
        Self { maps }
    }

    /// Draws every position uniformly, from (seed, update) alone: for one local map of `scales` after the other, view
    /// 1, then view 2.
    pub fn draw(scales: &[Scale], batch: usize, seed: u64, update: u64) -> Self {
        let mut stream = Stream::new(seed, Purpose::SourcePositions, update);
        let mut draw = |scale: Scale| {
            (0..batch).map(|_| stream.below(scale.locations() as u64) as u32).collect::<Vec<_>>()
        };
        let mut maps = Vec::with_capacity(scales.len());
        maps.extend(
            scales
                .iter()
                .filter(|&&scale| scale != Scale::GLOBAL)
                .map(|&scale| (scale, [draw(scale), draw(scale)])),
        );
        Self { maps }
    }

    /// The positions of a scale in a view (0 or 1), `[batch]`; none for the global vector and for maps that are not
    /// there.
    pub fn of(&self, scale: Scale, view: usize) -> Option<&[u32]> {
        self.maps.iter().find(|(other, _)| *other == scale).map(|(_, views)| &views[view][..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The authors' encoders: 5x5 for both views, then 7x7; checkpoints go on with the same numbers.
    #[test]
    fn maps_are_drawn_one_after_the_other() {
        let drawn = SourcePositions::draw(&[1, 5, 7].map(Scale::new), 3, 4, 5);
        let mut stream = Stream::new(4, Purpose::SourcePositions, 5);
        for (side, view) in [(5, 0), (5, 1), (7, 0), (7, 1)] {
            let expected: Vec<u32> = (0..3).map(|_| stream.below(side * side) as u32).collect();
            assert_eq!(drawn.of(Scale::new(side as usize), view), Some(&expected[..]));
        }
        assert_eq!(drawn.of(Scale::GLOBAL, 0), None);
        assert_eq!(drawn.of(Scale::new(8), 0), None);
    }
}
