//! Patches times weights: a convolution without bias, chunk of rows by chunk of rows.

use std::ops::Range;

use amdim_kernels::gemm::{Addend, Destination, Factor, Finish, Gemm, Rows};
use amdim_kernels::{Stored, vectorized};
use amdim_network::{Network, ParameterId, Window};

use super::tile_product::{TileProduct, TileRoomSize};
use super::{Layout, Weights, Write};
use crate::CpuError;
use crate::elementwise::scaled;
use crate::filter::Filter;
use crate::groups::{chunk_rows, chunks};
use crate::patches::{PatchRoomSize, Patches};
use crate::tiling::Tiling;
use crate::workers::{Scratch, ScratchSize};

/// A window over a map and the weights of its pixels.
#[derive(Debug)]
pub(crate) struct PatchProduct {
    pub(crate) patches: Patches,
    pub(crate) filter: Filter,
    /// Where the products are those of tiles' points.
    tiling: Option<Tiling>,
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
    /// The window of node `index` with the weights `id`.
    pub(crate) fn new<S: Stored>(
        network: &Network,
        index: usize,
        window: Window,
        id: ParameterId,
        layout: &mut Layout<S>,
    ) -> Result<Self, CpuError> {
        let node = &network.nodes[index];
        let patches = layout.patches(network, index, window)?;
        let out = node.shape.channels;
        // bf16 would lose the digits that differences of pixels need, and its products are twice as fast already.
        let tiled = size_of::<S::Packed>() == size_of::<S::Real>();
        let tiling = if tiled { Tiling::new(patches.framed_shape(), node.shape, window) } else { None };
        layout.tilings += tiling.as_ref().map_or(0, Tiling::bytes);
        let shape = [out, patches.input().channels, patches.taps()];
        let filter = Filter::new(network, id, shape, tiling.as_ref(), layout, &node.name)?;
        Ok(Self { patches, filter, tiling, out })
    }

