//! The threads and what each of them keeps to work in.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::{CpuError, Real};

/// Longest stretch of each kind that any layer of the network works on at once, in values.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScratchSize {
    /// Gathered patches.
    pub(crate) columns: usize,
    /// A chunk of a layer's result.
    pub(crate) chunk: usize,
    /// Channels of the widest map.
    pub(crate) channels: usize,
    /// Weights of one output channel.
    pub(crate) weights: usize,
}

impl ScratchSize {
    /// The larger of both, kind by kind.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            columns: self.columns.max(other.columns),
            chunk: self.chunk.max(other.chunk),
            channels: self.channels.max(other.channels),
            weights: self.weights.max(other.weights),
        }
    }
}

/// Memory of one thread, so that it stays in that thread's cache. Its contents mean nothing between tasks.
#[derive(Debug)]
pub(crate) struct Scratch<T> {
    /// Gathered patches, or their gradients.
    pub(crate) columns: Vec<T>,
    /// A chunk of hidden activations, or their gradients.
    pub(crate) hidden: Vec<T>,
    /// A chunk of hidden activations that were not kept.
    pub(crate) activation: Vec<T>,
    /// Two sums a channel.
    pub(crate) sums: [Vec<T>; 2],
    /// One value a channel.
    pub(crate) centre: Vec<T>,
    /// Weights of one output channel.
    pub(crate) weights: Vec<T>,
    /// A few pictures, channels last.
    pub(crate) pictures: Vec<T>,
    /// Maps of a few pictures.
    pub(crate) maps: Vec<Vec<T>>,
}

impl<T: Real> Scratch<T> {
    fn new(size: ScratchSize) -> Self {
        let zeros = |length| vec![T::default(); length];
        Self {
            columns: zeros(size.columns),
            hidden: zeros(size.chunk),
            activation: zeros(size.chunk),
            sums: [zeros(size.channels), zeros(size.channels)],
            centre: zeros(size.channels),
            weights: zeros(size.weights),
            pictures: vec![],
            maps: vec![],
        }
    }
}

/// A pool of threads, each with its [`Scratch`].
#[derive(Debug)]
pub(crate) struct Workers<T> {
    pool: rayon::ThreadPool,
    scratch: Vec<Mutex<Scratch<T>>>,
}

impl<T: Real> Workers<T> {
    pub(crate) fn new(threads: usize, size: ScratchSize) -> Result<Self, CpuError> {
        if threads == 0 {
            return Err(CpuError::NoThreads);
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("amdim-cpu-{index}"))
            .build()?;
        let scratch = (0..threads).map(|_| Mutex::new(Scratch::new(size))).collect();
        Ok(Self { pool, scratch })
    }

    /// Runs `work` on a thread of the pool, from where [`Workers::for_each`] hands out tasks most cheaply.
    pub(crate) fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// Does `work` on every task, in any order, and waits for all. `work` gets the task's index as well.
    pub(crate) fn for_each<S: Send>(
        &self,
        tasks: &mut [S],
        work: impl Fn(usize, &mut S, &mut Scratch<T>) + Send + Sync,
    ) {
        self.pool.install(|| {
            tasks.par_iter_mut().with_max_len(1).enumerate().for_each(|(index, task)| {
                self.with_scratch(|scratch| work(index, task, scratch));
            });
        });
    }

    /// Does `work` on every run of `length` values (the last may be shorter), in any order, and waits for all.
    pub(crate) fn for_each_run(
        &self,
        values: &mut [T],
        length: usize,
        work: impl Fn(usize, &mut [T], &mut Scratch<T>) + Send + Sync,
    ) {
        self.pool.install(|| {
            values.par_chunks_mut(length).enumerate().for_each(|(index, run)| {
                self.with_scratch(|scratch| work(index, run, scratch));
            });
        });
    }

    /// A thread locks only its own scratch, so it never waits.
    fn with_scratch(&self, work: impl FnOnce(&mut Scratch<T>)) {
        let own = &self.scratch[self.pool.current_thread_index().unwrap_or(0)];
        work(&mut own.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
