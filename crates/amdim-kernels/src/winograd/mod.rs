//! Convolutions with fewer multiplications, after Winograd (Lavin and Gray 2016, "Fast Algorithms for Convolutional
//! Neural Networks", arXiv 1509.09308).
//!
//! A tile of 4x4 pixels and the taps of a kernel are polynomials in two variables. Their values at the points 0, 1, -1
//! and infinity along each side are 16 numbers each; the products of these, point by point, are the values of the
//! convolution's polynomial, from which its pixels follow. With `t` taps along a side a tile gives `5 - t` pixels along
//! it: 4 of them from 16 products instead of 36 for 3x3 taps, 9 from 16 instead of 36 for 2x2 taps.
//!
//! Summed over channels, the products of one point are a matrix product, `[tiles, channels] [channels, out]`, which is
//! [`crate::gemm`]'s work. Here are the transforms on both ends, and their transposes, which are what gradients take:
//!
//! ```text
//! pixels --inputs--> points --product--> points --outputs--> pixels
//! pixels <--input_gradients-- points <--product-- points <--output_gradients-- pixels
//! taps   <--weight_gradients- points <--product--/   (and taps --weights--> points)
//! ```
//!
//! All four points are 0 or of size 1: a transform adds and subtracts, and halves weights, so little is lost to rounding
//! (more points would save more products, and lose digits).

pub(crate) mod tile;

use std::ptr;

use tile::{Finish, Places, Run};

use crate::Stored;
use crate::gemm::Gemm;

/// Points along a side of a tile, and pixels of the map that it is made from.
pub const SIDE: usize = 4;

/// A place that holds nothing: it is read as zero, and what would be written there is dropped.
pub const ABSENT: usize = usize::MAX;

/// Where the pixels of tiles side by side are: those of the first at `rows[i] + columns[j]`, [`ABSENT`] if either is; `step`
/// values on, those of the next one. Of fewer than four a side, the others are not looked at.
#[derive(Debug, Clone, Copy)]
pub struct Pixels {
    /// Of the rows, in values.
    pub rows: [usize; SIDE],
    /// Of the columns in a row, in values.
    pub columns: [usize; SIDE],
    /// From one tile to the next, in values.
    pub step: usize,
}

/// Where the points of tiles side by side are.
#[derive(Debug, Clone, Copy)]
pub struct Points {
    /// Of the first one, in values; [`ABSENT`] for those that are not needed.
    pub starts: [[usize; SIDE]; SIDE],
    /// From one tile to the next, in values.
    pub step: usize,
}

/// A transform of tiles.
type Function<A, B, R> = unsafe fn(&Run<A, B, R>);

/// The transforms of one kernel, number type and number of taps.
#[derive(Clone, Copy)]
pub(crate) struct Transforms<S: Stored> {
    pub(crate) inputs: Function<S, S::Packed, S::Real>,
    pub(crate) weights: Function<S::Packed, S::Packed, S::Real>,
    pub(crate) output_gradients: Function<S, S::Packed, S::Real>,
    pub(crate) outputs: Function<S::Real, S, S::Real>,
    pub(crate) input_gradients: Function<S::Real, S::Real, S::Real>,
    pub(crate) weight_gradients: Function<S::Real, S::Real, S::Real>,
}

