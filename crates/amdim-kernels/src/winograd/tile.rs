//! The transforms of single tiles in registers, a few channels at a time. Pointers come checked from [`super::Winograd`].

use super::{ABSENT, Pixels, Points, SIDE};
use crate::simd::{Access, Simd};

/// A linear map of four values (fewer, where the others are not used) along one side of a tile.
pub(crate) trait Map {
    /// The map of `x`.
    ///
    /// # Safety
    /// The processor has the instructions of `V`.
    unsafe fn map<V: Simd>(x: [V; SIDE]) -> [V; SIDE];
}

/// Pixels of a map to points.
pub(crate) struct Inputs;
/// Gradients of points to gradients of the map's pixels.
pub(crate) struct InputGradients;
/// Points of a product to pixels of the result.
pub(crate) struct Outputs<const TAPS: usize>;
/// Gradients of the result's pixels to gradients of points.
pub(crate) struct OutputGradients<const TAPS: usize>;
/// Taps to points.
pub(crate) struct Weights<const TAPS: usize>;
/// Gradients of points to gradients of taps.
pub(crate) struct WeightGradients<const TAPS: usize>;

// SAFETY (all `unsafe` blocks of the maps): the trait's contract.

impl Map for Inputs {
    #[inline(always)]
    unsafe fn map<V: Simd>([a, b, c, d]: [V; SIDE]) -> [V; SIDE] {
        unsafe { [a.sub(c), b.add(c), c.sub(b), b.sub(d)] }
    }
}

impl Map for InputGradients {
    #[inline(always)]
    unsafe fn map<V: Simd>([a, b, c, d]: [V; SIDE]) -> [V; SIDE] {
        unsafe { [a, b.sub(c).add(d), b.add(c).sub(a), V::zero().sub(d)] }
    }
}

impl<const TAPS: usize> Map for Outputs<TAPS> {
    #[inline(always)]
    unsafe fn map<V: Simd>([a, b, c, d]: [V; SIDE]) -> [V; SIDE] {
        unsafe {
            let (even, odd) = (b.add(c), b.sub(c));
            if TAPS == 3 { [a.add(even), odd.sub(d), odd, odd] } else { [a.add(even), odd, even.sub(d), odd] }
        }
    }
}

impl<const TAPS: usize> Map for OutputGradients<TAPS> {
    #[inline(always)]
    unsafe fn map<V: Simd>([a, b, c, _]: [V; SIDE]) -> [V; SIDE] {
        unsafe {
            if TAPS == 3 {
                [a, a.add(b), a.sub(b), V::zero().sub(b)]
            } else {
                let even = a.add(c);
                [a, even.add(b), even.sub(b), V::zero().sub(c)]
            }
        }
    }
}

impl<const TAPS: usize> Map for Weights<TAPS> {
    #[inline(always)]
    unsafe fn map<V: Simd>([a, b, c, _]: [V; SIDE]) -> [V; SIDE] {
        unsafe {
            let (even, last) = if TAPS == 3 { (a.add(c), c) } else { (a, b) };
            [a, even.add(b).half(), even.sub(b).half(), last]
        }
    }
}

impl<const TAPS: usize> Map for WeightGradients<TAPS> {
    #[inline(always)]
    unsafe fn map<V: Simd>([a, b, c, d]: [V; SIDE]) -> [V; SIDE] {
        unsafe {
            let (even, odd) = (b.add(c).half(), b.sub(c).half());
            if TAPS == 3 { [a.add(even), odd, even.add(d), d] } else { [a.add(even), odd.add(d), d, d] }
        }
    }
}

/// The map along both sides.
///
/// # Safety
/// As [`Map::map`].
#[inline(always)]
unsafe fn map_both<M: Map, V: Simd>(x: [[V; SIDE]; SIDE]) -> [[V; SIDE]; SIDE] {
    // SAFETY: the caller's contract.
    unsafe {
        let mut result = x;
        for (row, x) in result.iter_mut().zip(x) {
            *row = M::map(x);
        }
        let [a, b, c, d] = result;
        for column in 0..SIDE {
            let mapped = M::map([a[column], b[column], c[column], d[column]]);
            for (row, value) in result.iter_mut().zip(mapped) {
                row[column] = value;
            }
        }
        result
    }
}

/// What happens to the pixels that points become.
#[derive(Clone, Copy)]
pub(crate) struct Finish<R> {
    /// One value a channel, or null.
    pub(crate) bias: *const R,
    pub(crate) relu: bool,
}