    /// Chunks of the rows of `result`, a group's part of a map of `out` channels.
    pub(crate) fn chunks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let tiles = self.tiling.as_ref().map(|tiling| tiling.chunks(rows));
        let plain = if tiles.is_some() { 0 } else { rows };
        tiles.into_iter().flatten().chain(chunks(plain, self.most_rows()))
    }

    fn most_rows(&self) -> usize {
        match &self.tiling {
            Some(tiling) => tiling.most_rows(),
            None => chunk_rows(self.patches.patch_len().max(self.out)),
        }
    }

    fn tiles(&self) -> Option<TileProduct<'_>> {
        let tiling = self.tiling.as_ref()?;
        Some(TileProduct { tiling, filter: &self.filter, out: self.out })
    }

    pub(crate) fn scratch_size<S: Stored>(&self, gemm: Gemm<S>) -> ScratchSize {
        let rows = self.most_rows();
        let windowed = |length: usize| if self.patches.is_identity() { 0 } else { length };
        let columns = windowed(rows * self.patches.patch_len());
        let (patches, tiles, columns, packed) = match &self.tiling {
            Some(tiling) => {
                let tiles = TileRoomSize::new(tiling, self.out);
                (PatchRoomSize::framed(&self.patches, rows), tiles, 0, tiling.most_tiles())
            }
            None => (PatchRoomSize::new(&self.patches, rows), TileRoomSize::default(), columns, rows),
        };
        ScratchSize {
            patches,
            tiles,
            columns,
            chunk: rows * self.out,
            channels: self.out.max(self.patches.input().channels),
            weights: self.filter.fan_in(),
            // The 1x1 products beside it take whole chunks.
            packed: gemm.transposed_scratch(packed.max(rows), self.out),
            averages: windowed(rows * self.patches.input().channels),
            open_maps: windowed(self.patches.open_len(rows)),
        }
    }

    /// `result = patches(maps) weights + bias`, rectified or not, `[rows, out]`.
    pub(crate) fn forward<S: Stored>(
        &self,
        weights: Weights<S>,
        maps: &[S],
        rows: Range<usize>,
        (bias, relu): (Option<&[S::Real]>, bool),
        result: &mut [S],
        scratch: &mut Scratch<S>,
    ) {
        if let Some(tiles) = self.tiles() {
            let framed = self.patches.framed(maps, &rows, &mut scratch.patches.framed);
            tiles.forward(weights, framed, &rows, (bias, relu), result, &mut scratch.tiles);
            return;
        }
        let left = self.patches.rows(maps, rows, &mut scratch.patches);
        let factor = Factor { left, right: self.filter.forward(weights) };
        let finish = Finish { bias, relu, ..Finish::default() };
        weights.gemm.multiply(&[factor], self.out, finish, Destination::Stored(result));
    }

    /// From the gradients that meet at a chunk of rows to those of the weights, `[out, patch]`, which are replaced by
    /// the first chunk of a group and complete after its last, and to those of the maps (empty if nobody wants them).
    /// Chunks must come in order, from a group's first row to its last.
    pub(crate) fn backward<S: Stored>(
        &self,
        weights: Weights<S>,
        maps: &[S],
        incoming: Incoming<S>,
        rows: Range<usize>,
        weight_gradients: &mut [S::Real],
        (map_gradients, write): (&mut [S], Write),
        scratch: &mut Scratch<S>,
    ) {
        let first = rows.start == 0;
        if let Some(tiles) = self.tiles() {
            let wanted = !map_gradients.is_empty();
            if wanted {
                self.patches.open(&rows, &mut scratch.open_maps);
            }
            let framed = self.patches.framed(maps, &rows, &mut scratch.patches.framed);
            tiles.backward(
                weights,
                framed,
                (&rows, incoming.product),
                first,
                (wanted.then_some(&mut scratch.open_maps[..]), self.patches.picture(&rows)),
                (&mut scratch.tiles, &mut scratch.packed),
            );
            if rows.end * self.patches.input().len() == maps.len() * self.patches.locations {
                tiles.weight_gradients(weights.gemm, &scratch.tiles, weight_gradients);
            }
            if wanted {
                self.pooled_backward(weights, incoming.shortcut, rows.clone(), scratch);
                let open = &mut scratch.open_maps;
                vectorized!(weights.instructions, self.patches.close(&rows, open, map_gradients, write));
            }
            return;
        }
        weights.gemm.multiply_transposed(
            Rows::new(incoming.product, self.out),
            self.patches.rows(maps, rows.clone(), &mut scratch.patches),
            weight_gradients,
            !first,
            &mut scratch.packed,
        );
        if !map_gradients.is_empty() {
            self.input_backward(weights, incoming, rows, (map_gradients, write), scratch);
        }
    }

    /// Adds the gradients of averages to those of the pixels.
    fn pooled_backward<S: Stored>(
        &self,
        weights: Weights<S>,
        shortcut: Round<S>,
        rows: Range<usize>,
        scratch: &mut Scratch<S>,
    ) {
        let Round::Average(gradients) = shortcut else { return };
        let pooled = self.pooled(weights, gradients, rows.len(), &mut scratch.averages);
        let open = &mut scratch.open_maps;
        vectorized!(weights.instructions, self.patches.scatter_pooled(pooled, rows, open));
    }

    /// The shares of pixels in the gradients of averages.
    fn pooled<'a, S: Stored>(
        &self,
        weights: Weights<S>,
        gradients: &[S],
        rows: usize,
        scratch: &'a mut [S::Real],
    ) -> &'a [S::Real] {
        let (channels, out) = (self.patches.input().channels, self.out);
        let pooled = &mut scratch[..rows * channels];
        vectorized!(weights.instructions, {
            for (to, gradients) in pooled.chunks_exact_mut(channels).zip(gradients.chunks_exact(out)) {
                scaled(&gradients[..channels], self.patches.share(), to);
            }
        });
        pooled
    }

    /// Adds to the gradients of the maps, or replaces them, what comes of a chunk of rows.
    fn input_backward<S: Stored>(
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
        let pooled = match incoming.shortcut {
            Round::Average(gradients) => {
                Some(self.pooled(weights, gradients, rows.len(), &mut scratch.averages))
            }
            Round::Nothing | Round::Linear(..) => None,
        };
        let open = &mut scratch.open_maps[..];
        self.patches.open(&rows, open);
        vectorized!(weights.instructions, {
            self.patches.scatter(columns, pooled, rows.clone(), open);
            self.patches.close(&rows, open, map_gradients, write);
        });
    }
}

#[cfg(test)]
mod tests;