/// Compiles the transforms of a register type for an instruction set.
macro_rules! transforms {
    ($name:ident, $vector:ty, $stored:ty, $taps:literal, $(#[$feature:meta])*) => {
        mod $name {
            use super::*;
            use crate::winograd::tile::{
                InputGradients, Inputs, OutputGradients, Outputs, Run, WeightGradients, Weights, run,
            };

            type Real = <$stored as Stored>::Real;
            type Packed = <$stored as Stored>::Packed;

            /// # Safety
            /// As [`run`]; the processor has the instructions that this is compiled for.
            $(#[$feature])*
            unsafe fn inputs(tiles: &Run<$stored, Packed, Real>) {
                // SAFETY: the caller's contract is the same.
                unsafe { run::<$vector, Inputs, $stored, Packed, Real, false>(tiles) }
            }

            /// # Safety
            /// As `inputs`.
            $(#[$feature])*
            unsafe fn weights(tiles: &Run<Packed, Packed, Real>) {
                // SAFETY: the caller's contract is the same.
                unsafe { run::<$vector, Weights<$taps>, Packed, Packed, Real, false>(tiles) }
            }

            /// # Safety
            /// As `inputs`.
            $(#[$feature])*
            unsafe fn output_gradients(tiles: &Run<$stored, Packed, Real>) {
                // SAFETY: the caller's contract is the same.
                unsafe { run::<$vector, OutputGradients<$taps>, $stored, Packed, Real, false>(tiles) }
            }

            /// # Safety
            /// As `inputs`.
            $(#[$feature])*
            unsafe fn outputs(tiles: &Run<Real, $stored, Real>) {
                // SAFETY: the caller's contract is the same.
                unsafe { run::<$vector, Outputs<$taps>, Real, $stored, Real, false>(tiles) }
            }

            /// # Safety
            /// As `inputs`.
            $(#[$feature])*
            unsafe fn input_gradients(tiles: &Run<Real, Real, Real>) {
                // SAFETY: the caller's contract is the same.
                unsafe { run::<$vector, InputGradients, Real, Real, Real, true>(tiles) }
            }

            /// # Safety
            /// As `inputs`.
            $(#[$feature])*
            unsafe fn weight_gradients(tiles: &Run<Real, Real, Real>) {
                // SAFETY: the caller's contract is the same.
                unsafe { run::<$vector, WeightGradients<$taps>, Real, Real, Real, false>(tiles) }
            }

            pub(super) const TRANSFORMS: Transforms<$stored> = Transforms {
                inputs,
                weights,
                output_gradients,
                outputs,
                input_gradients,
                weight_gradients,
            };
        }
    };
}
pub(crate) use transforms;

/// The transforms of one kernel for one number type; see the module page.
#[derive(Clone, Copy)]
pub struct Winograd<S: Stored> {
    transforms: &'static Transforms<S>,
}

impl<S: Stored> std::fmt::Debug for Winograd<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Winograd").finish_non_exhaustive()
    }
}

impl<S: Stored> Winograd<S> {
    /// The transforms of the kernel of `gemm` for `taps` taps along a side.
    ///
    /// # Panics
    /// If there are not two or three taps.
    pub fn new(gemm: Gemm<S>, taps: usize) -> Self {
        assert!(matches!(taps, 2 | 3), "two or three taps");
        Self { transforms: gemm.transforms(taps - 2) }
    }

    /// Pixels along a side of the result of a tile.
    pub fn outputs_of(taps: usize) -> usize {
        SIDE + 1 - taps
    }

    /// The points of `tiles` tiles of a map.
    ///
    /// # Panics
    /// As all transforms: if a place lies beyond `from` or `to`.
    pub fn inputs(self, shape: Shape, from: (&[S], Pixels), to: (&mut [S::Packed], Points)) {
        apply(self.transforms.inputs, shape, from, to, None, false);
    }

    /// The points of weights; their pixels are the taps, `tiles` is 1.
    pub fn weights(self, shape: Shape, from: (&[S::Packed], Pixels), to: (&mut [S::Packed], Points)) {
        apply(self.transforms.weights, shape, from, to, None, false);
    }

    /// The gradients of a product's points from those of the result's pixels.
    pub fn output_gradients(self, shape: Shape, from: (&[S], Pixels), to: (&mut [S::Packed], Points)) {
        apply(self.transforms.output_gradients, shape, from, to, None, false);
    }

    /// The pixels of the result from a product's points, with a bias (one value a channel), rectified or not.
    pub fn outputs(
        self,
        shape: Shape,
        from: (&[S::Real], Points),
        to: (&mut [S], Pixels),
        bias: Option<&[S::Real]>,
        relu: bool,
    ) {
        apply(self.transforms.outputs, shape, from, to, bias, relu);
    }

    /// Adds the gradients of a map's pixels from those of points.
    pub fn input_gradients(self, shape: Shape, from: (&[S::Real], Points), to: (&mut [S::Real], Pixels)) {
        apply(self.transforms.input_gradients, shape, from, to, None, false);
    }

    /// The gradients of taps from those of points.
    pub fn weight_gradients(self, shape: Shape, from: (&[S::Real], Points), to: (&mut [S::Real], Pixels)) {
        apply(self.transforms.weight_gradients, shape, from, to, None, false);
    }
}

/// How much is transformed.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Tiles side by side.
    pub tiles: usize,
    /// Values of a pixel, or of a point.
    pub channels: usize,
}

fn apply<A, B, R>(
    function: Function<A, B, R>,
    Shape { tiles, channels }: Shape,
    (from, from_places): (&[A], impl Into<Places>),
    (to, to_places): (&mut [B], impl Into<Places>),
    bias: Option<&[R]>,
    relu: bool,
) {
    let (from_places, to_places) = (from_places.into(), to_places.into());
    assert!(from_places.end(tiles, channels) <= from.len(), "tiles that are read");
    assert!(to_places.end(tiles, channels) <= to.len(), "tiles that are written");
    assert!(bias.is_none_or(|bias| bias.len() == channels), "a bias");
    let run = Run {
        from: from.as_ptr(),
        from_places,
        to: to.as_mut_ptr(),
        to_places,
        tiles,
        channels,
        finish: Finish { bias: bias.map_or(ptr::null(), <[R]>::as_ptr), relu },
    };
    // SAFETY: the function is of the table of a kernel that the processor supports; the places were checked.
    unsafe { function(&run) };
}

#[cfg(test)]
mod tests;
