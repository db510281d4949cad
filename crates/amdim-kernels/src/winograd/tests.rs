//! Every kernel's transforms against plain convolutions and against each other. Values are small whole numbers, so that
//! all results are exact (weights' points are whole quarters).

use quickcheck::quickcheck;

use super::*;
use crate::{Bf16, Kernel, Real, WideBf16};

/// Whole numbers in -2..=2.
fn numbers(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 7 + seed * 13 + i / 11) % 5) as f64 - 2.0).collect()
}

fn stored<S: Stored>(values: &[f64]) -> Vec<S> {
    values.iter().map(|&value| S::from_real(S::Real::from_f64(value))).collect()
}

fn real<R: Real>(values: &[f64]) -> Vec<R> {
    values.iter().map(|&value| R::from_f64(value)).collect()
}

fn to_f64<S: Stored>(values: &[S]) -> Vec<f64> {
    values.iter().map(|value| value.to_real().to_f64()).collect()
}

/// Dense squares of `side` pixels, tile after tile.
fn pixels(side: usize, channels: usize) -> Pixels {
    let places = |step: usize| std::array::from_fn(|i| if i < side { i * step } else { ABSENT });
    Pixels { rows: places(side * channels), columns: places(channels), step: side * side * channels }
}

/// `[tile, point, channel]`
fn points(channels: usize) -> Points {
    let starts = std::array::from_fn(|i| std::array::from_fn(|j| (i * SIDE + j) * channels));
    Points { starts, step: SIDE * SIDE * channels }
}

/// The transforms of a kernel, on dense tiles, in `f64` outside.
struct Dense<S: Stored> {
    winograd: Winograd<S>,
    shape: Shape,
    taps: usize,
}

impl<S: Stored> Dense<S> {
    fn count(&self, side: usize) -> usize {
        side * side * self.shape.channels * self.shape.tiles
    }

    /// Pixels of `side` to points.
    fn forth<A: Stored<Real = S::Real>>(
        &self,
        side: usize,
        x: &[f64],
        transform: impl Fn(Winograd<S>, Shape, (&[A], Pixels), (&mut [S::Packed], Points)),
    ) -> Vec<f64> {
        let (from, mut to) = (stored(x), vec![S::Packed::default(); self.count(SIDE)]);
        let channels = self.shape.channels;
        let places = (pixels(side, channels), points(channels));
        transform(self.winograd, self.shape, (&from, places.0), (&mut to, places.1));
        to_f64(&to)
    }

    /// Points to pixels of `side`.
    fn back(
        &self,
        side: usize,
        x: &[f64],
        transform: impl Fn(Winograd<S>, Shape, (&[S::Real], Points), (&mut [S::Real], Pixels)),
    ) -> Vec<f64> {
        let (from, mut to) = (real(x), vec![S::Real::default(); self.count(side)]);
        let channels = self.shape.channels;
        let places = (points(channels), pixels(side, channels));
        transform(self.winograd, self.shape, (&from, places.0), (&mut to, places.1));
        to.into_iter().map(Real::to_f64).collect()
    }

    fn outputs(&self, x: &[f64], bias: Option<&[f64]>, relu: bool) -> Vec<f64> {
        let side = Winograd::<S>::outputs_of(self.taps);
        let (from, mut to) = (real::<S::Real>(x), vec![S::default(); self.count(side)]);
        let (channels, bias) = (self.shape.channels, bias.map(real::<S::Real>));
        let to_places = (&mut to[..], pixels(side, channels));
        self.winograd.outputs(self.shape, (&from, points(channels)), to_places, bias.as_deref(), relu);
        to_f64(&to)
    }
}

fn all<S: Stored>(taps: usize, tiles: usize, channels: usize, test: impl Fn(&Dense<S>) -> bool) -> bool {
    Kernel::ALL.into_iter().filter(|&kernel| Gemm::<S>::exists(kernel)).all(|kernel| {
        let winograd = Winograd::new(Gemm::<S>::new(kernel), taps);
        test(&Dense { winograd, shape: Shape { tiles, channels }, taps })
    })
}

