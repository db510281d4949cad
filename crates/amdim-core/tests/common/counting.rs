//! An allocator that counts. A test that wants it declares
//! `#[global_allocator] static ALLOCATOR: Counting = Counting::new();`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, with counts of all threads together.
pub struct Counting {
    held: AtomicUsize,
    asked: AtomicUsize,
}

impl Counting {
    pub const fn new() -> Self {
        Self { held: AtomicUsize::new(0), asked: AtomicUsize::new(0) }
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Bytes that were asked for so far, given back or not.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

// SAFETY: all work is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.held.fetch_add(layout.size(), Ordering::Relaxed);
        self.asked.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.held.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}
