//! Patches times weights: a convolution without bias, chunk of rows by chunk of rows.

use std::ops::Range;

use amdim_kernels::gemm::{Addend, Destination, Factor, Finish, Gemm, Rows};
use amdim_kernels::{Stored, vectorized};

use super::{Weights, Write};
use crate::elementwise::scaled;
use crate::filter::Filter;
use crate::groups::{chunk_rows, chunks};
use crate::patches::{PatchRoom, PatchRoomSize, Patches};
use crate::workers::{Scratch, ScratchSize};

/// A window over a map and the weights of its pixels.
#[derive(Debug)]
pub(crate) struct PatchProduct {
    pub(crate) patches: Patches,
    pub(crate) filter: Filter,
    /// Channels of the result.
    pub(crate) out: usize,
}

/// The gradients that meet at a chunk of rows on their way to the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a, S> {
    /// Of the product's result, `[rows, out]`.
    pub(crate) product: &'a [S],
    /// Of what goes round the product, `[rows, out]`.
    pub(crate) shortcut: Round<'a, S>,
}

/// What goes round a product.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Round<'a, S> {
    Nothing,
    /// The average over the window.
    Average(&'a [S]),
    /// Another 1x1 product.
    Linear(&'a [S], &'a Filter),
}

impl PatchProduct {
    /// Chunks of the rows of `result`, a group's part of a map of `out` channels.
    pub(crate) fn chunks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        chunks(rows, self.most_rows())
    }

    fn most_rows(&self) -> usize {
        chunk_rows(self.patches.patch_len().max(self.out))
    }

    pub(crate) fn scratch_size<S: Stored>(&self, gemm: Gemm<S>) -> ScratchSize {
        let rows = self.most_rows();
        let windowed = |length: usize| if self.patches.is_identity() { 0 } else { length };
        ScratchSize {
            patches: PatchRoomSize::new(&self.patches, rows),
            columns: windowed(rows * self.patches.patch_len()),
            chunk: rows * self.out,
            channels: self.out.max(self.patches.input().channels),
            weights: self.filter.fan_in(),
            packed: gemm.transposed_scratch(rows, self.out),
            averages: windowed(rows * self.patches.input().channels),
            open_maps: windowed(self.patches.open_maps(rows) * self.patches.input().len()),
        }
    }

    /// `result = finish(patches(maps) weights)`, `[rows, out]`.
    pub(crate) fn forward<S: Stored>(
        &self,
        weights: Weights<S>,
        maps: &[S],
        rows: Range<usize>,
        finish: Finish<S>,
        result: &mut [S],
        room: &mut PatchRoom<S>,
    ) {
        let factor =
            Factor { left: self.patches.rows(maps, rows, room), right: self.filter.forward(weights) };
        weights.gemm.multiply(&[factor], self.out, finish, Destination::Stored(result));
    }

    /// `weight_gradients = gradients^T patches(maps)`, or added to it: `[out, patch]`. `gradients` are those of the
    /// result.
    pub(crate) fn weight_backward<S: Stored>(
        &self,
        weights: Weights<S>,
        maps: &[S],
        rows: Range<usize>,
        gradients: &[S],
        weight_gradients: &mut [S::Real],
        write: Write,
        (room, packed): (&mut PatchRoom<S>, &mut [S]),
    ) {
        weights.gemm.multiply_transposed(
            Rows::new(gradients, self.out),
            self.patches.rows(maps, rows, room),
            weight_gradients,
            write == Write::Add,
            packed,
        );
    }

    /// Adds to the gradients of the maps, or replaces them, what comes of a chunk of rows. Chunks must come in order,
    /// from a group's first row to its last.
    pub(crate) fn input_backward<S: Stored>(
        &self,
        weights: Weights<S>,
        incoming: Incoming<S>,
        rows: Range<usize>,
        (map_gradients, write): (&mut [S], Write),
        scratch: &mut Scratch<S>,
    ) {
        let length = self.patches.patch_len();
        let product = Factor {
            left: Rows::new(incoming.product, self.out).into(),
            right: self.filter.backward(weights),
        };
        if self.patches.is_identity() {
            let to = Destination::Stored(&mut map_gradients[rows.start * length..rows.end * length]);
            let finish = Finish { accumulate: write == Write::Add, ..Finish::default() };
            match incoming.shortcut {
                Round::Nothing => weights.gemm.multiply(&[product], length, finish, to),
                Round::Average(gradients) => {
                    let add = Some(Addend::Stored(Rows::strided(gradients, self.out, length)));
                    weights.gemm.multiply(&[product], length, Finish { add, ..finish }, to);
                }
                Round::Linear(gradients, filter) => {
                    let right = filter.backward(weights);
                    let other = Factor { left: Rows::new(gradients, self.out).into(), right };
                    weights.gemm.multiply(&[product, other], length, finish, to);
                }
            }
            return;
        }
        let columns = &mut scratch.column_gradients[..rows.len() * length];
        weights.gemm.multiply(&[product], length, Finish::default(), Destination::Real(columns));
        let (channels, out) = (self.patches.input().channels, self.out);
        let pooled = &mut scratch.averages[..rows.len() * channels];
        let pooled = match incoming.shortcut {
            Round::Average(gradients) => {
                vectorized!(weights.instructions, {
                    for (to, gradients) in pooled.chunks_exact_mut(channels).zip(gradients.chunks_exact(out))
                    {
                        scaled(&gradients[..channels], self.patches.share(), to);
                    }
                });
                Some(&*pooled)
            }
            Round::Nothing | Round::Linear(..) => None,
        };
        vectorized!(weights.instructions, {
            self.patches.scatter(columns, pooled, rows, &mut scratch.open_maps, map_gradients, write);
        });
    }
}