/// Channel by channel: products of points are convolutions.
fn convolves<S: Stored>(dense: &Dense<S>, seed: usize) -> bool {
    let (Shape { tiles, channels }, taps) = (dense.shape, dense.taps);
    let side = Winograd::<S>::outputs_of(taps);
    let (x, w) = (numbers(dense.count(SIDE), seed), numbers(taps * taps * channels, seed + 1));
    let bias = numbers(channels, seed + 2);
    let v = dense.forth(SIDE, &x, Winograd::inputs);
    let one = Dense { shape: Shape { tiles: 1, channels }, ..*dense };
    let u = one.forth(taps, &w, Winograd::weights);
    let products: Vec<f64> = v.iter().enumerate().map(|(at, v)| v * u[at % u.len()]).collect();
    let y = dense.outputs(&products, Some(&bias), true);
    let expected = |tile: usize, row: usize, column: usize, channel: usize| {
        let mut sum = bias[channel];
        for (i, j) in (0..taps).flat_map(|i| (0..taps).map(move |j| (i, j))) {
            let at = (tile * SIDE + row + i) * SIDE + column + j;
            sum += x[at * channels + channel] * w[(i * taps + j) * channels + channel];
        }
        sum.max(0.0)
    };
    (0..tiles * side * side * channels).all(|at| {
        let (pixel, channel) = (at / channels, at % channels);
        let (tile, row, column) = (pixel / (side * side), pixel / side % side, pixel % side);
        y[at] == expected(tile, row, column, channel)
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gradients go through the transposed transforms: `<T x, y> = <x, T' y>`.
fn transposes<S: Stored>(dense: &Dense<S>, seed: usize) -> bool {
    let side = Winograd::<S>::outputs_of(dense.taps);
    let of = |side: usize, seed: usize| numbers(dense.count(side), seed);
    let (x, w, y, p) = (of(SIDE, seed), of(dense.taps, seed + 1), of(side, seed + 2), of(SIDE, seed + 3));
    dot(&dense.forth(SIDE, &x, Winograd::inputs), &p)
        == dot(&x, &dense.back(SIDE, &p, Winograd::input_gradients))
        && dot(&dense.forth(dense.taps, &w, Winograd::weights), &p)
            == dot(&w, &dense.back(dense.taps, &p, Winograd::weight_gradients))
        && dot(&dense.forth(side, &y, Winograd::output_gradients), &p)
            == dot(&y, &dense.outputs(&p, None, false))
}

quickcheck! {
    fn products_of_points_are_convolutions(taps: bool, tiles: u8, channels: u8, seed: u8) -> bool {
        let (taps, tiles, channels) = (2 + usize::from(taps), tiles as usize % 5, channels as usize % 40 + 1);
        all::<f32>(taps, tiles, channels, |dense| convolves(dense, seed.into()))
            && all::<f64>(taps, tiles, channels, |dense| convolves(dense, seed.into()))
            && all::<Bf16>(taps, tiles, channels, |dense| convolves(dense, seed.into()))
            && all::<WideBf16>(taps, tiles, channels, |dense| convolves(dense, seed.into()))
    }

    fn gradients_go_through_transposes(taps: bool, tiles: u8, channels: u8, seed: u8) -> bool {
        let (taps, tiles, channels) = (2 + usize::from(taps), tiles as usize % 5, channels as usize % 40 + 1);
        all::<f32>(taps, tiles, channels, |dense| transposes(dense, seed.into()))
            && all::<f64>(taps, tiles, channels, |dense| transposes(dense, seed.into()))
            && all::<Bf16>(taps, tiles, channels, |dense| transposes(dense, seed.into()))
            && all::<WideBf16>(taps, tiles, channels, |dense| transposes(dense, seed.into()))
    }
}

#[test]
fn absent_pixels_are_zero_and_absent_points_are_not_written() {
    let winograd = Winograd::new(Gemm::<f32>::new(Kernel::best()), 3);
    let shape = Shape { tiles: 2, channels: 3 };
    let mut places = pixels(SIDE, 3);
    places.rows[3] = ABSENT;
    let x = real::<f32>(&numbers(2 * 48, 1));
    let mut zeroed = x.clone();
    zeroed[36..48].fill(0.0);
    zeroed[84..].fill(0.0);
    let mut to = [vec![9.0; 2 * 48], vec![9.0; 2 * 48]];
    let mut fewer = points(3);
    fewer.starts[1][2] = ABSENT;
    winograd.inputs(shape, (&x, places), (&mut to[0], fewer));
    winograd.inputs(shape, (&zeroed, pixels(SIDE, 3)), (&mut to[1], points(3)));
    let [fewer, all] = to;
    for (at, (&fewer, &all)) in fewer.iter().zip(&all).enumerate() {
        let dropped = at % 48 / 3 == SIDE + 2;
        assert_eq!(fewer, if dropped { 9.0 } else { all });
    }
}

#[test]
#[should_panic(expected = "tiles that are read")]
fn tiles_beyond_the_values_are_refused() {
    let winograd = Winograd::new(Gemm::<f32>::new(Kernel::Portable), 2);
    let shape = Shape { tiles: 2, channels: 3 };
    winograd.inputs(shape, (&[0.0; 95], pixels(SIDE, 3)), (&mut [0.0; 96], points(3)));
}
