//! A thread's own memory for left rows that are copied together or widened before they are multiplied.

use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::slice;

use crate::Stored;

/// Begins on a cache line, and grows to what is asked for.
///
/// It comes from the system itself: zeros that take no memory before they are written, so that it need not grow for
/// ordinary rows and a thread that meets them late allocates nothing then. (On the stack, each call would touch all its
/// pages; memory that belongs to a thread from its start is scarce in libraries that are loaded later.)
struct Room {
    memory: NonNull<u8>,
    layout: Layout,
}

/// What a room has from its start.
const BYTES: usize = 1 << 19;

const LINE_BYTES: usize = 64;

impl Room {
    fn new(bytes: usize) -> Self {
        let layout =
            Layout::from_size_align(bytes.max(BYTES), LINE_BYTES).expect("rows that fit into memory");
        // SAFETY: the layout is not empty.
        let memory = unsafe { System.alloc_zeroed(layout) };
        Self { memory: NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout)), layout }
    }

    /// `count` values, left over from whoever was here before.
    fn values<P: Stored>(&mut self, count: usize) -> &mut [P] {
        let bytes = count * size_of::<P>();
        if bytes > self.layout.size() {
            *self = Self::new(bytes.next_power_of_two());
        }
        // SAFETY: the memory is this value's own and long enough. It began as zeros, and numbers of all types are any
        // bits.
        unsafe { slice::from_raw_parts_mut(self.memory.as_ptr().cast(), count) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: it came from there with this layout.
        unsafe { System.dealloc(self.memory.as_ptr(), self.layout) }
    }
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::new(Room::new(BYTES));
}

/// Lends `count` values of this thread's memory; what they are means nothing.
pub(super) fn with_room<P: Stored, R>(count: usize, work: impl FnOnce(&mut [P]) -> R) -> R {
    ROOM.with_borrow_mut(|room| work(room.values(count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bf16;

    #[test]
    fn rooms_grow_and_begin_on_a_line() {
        for count in [1, BYTES / 4, BYTES / 4 + 1, 3] {
            with_room::<f32, _>(count, |values| {
                assert_eq!((values.len(), values.as_ptr().addr() % LINE_BYTES), (count, 0));
                values.fill(1.0);
            });
        }
        with_room::<Bf16, _>(BYTES, |values| assert_eq!(values.len(), BYTES));
    }
}