/// The places of a tile's values; `step` values on is the next tile.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    starts: [[usize; SIDE]; SIDE],
    step: usize,
}

impl From<Pixels> for Places {
    fn from(pixels: Pixels) -> Self {
        let Pixels { rows, columns, step } = pixels;
        let start = |row: usize, column: usize| {
            if row == ABSENT || column == ABSENT { ABSENT } else { row.saturating_add(column) }
        };
        Self { starts: rows.map(|row| columns.map(|column| start(row, column))), step }
    }
}

impl From<Points> for Places {
    fn from(Points { starts, step }: Points) -> Self {
        Self { starts, step }
    }
}

impl Places {
    /// The end of the last of `tiles` tiles' values of `channels`.
    pub(crate) fn end(&self, tiles: usize, channels: usize) -> usize {
        let present = self.starts.iter().flatten().filter(|&&start| start != ABSENT);
        match present.max() {
            Some(last) if tiles > 0 => {
                // Beyond all memory, if it doesn't fit.
                last.saturating_add((tiles - 1).saturating_mul(self.step)).saturating_add(channels)
            }
            _ => 0,
        }
    }
}

/// Tiles side by side, whose values are at the same places, a step on.
pub(crate) struct Run<A, B, R> {
    pub(crate) from: *const A,
    pub(crate) from_places: Places,
    pub(crate) to: *mut B,
    pub(crate) to_places: Places,
    pub(crate) tiles: usize,
    pub(crate) channels: usize,
    pub(crate) finish: Finish<R>,
}

/// Maps tiles; with `ADD`, adds them to what is there.
///
/// # Safety
/// The processor has the instructions of `V`, and all places lie within the memory that the pointers are of.
#[inline(always)]
pub(crate) unsafe fn run<V, M, A, B, R, const ADD: bool>(run: &Run<A, B, R>)
where
    V: Access<A> + Access<B> + Access<R>,
    M: Map,
{
    for tile in 0..run.tiles {
        let mut channel = 0;
        // SAFETY: the caller's contract; `channel` stays within `run.channels`.
        unsafe {
            while channel + V::LANES <= run.channels {
                part::<V, M, A, B, R, ADD, true>(run, tile, channel, V::LANES);
                channel += V::LANES;
            }
            if channel < run.channels {
                part::<V, M, A, B, R, ADD, false>(run, tile, channel, run.channels - channel);
            }
        }
    }
}

/// `count` channels of a tile; with `WHOLE`, a register of them.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn part<V, M, A, B, R, const ADD: bool, const WHOLE: bool>(
    run: &Run<A, B, R>,
    tile: usize,
    channel: usize,
    count: usize,
) where
    V: Access<A> + Access<B> + Access<R>,
    M: Map,
{
    // SAFETY: the caller's contract; absent places are left alone.
    unsafe {
        let from = run.from.wrapping_add(tile * run.from_places.step + channel);
        let to = run.to.wrapping_add(tile * run.to_places.step + channel);
        let mut values = [[V::zero(); SIDE]; SIDE];
        for (values, starts) in values.iter_mut().zip(&run.from_places.starts) {
            for (value, &start) in values.iter_mut().zip(starts) {
                if start != ABSENT {
                    *value = load::<V, A, WHOLE>(from.wrapping_add(start), count);
                }
            }
        }
        let values = map_both::<M, V>(values);
        for (values, starts) in values.into_iter().zip(&run.to_places.starts) {
            for (mut value, &start) in values.into_iter().zip(starts) {
                if start == ABSENT {
                    continue;
                }
                let to = to.wrapping_add(start);
                if ADD {
                    value = value.add(load::<V, B, WHOLE>(to, count));
                }
                if !run.finish.bias.is_null() {
                    value = value.add(load::<V, R, WHOLE>(run.finish.bias.add(channel), count));
                }
                if run.finish.relu {
                    value = value.relu();
                }
                if WHOLE { Access::<B>::store(value, to) } else { Access::<B>::store_first(value, to, count) }
            }
        }
    }
}

/// # Safety
/// The processor has the instructions of `V`, and there are `count` values; with `WHOLE`, a register of them.
#[inline(always)]
unsafe fn load<V: Access<T>, T, const WHOLE: bool>(from: *const T, count: usize) -> V {
    // SAFETY: the caller's contract.
    unsafe { if WHOLE { V::load(from) } else { V::load_first(from, count) } }
}
