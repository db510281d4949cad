//! The threads and what each of them keeps to work in.

use std::sync::{Arc, Mutex, PoisonError};

use amdim_kernels::{Buffer, Kernel, Pool, Stored};

use crate::layer::{TileRoom, TileRoomSize};
use crate::patches::{PatchRoom, PatchRoomSize};

/// Longest stretch of each kind that any layer of the network works on at once, in values.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScratchSize {
    /// Patches.
    pub(crate) patches: PatchRoomSize,
    /// Points of tiles.
    pub(crate) tiles: TileRoomSize,
    /// Gradients of patches.
    pub(crate) columns: usize,
    /// A chunk of a layer's result.
    pub(crate) chunk: usize,
    /// Channels of the widest map; the longest row of a batch norm's loops.
    pub(crate) channels: usize,
    /// Weights of one output channel.
    pub(crate) weights: usize,
    /// Rows packed for the gradients of weights.
    pub(crate) packed: usize,
    /// Averages over the windows of a chunk.
    pub(crate) averages: usize,
    /// Maps whose gradients a chunk adds to.
    pub(crate) open_maps: usize,
}

impl ScratchSize {
    /// The larger of both, kind by kind.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            patches: self.patches.max(other.patches),
            tiles: self.tiles.max(other.tiles),
            columns: self.columns.max(other.columns),
            chunk: self.chunk.max(other.chunk),
            channels: self.channels.max(other.channels),
            weights: self.weights.max(other.weights),
            packed: self.packed.max(other.packed),
            averages: self.averages.max(other.averages),
            open_maps: self.open_maps.max(other.open_maps),
        }
    }
}

/// Memory of one thread, so that it stays in that thread's cache. Its contents mean nothing between tasks.
#[derive(Debug)]
pub(crate) struct Scratch<S: Stored> {
    /// Patches.
    pub(crate) patches: PatchRoom<S>,
    /// Points of tiles.
    pub(crate) tiles: TileRoom<S>,
    /// Gradients of patches.
    pub(crate) column_gradients: Buffer<S::Real>,
    /// A chunk of hidden activations, or their gradients.
    pub(crate) hidden: Buffer<S>,
    /// A chunk of hidden activations that were not kept.
    pub(crate) activation: Buffer<S>,
    /// Rows packed for the gradients of weights.
    pub(crate) packed: Buffer<S::Packed>,
    /// Averages over the windows of a chunk.
    pub(crate) averages: Buffer<S::Real>,
    /// Gradients of the maps that a chunk's windows touch.
    pub(crate) open_maps: Buffer<S::Real>,
    /// Two sums a channel.
    pub(crate) sums: [Buffer<S::Real>; 2],
    /// One value a channel.
    pub(crate) centre: Buffer<S::Real>,
    /// Weights of one output channel.
    pub(crate) weights: Buffer<S::Real>,
    /// A few pictures, channels last.
    pub(crate) pictures: Buffer<S>,
    /// Maps of a few pictures.
    pub(crate) maps: Vec<Buffer<S>>,
}

impl<S: Stored> Scratch<S> {
    fn new(size: ScratchSize, trains: bool) -> Self {
        let stored = Buffer::<S>::zeros;
        let real = Buffer::<S::Real>::zeros;
        let for_training = |length| if trains { length } else { 0 };
        Self {
            patches: PatchRoom::new(size.patches),
            tiles: TileRoom::new(size.tiles, trains),
            column_gradients: real(for_training(size.columns)),
            hidden: stored(size.chunk),
            activation: stored(for_training(size.chunk)),
            packed: Buffer::zeros(for_training(size.packed)),
            averages: real(size.averages),
            open_maps: real(for_training(size.open_maps)),
            sums: [real(size.channels), real(size.channels)],
            centre: real(size.channels),
            weights: real(for_training(size.weights)),
            pictures: Buffer::default(),
            maps: vec![],
        }
    }

    /// Bytes that it holds. Every field is named, so that a new one is not forgotten.
    fn bytes(&self) -> usize {
        let Self {
            patches,
            tiles,
            column_gradients,
            hidden,
            activation,
            packed,
            averages,
            open_maps,
            sums,
            centre,
            weights,
            pictures,
            maps,
        } = self;
        let maps: usize = maps.iter().map(|map| map.len()).sum();
        let stored = [hidden, activation, pictures].map(|values| values.len()).iter().sum::<usize>();
        let [first, second] = sums;
        let real = [column_gradients, averages, open_maps, first, second, centre, weights];
        let real = real.map(|values| values.len()).iter().sum::<usize>();
        let numbers = (stored + maps) * size_of::<S>() + real * size_of::<S::Real>();
        patches.bytes() + tiles.bytes() + numbers + packed.len() * size_of::<S::Packed>()
    }
}

/// A pool of threads, with a [`Scratch`] for each.
#[derive(Debug)]
pub(crate) struct Workers<S: Stored> {
    pool: Arc<Pool>,
    instructions: Kernel,
    scratch: Vec<Mutex<Scratch<S>>>,
}

impl<S: Stored> Workers<S> {
    /// `trains`: whether there will be backward passes.
    pub(crate) fn new(pool: Arc<Pool>, instructions: Kernel, size: ScratchSize, trains: bool) -> Self {
        let scratch = (0..pool.threads()).map(|_| Mutex::new(Scratch::new(size, trains))).collect();
        Self { pool, instructions, scratch }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Bytes of the memory of all threads.
    pub(crate) fn scratch_bytes(&self) -> usize {
        self.scratch.iter().map(|own| own.lock().unwrap_or_else(PoisonError::into_inner).bytes()).sum()
    }

    /// What loops are compiled for.
    pub(crate) fn instructions(&self) -> Kernel {
        self.instructions
    }

    /// Does `work` on every task, in any order, and waits for all. `work` gets the task's index as well.
    pub(crate) fn for_each<T: Send>(
        &self,
        tasks: &mut [T],
        work: impl Fn(usize, &mut T, &mut Scratch<S>) + Sync,
    ) {
        self.pool.for_each_mut(tasks, |index, task, thread| {
            self.with_scratch(thread, |scratch| work(index, task, scratch));
        });
    }

    /// Does `work` on every run of `length` values (the last may be shorter), in any order, and waits for all.
    pub(crate) fn for_each_run<T: Send>(
        &self,
        values: &mut [T],
        length: usize,
        work: impl Fn(usize, &mut [T], &mut Scratch<S>) + Sync,
    ) {
        self.pool.for_each_chunk(values, length, |index, run, thread| {
            self.with_scratch(thread, |scratch| work(index, run, scratch));
        });
    }

    /// A thread locks only its own scratch, so it never waits.
    fn with_scratch(&self, thread: usize, work: impl FnOnce(&mut Scratch<S>)) {
        work(&mut self.scratch[thread].lock().unwrap_or_else(PoisonError::into_inner));
    }
}
