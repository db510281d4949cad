//! Patches times weights: a convolution without bias, chunk of rows by chunk of rows.

use std::ops::Range;

use crate::Real;
use crate::gemm::{Matrix, Write, multiply};
use crate::groups::{chunk_rows, chunks};
use crate::kernel::Kernel;
use crate::layer::Weights;
use crate::patches::Patches;
use crate::workers::ScratchSize;

/// A window over a map and the weights of its pixels.
#[derive(Debug)]
pub(crate) struct PatchProduct {
    pub(crate) patches: Patches,
    pub(crate) kernel: Kernel,
    /// Channels of the result.
    pub(crate) out: usize,
}

impl PatchProduct {
    /// Chunks of the rows of `result`, a group's part of a map of `out` channels.
    pub(crate) fn chunks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        chunks(rows, self.most_rows())
    }

    fn most_rows(&self) -> usize {
        chunk_rows(self.patches.patch_len().max(self.out))
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        ScratchSize {
            columns: if self.patches.is_identity() { 0 } else { self.most_rows() * self.patches.patch_len() },
            chunk: self.most_rows() * self.out,
            channels: self.out,
            weights: self.kernel.fan_in(),
        }
    }

    /// `result = patches(maps) weights`, or added to it: `[rows, out]`.
    pub(crate) fn forward<T: Real>(
        &self,
        weights: Weights<T>,
        maps: &[T],
        rows: Range<usize>,
        result: &mut [T],
        write: Write,
        scratch: &mut [T],
    ) {
        let count = rows.len();
        let columns = self.patches.gather(maps, rows, scratch);
        let columns = Matrix::new(columns, count, self.patches.patch_len());
        multiply(columns, self.kernel.forward(weights.packed), result, write);
    }

    /// `weight_gradients = gradients^T patches(maps)`, or added to it: `[out, patch]`. `gradients` are those of the
    /// result.
    pub(crate) fn weight_backward<T: Real>(
        &self,
        maps: &[T],
        rows: Range<usize>,
        gradients: &[T],
        weight_gradients: &mut [T],
        write: Write,
        scratch: &mut [T],
    ) {
        let count = rows.len();
        let columns = self.patches.gather(maps, rows, scratch);
        let columns = Matrix::new(columns, count, self.patches.patch_len());
        multiply(Matrix::new(gradients, count, self.out).transposed(), columns, weight_gradients, write);
    }

    /// Adds to the gradients of the maps (or, where [`Patches::is_identity`] and `write` says so, replaces them)
    /// what comes through the product and, with `pooled`, the gradients of the average-pooled shortcut's result.
    pub(crate) fn input_backward<T: Real>(
        &self,
        weights: Weights<T>,
        gradients: &[T],
        pooled: Option<&[T]>,
        rows: Range<usize>,
        (map_gradients, write): (&mut [T], Write),
        scratch: &mut [T],
    ) {
        let matrix = Matrix::new(gradients, rows.len(), self.out);
        let kernel = self.kernel.backward(weights.parameters, weights.packed);
        let length = self.patches.patch_len();
        if self.patches.is_identity() {
            let to = &mut map_gradients[rows.start * length..rows.end * length];
            if let Some(pooled) = pooled {
                copy_channels(pooled, self.out, to, length, write);
            }
            multiply(matrix, kernel, to, if pooled.is_some() { Write::Add } else { write });
            return;
        }
        let columns = &mut scratch[..rows.len() * length];
        if let Some(pooled) = pooled {
            self.patches.average_backward(pooled, self.out, columns);
        }
        multiply(matrix, kernel, columns, Write::first(pooled.is_none()));
        self.patches.scatter_add(columns, rows, map_gradients);
    }
}

/// Copies, or adds, the first `kept` of every `channels` values.
fn copy_channels<T: Real>(from: &[T], channels: usize, to: &mut [T], kept: usize, write: Write) {
    for (to, from) in to.chunks_exact_mut(kept).zip(from.chunks_exact(channels)) {
        match write {
            Write::Replace => to.copy_from_slice(&from[..kept]),
            Write::Add => to.iter_mut().zip(from).for_each(|(to, &from)| *to += from),
        }
    }
}
