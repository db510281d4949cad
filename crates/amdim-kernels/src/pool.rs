//! Threads that share out tasks. Handing out tasks allocates nothing, and costs well under a microsecond while the
//! threads are awake.

use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::KernelError;

/// Turns that a thread without work waits awake: about 50 microseconds, longer than the gaps between layers.
const AWAKE_TURNS: u32 = 2000;
/// Turns that the caller waits for the last tasks before it lets other threads on its core.
const CALLER_TURNS: u32 = 20_000;

const OPEN: u64 = 1;
const ENTERED: u64 = 2;
const INSIDE: u64 = u32::MAX as u64 & !OPEN;

/// A pool of threads; the thread that calls it is one of them.
///
/// Results must not depend on which thread does a task, or in which order tasks are done.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Callers take turns.
    turn: Mutex<()>,
}

/// A round of tasks, with the lifetime of `work` erased: it is only called while [`Pool::for_each`] waits.
#[derive(Clone, Copy)]
struct Round {
    work: *const (dyn Fn(usize, usize) + Sync),
    tasks: usize,
}

struct Shared {
    /// Number of the round (upper half), threads inside it (times two), and whether it may be entered (lowest bit).
    state: AtomicU64,
    round: UnsafeCell<Option<Round>>,
    next: AtomicUsize,
    panicked: AtomicBool,
    stop: AtomicBool,
    sleeping: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `round` is written by the caller while no thread is inside a round and none may enter, and read by threads
// that have entered; `state` orders both. `work` is `Sync`, so that threads may share it.
unsafe impl Sync for Shared {}
// SAFETY: as above; nothing in it belongs to one thread.
unsafe impl Send for Shared {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

thread_local! {
    /// The pool whose task this thread does, and the thread's index in it.
    static INSIDE_POOL: Cell<Option<(*const Shared, usize)>> = const { Cell::new(None) };
}

impl Pool {
    /// A pool of `threads` threads, the caller's included.
    ///
    /// # Errors
    /// [`KernelError::NoThreads`] for 0, [`KernelError::Threads`] where the system gives no more.
    pub fn new(threads: usize) -> Result<Self, KernelError> {
        if threads == 0 {
            return Err(KernelError::NoThreads);
        }
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            round: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleeping: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        });
        let mut pool = Self { shared, workers: vec![], turn: Mutex::new(()) };
        for index in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let worker = thread::Builder::new()
                .name(format!("amdim-{index}"))
                .spawn(move || shared.serve(index))
                .map_err(|error| KernelError::Threads { message: error.to_string() })?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Number of threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work(task, thread)` once for every task in `0..tasks`, in any order, and waits for all. `thread` is in
    /// `0..self.threads()`, and no two calls with one `thread` overlap.
    ///
    /// A call from inside a task of this pool does its tasks one after the other on the same thread.
    ///
    /// # Panics
    /// If `work` panics.
    pub fn for_each(&self, tasks: usize, work: impl Fn(usize, usize) + Sync) {
        let this = Arc::as_ptr(&self.shared);
        let inside = INSIDE_POOL.get();
        if let Some((pool, thread)) = inside.filter(|&(pool, _)| pool == this) {
            debug_assert_eq!(pool, this);
            (0..tasks).for_each(|task| work(task, thread));
            return;
        }
        let _turn = lock(&self.turn);
        INSIDE_POOL.set(Some((this, 0)));
        let _restore = Restore(inside);
        if self.workers.is_empty() || tasks <= 1 {
            (0..tasks).for_each(|task| work(task, 0));
            return;
        }
        let round = self.shared.open(tasks, &work);
        round.shared.take_tasks(tasks, &work, 0);
        drop(round);
        assert!(!self.shared.panicked.load(Ordering::Relaxed), "a task of the pool panicked");
    }

    /// Calls `work(index, task, thread)` on every task, in any order, and waits for all.
    pub fn for_each_mut<S: Send>(&self, tasks: &mut [S], work: impl Fn(usize, &mut S, usize) + Sync) {
        self.for_each_chunk(tasks, 1, |index, task, thread| work(index, &mut task[0], thread));
    }

    /// Calls `work(index, chunk, thread)` on every `length` neighbouring values (the last chunk may be shorter), in any
    /// order, and waits for all.
    pub fn for_each_chunk<S: Send>(
        &self,
        values: &mut [S],
        length: usize,
        work: impl Fn(usize, &mut [S], usize) + Sync,
    ) {
        self.for_each_chunks([values], length, |index, [chunk], thread| work(index, chunk, thread));
    }

    /// Like [`Pool::for_each_chunk`], on slices of one length that are cut alike.
    ///
    /// # Panics
    /// If their lengths differ.
    pub fn for_each_chunks<S: Send, const N: usize>(
        &self,
        mut values: [&mut [S]; N],
        length: usize,
        work: impl Fn(usize, [&mut [S]; N], usize) + Sync,
    ) {
        let length = length.max(1);
        let total = values.first().map_or(0, |values| values.len());
        assert!(values.iter().all(|values| values.len() == total), "slices of one length");
        let starts = values.each_mut().map(|values| Pointer(values.as_mut_ptr()));
        self.for_each(total.div_ceil(length), |index, thread| {
            let from = index * length;
            // SAFETY: every index is handed out once, so that the chunks of a slice don't overlap; they lie within the
            // slices, which are borrowed until all are done.
            let chunks = starts.each_ref().map(|start| unsafe {
                std::slice::from_raw_parts_mut(start.get().add(from), length.min(total - from))
            });
            work(index, chunks, thread);
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.sleep));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of tasks, and has none of its own.
            let _ = worker.join();
        }
    }
}

/// A pointer that threads may share; what it points to is divided among them.
struct Pointer<S>(*mut S);

impl<S> Pointer<S> {
    fn get(&self) -> *mut S {
        self.0
    }
}

// SAFETY: only `for_each_chunks` uses it, where each thread touches its own chunk of `Send` values.
unsafe impl<S: Send> Sync for Pointer<S> {}

/// Puts back which pool this thread works for.
struct Restore(Option<(*const Shared, usize)>);

impl Drop for Restore {
    fn drop(&mut self) {
        INSIDE_POOL.set(self.0);
    }
}

/// An open round; closes it and waits for the threads inside when dropped, also by a panic.
struct Open<'a> {
    shared: &'a Shared,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shared.state.fetch_and(!OPEN, Ordering::AcqRel);
        // After a panic here nobody should begin another task.
        if thread::panicking() {
            self.shared.next.store(usize::MAX / 2, Ordering::Relaxed);
        }
        let mut turns = 0;
        while self.shared.state.load(Ordering::Acquire) & INSIDE != 0 {
            turns += 1;
            if turns > CALLER_TURNS { thread::yield_now() } else { std::hint::spin_loop() }
        }
    }
}

impl Shared {
    /// Opens a round; the caller's turn must be taken.
    fn open<'a>(&'a self, tasks: usize, work: &'a (dyn Fn(usize, usize) + Sync)) -> Open<'a> {
        // SAFETY: only the lifetime changes. The pointer is dereferenced by threads inside the round, and the guard
        // that is returned waits until they have left, before `work` ends.
        #[expect(clippy::transmute_ptr_to_ptr, reason = "a cast can't lengthen the lifetime")]
        let work: *const (dyn Fn(usize, usize) + Sync + 'static) =
            unsafe { std::mem::transmute::<*const (dyn Fn(usize, usize) + Sync + 'a), _>(work) };
        // SAFETY: the last round is closed and empty (its guard waited), so that no thread reads it.
        unsafe { *self.round.get() = Some(Round { work, tasks }) };
        self.next.store(0, Ordering::Relaxed);
        self.panicked.store(false, Ordering::Relaxed);
        let number = (self.state.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        self.state.store((number << 32) | OPEN, Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) > 0 {
            drop(lock(&self.sleep));
            self.wake.notify_all();
        }
        Open { shared: self }
    }

    fn take_tasks(&self, tasks: usize, work: &(dyn Fn(usize, usize) + Sync), thread: usize) {
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            work(task, thread);
        }
    }

    /// What a worker does until the pool is dropped.
    fn serve(&self, index: usize) {
        INSIDE_POOL.set(Some((std::ptr::from_ref(self), index)));
        let mut done = 0;
        while let Some(round) = self.enter(&mut done) {
            // SAFETY: this thread is inside the round, whose guard waits for it before `work` ends.
            let work = unsafe { &*round.work };
            let result = catch_unwind(AssertUnwindSafe(|| self.take_tasks(round.tasks, work, index)));
            if result.is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
            self.state.fetch_sub(ENTERED, Ordering::Release);
        }
    }

    /// Waits for a round after number `done` and enters it; none when the pool is dropped.
    fn enter(&self, done: &mut u64) -> Option<Round> {
        let mut turns = 0;
        loop {
            let state = self.state.load(Ordering::Acquire);
            if state & OPEN != 0 && state >> 32 != *done {
                let entered = state + ENTERED;
                if self.state.compare_exchange(state, entered, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    *done = state >> 32;
                    // SAFETY: inside an open round nobody writes it.
                    return unsafe { *self.round.get() };
                }
                continue;
            }
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            turns += 1;
            if turns < AWAKE_TURNS {
                std::hint::spin_loop();
            } else {
                self.sleep_until_opened(*done);
                turns = 0;
            }
        }
    }

    fn sleep_until_opened(&self, done: u64) {
        let mut guard = lock(&self.sleep);
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        loop {
            // Read after `sleeping` was raised: whoever opens a round either sees the sleeper or is seen here.
            let state = self.state.load(Ordering::SeqCst);
            if self.stop.load(Ordering::SeqCst) || (state & OPEN != 0 && state >> 32 != done) {
                break;
            }
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What these locks guard is whole at any time, also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn every_chunk_is_visited_once(threads: u8, length: u16, chunk: u8) -> bool {
            let pool = Pool::new(threads as usize % 5 + 1).unwrap();
            let mut values = vec![0usize; length as usize % 999];
            let chunk = chunk as usize + 1;
            for _ in 0..3 {
                pool.for_each_chunk(&mut values, chunk, |index, part, thread| {
                    assert!(thread < pool.threads());
                    for value in part {
                        *value += index + 1;
                    }
                });
            }
            values.iter().enumerate().all(|(at, &value)| value == 3 * (at / chunk + 1))
        }
    }

    #[test]
    fn tasks_inside_tasks_run_on_the_same_thread() {
        let pool = Pool::new(3).unwrap();
        let count = AtomicUsize::new(0);
        pool.for_each(7, |_, outer| {
            pool.for_each(5, |_, inner| {
                assert_eq!(inner, outer);
                count.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(count.into_inner(), 35);
    }

    #[test]
    fn threads_wake_up_after_a_rest() {
        let pool = Pool::new(2).unwrap();
        for _ in 0..3 {
            let count = AtomicUsize::new(0);
            pool.for_each(100, |_, _| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.into_inner(), 100);
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(2).unwrap();
        for bad in [0, 50, 99] {
            let panicking = AssertUnwindSafe(|| pool.for_each(100, |task, _| assert_ne!(task, bad)));
            assert!(catch_unwind(panicking).is_err());
        }
        let count = AtomicUsize::new(0);
        pool.for_each(10, |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 10);
    }

    #[test]
    fn callers_of_several_threads_take_turns() {
        let pool = Pool::new(2).unwrap();
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        pool.for_each(8, |_, _| {
                            count.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 4 * 50 * 8);
    }

    #[test]
    fn no_thread_is_an_error() {
        assert_eq!(Pool::new(0).unwrap_err(), KernelError::NoThreads);
    }
}
